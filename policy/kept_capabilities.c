/* Drop, then verify: a seccomp filter of somebody else may answer capset(2) with success and do nothing
 * (the sendmail capability bug), so only the sets that are read back count. */

#include "policy/kept_capabilities.h"

#include <ctype.h>
#include <errno.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PREFIX "cap_"
#define SET_BITS 64 /* of capset(2) */

static void
free_caps(cap_t *caps)
{
	cap_free(*caps);
}
#define OWNED_CAPS __attribute__((cleanup(free_caps))) cap_t

void
capability_name(int capability, char ret[CAPABILITY_NAME_MAX])
{
	char *name = cap_to_name(capability);

	snprintf(ret, CAPABILITY_NAME_MAX, "%s", name ? name : "?");
	cap_free(name);
}

/* cap_from_name(3) also takes numbers, and a name with anything behind it: the way back must agree. */
int
capability_from_name(const char *name)
{
	char full[CAPABILITY_NAME_MAX], again[CAPABILITY_NAME_MAX];
	bool has_prefix = strncasecmp(name, PREFIX, strlen(PREFIX)) == 0;
	int length = snprintf(full, sizeof(full), "%s%s", has_prefix ? "" : PREFIX, name);
	cap_value_t capability;

	if (length < 0 || (size_t)length >= sizeof(full))
		return -EINVAL;
	for (char *at = full; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (cap_from_name(full, &capability) < 0)
		return -EINVAL;
	capability_name(capability, again);
	return strcmp(full, again) == 0 ? capability : -EINVAL;
}

uint64_t
capabilities_permitted(void)
{
	OWNED_CAPS now = cap_get_proc();
	uint64_t permitted = 0;

	for (int capability = 0; now && capability < SET_BITS; capability++) {
		cap_flag_value_t value = CAP_CLEAR;

		if (cap_get_flag(now, capability, CAP_PERMITTED, &value) == 0 && value == CAP_SET)
			permitted |= CAPABILITY_BIT(capability);
	}
	return permitted;
}

uint64_t
capabilities_ambient(void)
{
	uint64_t ambient = 0;

	for (int capability = 0; capability < SET_BITS; capability++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
			ambient |= CAPABILITY_BIT(capability);
	return ambient;
}

static int
put_in_effect(cap_value_t capability)
{
	OWNED_CAPS now = cap_get_proc();

	if (!now || cap_set_flag(now, CAP_EFFECTIVE, 1, &capability, CAP_SET) < 0 || cap_set_proc(now) < 0)
		return -errno;
	return 0;
}

int
capabilities_limit_bounding(uint64_t kept)
{
	if (!(capabilities_permitted() & CAPABILITY_BIT(CAP_SETPCAP)))
		return 0;
	int result = put_in_effect(CAP_SETPCAP);
	if (result < 0)
		return result;
	for (int capability = 0; capability < SET_BITS; capability++) {
		int is_in = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);

		if (is_in < 0 && errno == EINVAL && capability > 0)
			break; /* past the last one this kernel knows */
		if (is_in < 0)
			return -errno;
		if (is_in == 0 || kept & CAPABILITY_BIT(capability))
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -errno;
		if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 0)
			return -EPERM;
	}
	return 0;
}

/* exec gives a program of uid 0 what is inheritable, unless the securebits say otherwise; everybody else
 * gets what is ambient. */
static bool
exec_needs_ambient(void)
{
	return geteuid() != 0 || prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & SECBIT_NOROOT;
}

/* Both the order to the kernel and what it is held to: one mask in three sets. */
static cap_t
new_caps(uint64_t kept)
{
	cap_t caps = cap_init();

	for (cap_value_t capability = 0; caps && capability < SET_BITS; capability++) {
		if (!(kept & CAPABILITY_BIT(capability)))
			continue;
		for (cap_flag_t flag = CAP_EFFECTIVE; flag <= CAP_INHERITABLE; flag++)
			cap_set_flag(caps, flag, 1, &capability, CAP_SET);
	}
	return caps;
}

static int
set_ambient(uint64_t wanted)
{
	/* Lowering needs no right. Kernels before 4.3 have no ambient set (EINVAL). */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	for (int capability = 0; capability < SET_BITS; capability++)
		if (wanted & CAPABILITY_BIT(capability) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
			return -errno;
	return 0;
}

int
capabilities_keep_only(uint64_t kept)
{
	uint64_t ambient = exec_needs_ambient() ? kept : 0;
	OWNED_CAPS wanted = new_caps(kept);

	if (!wanted)
		return -ENOMEM;
	if (cap_set_proc(wanted) < 0)
		return -errno;
	int result = set_ambient(ambient);
	if (result < 0)
		return result;
	OWNED_CAPS now = cap_get_proc();
	return now && cap_compare(now, wanted) == 0 && capabilities_ambient() == ambient ? 0 : -EPERM;
}
