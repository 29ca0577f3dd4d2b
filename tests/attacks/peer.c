/* Plays the attacker's end of the launch and hand-over channels. */

#include "tests/attacks/peer.h"

#include "ipc/delivery.h"

#include "ipc/fd.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "policy/limits.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define LEFT_OVER_MS 20000
#define ANSWER_MS 15000

static _Noreturn void
end_test(const char *what)
{
	perror(what);
	exit(1);
}

pid_t
peer_start(char *const argv[], char *const envp[], int launch, int handover, unsigned flags)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	int shared = flags & PEER_SHARES_FS ? CLONE_FS : 0;
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD | shared, NULL, NULL, NULL, NULL);
	if (child < 0)
		end_test("clone");
	if (child > 0)
		return child;

	int high_launch = launch < 0 ? -1 : fcntl(launch, F_DUPFD_CLOEXEC, 10);
	int high_handover = handover < 0 ? -1 : fcntl(handover, F_DUPFD_CLOEXEC, 10);
	close(FD_LAUNCH);
	close(FD_HANDOVER);
	if (high_launch >= 0)
		dup2(high_launch, FD_LAUNCH);
	if (high_handover >= 0)
		dup2(high_handover, FD_HANDOVER);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (flags & 1u << (PEER_CLOSED_SHIFT + fd))
			close(fd);
	if (flags & PEER_TRACED)
		ptrace(PTRACE_TRACEME, 0, 0, 0);
	execve(argv[0], argv, envp);
	_exit(127);
}

struct worker_config
peer_config(void)
{
	return (struct worker_config){
		.upload_period_s = 59,
		.period_ns = 10101010,
		.target_pid = (uint32_t)getpid(),
		.service = "attacker",
		.output = "/tmp",
	};
}

int
peer_seal(const void *bytes, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		end_test("memfd");
	return fd;
}

struct launch_request
peer_request(void)
{
	return (struct launch_request){
		.present = 1u << LAUNCH_FD_CONFIG | 1u << LAUNCH_FD_OUTPUT | 1u << LAUNCH_FD_DELIVERY,
		.event = EVENT_SCPU,
		.frequency_hz = FREQUENCY_DEFAULT_HZ,
		.levels = LEVELS_ALL,
	};
}

void
peer_launch_fds(int ret_fds[static PEER_LAUNCH_FDS])
{
	static const struct delivery_config delivery = {
		.count = 1, .destination = {{.kind = DESTINATION_FOLDER, .name = "/tmp"}}};
	struct worker_config config = peer_config();

	ret_fds[0] = peer_seal(&config, sizeof(config));
	ret_fds[1] = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret_fds[2] = peer_seal(&delivery, sizeof(delivery));
}

void
peer_send_raw(int channel, uint32_t kind, uint32_t size_in_head, const void *body, size_t size,
	      const int *fds, size_t fd_count)
{
	struct message_head head = {.kind = kind, .size = size_in_head};
	struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, size}};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))] = {0};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (fd_count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
	}
	/* EPIPE: it has refused something before and is gone */
	if (sendmsg(channel, &message, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		end_test("sendmsg");
}

int
peer_wait_for(int channel, enum message_kind kind)
{
	static struct message message;
	int failure = -1;

	while (channel_receive(channel, &message, ANSWER_MS) == 0) {
		const struct answer *answer = (const void *)message.body;

		if (message.fd_count > 0)
			end_test("a descriptor came out");
		if (message.kind == (uint32_t)kind && failure < 0)
			failure = (int)answer->failure;
		if (failure == 0)
			break;
	}
	return failure;
}

int
peer_reap_all(pid_t child)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int status, result = -1;

	for (int waited_ms = 0; waited_ms < LEFT_OVER_MS;) {
		pid_t ended = waitpid(-1, &status, WNOHANG | __WALL);

		if (ended < 0 && errno == ECHILD)
			return result;
		if (ended == child)
			result = status;
		if (ended != 0)
			continue;
		nanosleep(&pause, NULL);
		waited_ms++;
	}
	errno = ETIMEDOUT;
	end_test("a process is left over");
}
