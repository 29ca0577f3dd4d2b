#pragma once
/* Takes out of a profile where a process had code that it made itself: such an address means nothing to a
 * reader, who cannot look there, and tells where the process keeps its memory. What is left of a location is
 * its name. */

#include "worker/profile/hash_index.h"

#include <profile.pb-c.h>

/* For locations in mappings that jit_mapping.h names: address and mapping go, those with the same line become
 * one, and the mappings go. Lists are changed in place. 0, -ENOSPC, -ENOMEM. */
int jit_locations_hide(Perftools__Profiles__Profile *profile, struct budget *budget);
