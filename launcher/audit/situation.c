/* Asks first, so that each check can be understood in the light of all answers. */

#include "launcher/audit/situation.h"

#include "launcher/audit/probe.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

static void
read_paranoid(struct situation *situation)
{
	char text[32];

	situation->has_paranoid =
		read_small_file("/proc/sys/kernel/perf_event_paranoid", text, sizeof(text)) > 0;
	situation->paranoid = situation->has_paranoid ? strtol(text, NULL, 10) : 0;
}

/* The initial user namespace maps every id to itself. */
static bool
is_foreign_namespace(void)
{
	char text[256];
	unsigned long inside, outside, count;

	if (read_small_file("/proc/self/uid_map", text, sizeof(text)) <= 0)
		return false;
	return sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 || outside != 0 ||
	       count != UINT32_MAX;
}

static void
read_opener(struct situation *situation)
{
	struct opener_origin *origin = &situation->origin;
	struct stat status;
	struct statvfs mount;
	char attribute[64];

	situation->is_opener_there = stat(OPENER, &status) == 0;
	if (!situation->is_opener_there)
		return;
	origin->is_set_uid_root = status.st_mode & S_ISUID && status.st_uid == 0;
	origin->is_nosuid = statvfs(OPENER, &mount) == 0 && mount.f_flag & ST_NOSUID;
	ssize_t size = getxattr(OPENER, "security.capability", attribute, sizeof(attribute));
	if (size <= 0)
		return;
	situation->file_capability_error = file_capability_decode(attribute, (size_t)size, &origin->file);
	origin->has_file_capability = situation->file_capability_error == 0;
}

static void
read_caller(struct situation *situation)
{
	struct opener_origin *origin = &situation->origin;
	const uint64_t *sets = situation->self.capability;

	origin->is_root = situation->self.uid[1] == 0;
	origin->inheritable = sets[SET_INHERITABLE];
	origin->permitted = sets[SET_PERMITTED];
	origin->bounding = sets[SET_BOUNDING];
	origin->ambient = sets[SET_AMBIENT];
	origin->no_new_privs = situation->self.no_new_privs;
	origin->is_foreign_namespace = is_foreign_namespace();
}

static void
ask_kernel(struct situation *situation)
{
	uint64_t permitted = situation->self.capability[SET_PERMITTED];
	bool has_perfmon = permitted & BIT(CAP_PERFMON) && !situation->origin.is_foreign_namespace;

	situation->reach = probe_reach();
	situation->plain = probe_open(0);
	situation->own = probe_open(permitted);
	situation->perfmon = has_perfmon ? probe_open(BIT(CAP_PERFMON)) : PROBE_FAILED;
	/* Upstream asks for neither at any level; whoever asks (a distribution's patch above level 2) has not
	 * taken CAP_PERFMON so far, which only who has it can try. */
	situation->needs_privilege = situation->reach == EINVAL && situation->plain == EACCES &&
				     (!situation->has_paranoid || situation->paranoid > 2);
	situation->useful = BIT(CAP_SYS_ADMIN) | (situation->perfmon == PROBE_OK ? BIT(CAP_PERFMON) : 0);
}

void
situation_read(struct situation *ret)
{
	*ret = (struct situation){0};
	read_paranoid(ret);
	if (process_status_read(getpid(), &ret->self) < 0)
		ret->self.seccomp_filters = -1; /* no /proc: the checks that need it say so */
	read_opener(ret);
	read_caller(ret);
	ask_kernel(ret);
	ret->is_privileged =
		opener_capabilities(&ret->origin) & ret->useful && !opener_exec_fails(&ret->origin);
}

const char *
situation_capability(const struct situation *situation)
{
	return situation->useful & BIT(CAP_PERFMON) ? "cap_perfmon" : "cap_sys_admin";
}

bool
situation_is_withheld(const struct situation *situation)
{
	const struct opener_origin *origin = &situation->origin;
	bool is_on_file = origin->is_set_uid_root ||
			  (origin->has_file_capability && origin->file.permitted & situation->useful);

	return situation->needs_privilege && is_on_file && !situation->is_privileged;
}
