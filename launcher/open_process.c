/* Makes the opener's process its own: descriptors, signals, timers and limits are not what a hostile
 * caller left, no capability is in effect, and the fence is on before anything is read. */

#include "launcher/opener.h"

#include "policy/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "launcher/forbidden.h"

/* A perf descriptor numbered 0-2 would be somebody's standard output one exec later. */
static void
fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			_exit(1);
	}
}

/* Masks, ignored signals and running timers survive exec (signal(7), setitimer(2)). */
static void
reset_signals(void)
{
	struct itimerval none = {0};
	sigset_t all;

	setitimer(ITIMER_REAL, &none, NULL);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		(void)signal(signal_number, SIG_DFL); /* KILL and STOP refuse, rightly */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL); /* only KILL and STOP interrupt us; the worker unblocks */
}

static void
set_limits(void)
{
	struct rlimit none = {0}, files;

	setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max; /* two descriptors per CPU, and the worker's files */
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

void
make_process_sane(struct opening *opening)
{
	fill_standard_descriptors();
	if (close_range(FD_LAUNCH + 1, ~0u, 0) < 0)
		die(FAILURE_SETUP, errno);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	reset_signals();
	set_limits();
	umask(077);
	opening->parent = getppid();
	opening->capability = NO_CAPABILITY;
	opening->caller_has_no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

void
install_fence(void)
{
	raise_only(NO_CAPABILITY);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(FAILURE_SANDBOX, errno);

	int result = filter_install(ROLE_OPENER);
	if (result < 0)
		die(FAILURE_SANDBOX, -result);
}
