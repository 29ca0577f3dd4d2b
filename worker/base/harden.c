/* Ordered so that each step still has the right to be taken; the filter comes last, by its own function. */

#include "worker/base/harden.h"

#include "policy/capabilities.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int
harden_process(void)
{
	struct rlimit none = {0};

	/* A process of the same user could otherwise attach and read stack bytes. The installed file is not
	 * readable (mode 0711) so that this already holds between exec and here. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	umask(077);
	if (chdir("/") < 0)
		return -errno;
	return capabilities_drop_all();
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

int
harden_confine(enum role role)
{
	return filter_install(role);
}
