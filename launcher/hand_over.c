/* Starts the supervisor without any right, and gives it the descriptors once the opener has none either. */

#include "launcher/opener.h"

#include "ipc/channel.h"
#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "launcher/forbidden.h"

#define MAPPED_TIMEOUT_MS 5000

static _Noreturn void
become_supervisor(const struct admin_policy *policy, int handover)
{
	static char name[] = "ddprof-worker", role[] = "supervisor", report[] = SANDBOX_REPORT_BLANK;
	char *const argv[] = {name, role, report, NULL}, *const envp[] = {NULL};

	leave_audit_trail();
	become_worker_user(policy);
	drop_all_privileges(); /* no_new_privs is set: exec gives nothing back, not even to root */
	if (place_fd(handover, FD_HANDOVER) < 0 || close_range(FD_HANDOVER + 1, ~0u, 0) < 0)
		die(FAILURE_SETUP, errno);
	execve(DDPROF_LIBEXECDIR "/ddprof-worker", argv, envp);
	die(FAILURE_WORKER_MISSING, errno);
}

void
start_supervisor(struct opening *opening)
{
	int ends[2];
	int result = channel_pair(ends);

	if (result < 0)
		die(FAILURE_SETUP, -result);
	pid_t child = fork();
	if (child < 0)
		die(FAILURE_SETUP, errno);
	if (child == 0)
		become_supervisor(&opening->policy, ends[1]);
	close_fd(&ends[1]);
	opening->supervisor = ends[0];
}

/* A closed channel is all that is to be said of a process that ended. */
static _Noreturn void
die_without_worker(int error)
{
	die(FAILURE_WORKER_DIED, error == EPIPE || error == ECONNRESET ? 0 : error);
}

static void
send_setup(struct opening *opening)
{
	int fds[LAUNCH_FD_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < LAUNCH_FD_COUNT; i++)
		if (opening->launcher_fd[i] >= 0)
			fds[count++] = opening->launcher_fd[i];
	int result = channel_send(opening->supervisor, MESSAGE_SETUP, &opening->request,
				  sizeof(opening->request), fds, count);
	if (result < 0)
		die_without_worker(-result);
}

/* Waits for MAPPED: were the last mapping ours, the rings would go with us. */
void
hand_over(struct opening *opening)
{
	static struct message message;

	send_setup(opening);
	int result = ring_set_send(opening->supervisor, &opening->rings);
	if (result == 0)
		result = channel_receive(opening->supervisor, &message, MAPPED_TIMEOUT_MS);
	if (result < 0)
		die_without_worker(-result);
	const struct answer *answer = message_expect(&message, MESSAGE_MAPPED, sizeof(*answer), 0);
	if (!answer)
		die(FAILURE_WORKER_DIED, EBADMSG);
	if (answer->failure != FAILURE_NONE)
		die(answer->failure, answer->error);
}
