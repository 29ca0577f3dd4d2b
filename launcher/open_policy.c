/* What stands between a caller and the events besides the request itself: the administrator's policy, the
 * host's setting, the worker's files, and whose process this is about. */

#include "launcher/opener.h"

#include "launcher/line.h"
#include "policy/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/forbidden.h"

void
load_policy(struct opening *opening)
{
	static gid_t groups[NGROUPS_MAX + 1];
	struct admin_policy_problem problem = {0};
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		die(FAILURE_POLICY_FILE, errno);
	int result = admin_policy_load(root, /* owner= */ 0, &opening->policy, &problem);
	if (result < 0)
		die(problem.line ? FAILURE_POLICY_LINE : FAILURE_POLICY_FILE,
		    problem.line ? (int)problem.line : -result);
	close(root);

	int count = getgroups(NGROUPS_MAX, groups);
	if (count < 0)
		die(FAILURE_PRIVILEGES, errno);
	groups[count] = getgid();
	if (!admin_policy_allows_user(&opening->policy, getuid(), groups, (size_t)count + 1))
		die(FAILURE_POLICY_GROUP, 0);
}

/* At 1 a set-uid program stays dumpable, and the kernel leaves our events on it (proc_sys_fs(5)). */
static void
require_suid_not_dumpable(void)
{
	char value = 0;
	int fd = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &value, 1) != 1)
		die(FAILURE_SUID_DUMPABLE, errno);
	close(fd);
	if (value != '0' && value != '2')
		die(FAILURE_SUID_DUMPABLE, 0);
}

static bool
is_roots(const char *path, mode_t forbidden)
{
	struct stat status;

	if (stat(path, &status) < 0)
		die(FAILURE_WORKER_MISSING, errno);
	return status.st_uid == 0 && (status.st_mode & forbidden) == 0;
}

/* The worker holds descriptors that no check guards any more: where we add a privilege to what the caller
 * has, it must be root's file, and unreadable, which keeps the caller's other processes out of it. */
static void
require_trusted_worker(void)
{
	if (getuid() == 0 || !(may_raise(CAP_PERFMON) || may_raise(CAP_SYS_ADMIN)))
		return;
	if (!is_roots(DDPROF_LIBEXECDIR, S_IWGRP | S_IWOTH) ||
	    !is_roots(DDPROF_LIBEXECDIR "/ddprof-worker", S_IWGRP | S_IWOTH | S_IRGRP | S_IROTH))
		die(FAILURE_WORKER_MODE, 0);
}

void
require_safe_host(void)
{
	require_suid_not_dumpable();
	require_trusted_worker();
}

/* /proc/PID/environ belongs to the process's effective user and group only while that process is dumpable
 * (proc(5)): one stat answers "is it the caller's own plain process". A parent that changed meanwhile has
 * lost its events in the kernel, or is no longer our parent. */
void
require_own_parent(const struct opening *opening)
{
	struct line path = {0};
	struct stat status;

	line_add(&path, "/proc/");
	line_add_number(&path, (uint64_t)opening->parent);
	line_add(&path, "/environ");
	if (stat(path.text, &status) < 0)
		die(FAILURE_PARENT, errno);
	if (status.st_uid != getuid() || status.st_gid != getgid() || getppid() != opening->parent)
		die(FAILURE_PARENT, 0);
}
