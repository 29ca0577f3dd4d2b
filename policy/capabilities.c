/* Drop, then verify: a seccomp filter of somebody else may answer capset(2) with success and do nothing
 * (the sendmail capability bug), so only the sets that are read back count. */

#include "policy/capabilities.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static bool
is_empty(void)
{
	cap_t now = cap_get_proc();
	cap_t none = cap_init();
	bool empty = now && none && cap_compare(now, none) == 0;

	cap_free(now);
	cap_free(none);
	return empty;
}

/* First, while CAP_SETPCAP may still be there. Numbers the kernel does not know are EINVAL; where it says yes
 * to everything, the set is as wide as the kernel's type. */
static void
empty_bounding_set(void)
{
	for (unsigned long capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return;
}

int
capabilities_drop_all(void)
{
	empty_bounding_set();
	/* Ambient needs no right. Kernels before 4.3 have no ambient set (EINVAL). */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;

	cap_t none = cap_init();
	if (!none)
		return -ENOMEM;
	int result = cap_set_proc(none) < 0 ? -errno : 0;
	cap_free(none);
	if (result < 0)
		return result;
	return is_empty() ? 0 : -EPERM;
}
