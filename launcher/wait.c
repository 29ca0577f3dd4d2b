/* --wait: a parent that is as invisible as a parent can be. It stays in the target's process group, passes
 * on what is sent to it, stops when the target stops, and ends the way the target ended. With --drop_caps it
 * has no more rights than the target. */

#include "launcher/launch.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "ipc/summary.h"
#include "policy/kept_capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SUMMARY_TIMEOUT_MS 30000
#define CONTINUE_PAUSE_MS 5
#define CONTINUE_CHECKS 10

/* Signals of the terminal (si_code SI_KERNEL) reached the whole process group already. */
static void
forward(pid_t target, const siginfo_t *info)
{
	if (info->si_code <= 0 && info->si_pid != target)
		kill(target, info->si_signo);
}

/* Stops with the target, for our parent (a shell) to see, and is continued: by a signal to the whole group,
 * which the target got too, or by one to us alone, which it must then be passed. */
static void
stop_with(pid_t target)
{
	const struct timespec pause = {.tv_nsec = CONTINUE_PAUSE_MS * 1000000}, now = {0};
	siginfo_t change = {0};
	sigset_t continued;

	kill(getpid(), SIGSTOP);
	sigemptyset(&continued);
	sigaddset(&continued, SIGCONT);
	(void)sigtimedwait(&continued, NULL, &now); /* the one that continued us */
	for (int i = 0; i < CONTINUE_CHECKS; i++) {
		if (waitid(P_PID, (id_t)target, &change, WCONTINUED | WNOHANG) == 0 &&
		    change.si_pid == target)
			return;
		nanosleep(&pause, NULL);
	}
	kill(target, SIGCONT);
}

/* True once the target has ended. */
static bool
collect(pid_t target, int *ret_status)
{
	while (waitpid(target, ret_status, WNOHANG | WUNTRACED) == target) {
		if (!WIFSTOPPED(*ret_status))
			return true;
		stop_with(target);
	}
	return false;
}

static int
supervise(pid_t target)
{
	sigset_t all;
	siginfo_t info;
	int status;

	sigfillset(&all);
	while (!collect(target, &status)) {
		if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD)
			forward(target, &info);
	}
	return status;
}

static void
report(const struct log_destination *log, const struct launch_options *options, const char *output,
       int channel)
{
	const int timeout_ms = SUMMARY_TIMEOUT_MS + (int)options->export_grace_s * 1000;
	static struct message message;

	/* Fails when the worker is done already: its summary then waits in the socket. */
	(void)channel_send(channel, MESSAGE_TARGET_ENDED, NULL, 0, NULL, 0);
	int result = channel_receive(channel, &message, timeout_ms);
	if (result == 0 && message.kind == MESSAGE_CANCEL)
		return; /* not profiled, or not even executed, which was said at the start */
	const struct summary_message *summary =
		result < 0 ? NULL : message_expect(&message, MESSAGE_SUMMARY, sizeof(*summary), 0);
	if (summary)
		summary_log(&log->launcher, summary, output, options->delivery.spool);
	else
		log_line(&log->launcher, LOG_LEVEL_ERROR, "the worker %s",
			 result == -ETIMEDOUT ? "did not write its last profile in time"
					      : "ended before its last profile was written");
}

/* Dies by the target's signal, so that our parent sees what it would have seen; the core is the target's. */
static int
end_like(int status)
{
	struct rlimit no_core = {0};
	sigset_t set;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	setrlimit(RLIMIT_CORE, &no_core);
	(void)signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* A parent may signal a child of the same user without any right, and a target that lost its capabilities
 * stays that user. One that kept CAP_SETUID need not. */
static uint64_t
rights_to_forward(uint64_t target_keeps)
{
	if (!(target_keeps & CAPABILITY_BIT(CAP_SETUID)))
		return 0;
	return capabilities_permitted() & CAPABILITY_BIT(CAP_KILL);
}

/* Before anything is started, so that there is one failure and one line about it. */
static bool
lose_privileges_first(const struct launch_options *options, const struct log *log, int child)
{
	if (target_lose_privileges(rights_to_forward(options->kept_capabilities), log) < 0)
		return false;
	return write(child, "", 1) == 1;
}

static bool
has_parent_lost_them(int parent)
{
	char byte;
	ssize_t length;

	do
		length = read(parent, &byte, sizeof(byte));
	while (length < 0 && errno == EINTR);
	return length == sizeof(byte);
}

int
wait_for_target(const struct launch_options *options, const struct log_destination *log, const char *output,
		int (*launch)(void *context, int wait_fd), void *context)
{
	struct sigaction before, standard = {.sa_handler = SIG_DFL};
	sigset_t all, mask;
	int ends[2];
	int result = channel_pair(ends);

	if (result < 0) {
		log_line(&log->launcher, LOG_LEVEL_ERROR,
			 "cannot wait: %s; running the command without --wait", strerror(-result));
		return launch(context, -1);
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	sigaction(SIGCHLD, &standard, &before); /* an ignored SIGCHLD would lose the exit status */
	pid_t target = fork();
	if (target <= 0) {
		sigaction(SIGCHLD, &before, NULL);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		close_fd(&ends[0]);
		if (target == 0 && options->drop_caps && !has_parent_lost_them(ends[1]))
			return LAUNCH_EXIT_FAILURE;
		return launch(context, ends[1]);
	}
	close_fd(&ends[1]);
	if (options->drop_caps && !lose_privileges_first(options, &log->launcher, ends[0])) {
		close_fd(&ends[0]);
		return end_like(supervise(target)); /* 125, without having started anything */
	}
	int status = supervise(target);
	report(log, options, output, ends[0]);
	return end_like(status);
}
