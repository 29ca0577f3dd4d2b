#pragma once
/* What a target keeps of its capabilities: all but these are given up for good, and that is read back. (The
 * opener keeps none, and its trusted base stays smaller with a file of its own: capabilities.h.) */

#include <stdint.h>

/* Sets of capabilities are bit masks here: bit CAP_... of linux/capability.h. */
#define CAPABILITY_BIT(capability) (UINT64_C(1) << (capability))
#define CAPABILITY_NAME_MAX 64

/* The capability called `name`, with or without "cap_", in any case; -EINVAL when there is none. */
int capability_from_name(const char *name);

/* The other way round, "cap_...", terminated. */
void capability_name(int capability, char ret[CAPABILITY_NAME_MAX]);

/* The calling thread's permitted and ambient sets; empty when they cannot be read. */
uint64_t capabilities_permitted(void);
uint64_t capabilities_ambient(void);

/* Takes everything but `kept` out of the bounding set, where CAP_SETPCAP is permitted; nobody else can
 * (capabilities(7)), and then 0 is returned with the set as it was. 0, or -errno as below. */
int capabilities_limit_bounding(uint64_t kept);

/* Leaves exactly `kept` in the permitted, effective and inheritable sets of the calling thread, and in the
 * ambient set where exec would not give it to the program otherwise. 0, or -errno; -EPERM also when the
 * kernel said yes and the sets say otherwise. */
int capabilities_keep_only(uint64_t kept);
