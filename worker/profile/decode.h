#pragma once
/* A pprof message, decoded into an arena and safe to walk: what its numbers point to is asked for here. */

#include "worker/profile/arena.h"

#include <profile.pb-c.h>
#include <stdint.h>

/* Not to be freed: it lives in the arena. 0, -EBADMSG (not a pprof), -ENOMEM (arena exhausted). */
int pprof_decode(const uint8_t *bytes, size_t size, struct arena *arena, Perftools__Profiles__Profile **ret);

/* The string at an index; "" when the index points nowhere. */
const char *pprof_string(const Perftools__Profiles__Profile *profile, int64_t index);

/* What follows the last slash; the whole path when there is none or nothing follows it. */
const char *pprof_basename(const char *path);

/* Writes "base+0xADDRESS", the name of code without a symbol; `ret` has room for strlen(base) + 20. */
void pprof_address_name(char *ret, const char *base, uint64_t address);
