/* Ordered so that each step still has the right to be taken; the filter comes last, by its own function. */

#include "worker/base/harden.h"

#include "ipc/protocol.h"
#include "policy/capabilities.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/prctl.h of Linux 6.3 */
#define SET_MDWE 65
#define MDWE_REFUSE_EXEC_GAIN 1

/* Of this process, of which there is one. */
static struct {
	char *report; /* argv[2] */
	int landlock_abi;
	bool has_mdwe, has_own_keyring, was_dumpable;
} got;

static void
publish(void)
{
	char landlock[16] = "none", text[SANDBOX_REPORT_BYTES + 1];

	if (got.landlock_abi > 0)
		snprintf(landlock, sizeof(landlock), "%d", got.landlock_abi);
	snprintf(text, sizeof(text), "landlock=%s mdwe=%s keyring=%s", landlock, got.has_mdwe ? "on" : "none",
		 got.has_own_keyring ? "own" : "caller");
	memset(got.report, ' ', SANDBOX_REPORT_BYTES);
	memcpy(got.report, text, strlen(text));
}

/* Survives exec, so that roles have it before their first instruction. EINVAL: the kernel has no such thing.
 */
static int
refuse_exec_gain(void)
{
	if (prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0)
		return errno == EINVAL ? 0 : -errno;
	got.has_mdwe = true;
	return 0;
}

int
harden_process(char *report)
{
	struct rlimit none = {0};

	if (strlen(report) != SANDBOX_REPORT_BYTES)
		return -EINVAL;
	got.report = report;
	got.has_own_keyring = strstr(report, "keyring=own") != NULL; /* the supervisor's report: inherited */
	/* 1 is "its user may look in"; 2 ("root only") is as good as 0 (proc(5), suid_dumpable) */
	got.was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
	/* A process of the same user could otherwise attach and read stack bytes. The installed file is not
	 * readable (mode 0711) so that this already holds between exec and here. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int result = refuse_exec_gain();
	if (result < 0)
		return result;
	umask(077);
	if (chdir("/") < 0)
		return -errno;
	publish();
	return capabilities_drop_all();
}

bool
harden_was_dumpable(void)
{
	return got.was_dumpable;
}

/* ENOSYS (a kernel without keys), EPERM (a container's filter), EDQUOT: then the filters, which know no
 * other keyctl(2), are all there is between a role and the caller's keys. */
void
harden_leave_keyring(void)
{
	got.has_own_keyring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0;
	publish();
}

const char *
harden_report(void)
{
	return got.report;
}

int
harden_role_start(void)
{
	sigset_t none;

	(void)signal(SIGXFSZ, SIG_IGN); /* a caller's file size limit is a failed write, not a dead role */
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == 1 ? -ESRCH : 0; /* the supervisor died before PDEATHSIG was set */
}

/* Not for the supervisor: in a Landlock domain, whatever its rules, /proc/PID/root and /proc/PID/exe of a
 * process outside of it are closed (they need ptrace access), and those are what it is there for. Its filter
 * allows it to open files for reading only.
 * RLIMIT_FSIZE stays: it counts writes to a memfd too, and profiles are made there. */
static int
confine_role(const struct landlock_exceptions *exceptions)
{
	struct rlimit none = {0};

	if (setrlimit(RLIMIT_NPROC, &none) < 0)
		return -errno;
	int abi = landlock_confine(exceptions);
	if (abi < 0)
		return abi;
	got.landlock_abi = abi;
	publish();
	return 0;
}

int
harden_confine(enum role role, const struct landlock_exceptions *exceptions)
{
	int result = role == ROLE_SUPERVISOR ? 0 : confine_role(exceptions);

	return result < 0 ? result : filter_install(role);
}
