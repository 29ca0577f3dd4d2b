/* hostile_launcher OPENER MODE [ARGUMENT]: what anybody who may execute the opener can do to it.
 *
 *   requests        every lie about the one request: it must end with an error, and leave nothing
 *   kill            SIGKILL at each of its system calls: nothing of it may survive its parent's CANCEL
 *   honest [FLAGS]  a valid request, in whatever state we were started (FLAGS: enum peer_start_flag). Prints
 *                   "ready" and keeps the worker until standard input ends, or "failure N"; then "status N"
 *   becomes PROGRAM its parent has become PROGRAM before the request is sent; prints "failure N"
 *   orphan          its parent has ended before the request is sent; prints "failure N" */

#include "tests/attacks/peer.h"

#include "ipc/fd.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "policy/limits.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char *opener[] = {NULL, NULL};
static char *no_environment[] = {NULL};

static void
close_all(int fds[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		close_fd(&fds[i]);
}

/* The outcome of a lie: the opener ends by itself with a status that is not 0, and no READY was said. */
static bool
is_refused(const char *what, pid_t child, int channel)
{
	int failure = channel < 0 ? -1 : peer_wait_for(channel, MESSAGE_ANSWER);
	int status = peer_reap_all(child);

	if (failure == 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 127) {
		printf("NOT REFUSED: %s: failure %d, status %#x\n", what, failure, status);
		return false;
	}
	return true;
}

/* ---- lies in the request ---- */

#define HONEST_KIND MESSAGE_LAUNCH, 0, 0
#define HONEST_FDS HONEST_PRESENT, PEER_LAUNCH_FDS
#define HONEST_PRESENT (1u << LAUNCH_FD_CONFIG | 1u << LAUNCH_FD_OUTPUT | 1u << LAUNCH_FD_DELIVERY)
#define HONEST_VALUES EVENT_SCPU, 99, LEVELS_ALL, 0
static const struct request_lie {
	const char *what;
	uint32_t kind;
	int head_error, body_error; /* bytes more or less than the request */
	uint32_t present;
	size_t fd_count;
	uint32_t event, frequency_hz, levels, stack_bytes, kernel_frames;
} request_lies[] = {
	{"another kind", MESSAGE_SETUP, 0, 0, HONEST_FDS, HONEST_VALUES},
	{"kind 0", 0, 0, 0, HONEST_FDS, HONEST_VALUES},
	{"a kind far out", UINT32_MAX, 0, 0, HONEST_FDS, HONEST_VALUES},
	{"a byte short", MESSAGE_LAUNCH, -1, -1, HONEST_FDS, HONEST_VALUES},
	{"a byte too many", MESSAGE_LAUNCH, 1, 1, HONEST_FDS, HONEST_VALUES},
	{"no body", MESSAGE_LAUNCH, -24, -24, HONEST_FDS, HONEST_VALUES},
	{"announced longer", MESSAGE_LAUNCH, 8, 0, HONEST_FDS, HONEST_VALUES},
	{"announced shorter", MESSAGE_LAUNCH, -8, 0, HONEST_FDS, HONEST_VALUES},
	{"announced far out", MESSAGE_LAUNCH, INT32_MAX, 0, HONEST_FDS, HONEST_VALUES},
	{"a descriptor missing", HONEST_KIND, HONEST_PRESENT, 2, HONEST_VALUES},
	{"all descriptors missing", HONEST_KIND, HONEST_PRESENT, 0, HONEST_VALUES},
	{"a surplus descriptor", HONEST_KIND, HONEST_PRESENT, 4, HONEST_VALUES},
	{"253 descriptors", HONEST_KIND, HONEST_PRESENT, 253, HONEST_VALUES},
	{"an unknown descriptor", HONEST_KIND, 1u << LAUNCH_FD_COUNT | 1, 2, HONEST_VALUES},
	{"every descriptor bit", HONEST_KIND, UINT32_MAX, 32, HONEST_VALUES},
	{"no configuration", HONEST_KIND, 2, 1, HONEST_VALUES},
	{"no folder", HONEST_KIND, 1, 1, HONEST_VALUES},
	{"nothing at all", HONEST_KIND, 0, 0, HONEST_VALUES},
	{"the sideband event", HONEST_KIND, HONEST_FDS, EVENT_SIDEBAND, 99, LEVELS_ALL, 0},
	{"one event too far", HONEST_KIND, HONEST_FDS, EVENT_COUNT, 99, LEVELS_ALL, 0},
	{"an event far out", HONEST_KIND, HONEST_FDS, UINT32_MAX, 99, LEVELS_ALL, 0},
	{"a negative event", HONEST_KIND, HONEST_FDS, 0x80000001, 99, LEVELS_ALL, 0},
	{"frequency 0", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 0, LEVELS_ALL, 0},
	{"frequency one too high", HONEST_KIND, HONEST_FDS, EVENT_SCPU, FREQUENCY_MAX_HZ + 1, LEVELS_ALL, 0},
	{"frequency far out", HONEST_KIND, HONEST_FDS, EVENT_SCPU, UINT32_MAX, LEVELS_ALL, 0},
	{"no level", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, 0, 0},
	{"no level but a stack", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, 0, 32768},
	{"one level too far", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVEL_BIT(LEVEL_COUNT), 0},
	{"a level behind the honest ones", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL | 1u << 31, 0},
	{"every level bit", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, UINT32_MAX, 0},
	{"stack too small", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, STACK_MIN_BYTES - 8},
	{"stack not in words", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, 32764},
	{"stack too large", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, STACK_MAX_BYTES + 8},
	{"stack far out", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, 0xfffffff8},
	{"more of the kernel than there is", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, 0,
	 KERNEL_FRAMES_NAMED + 1},
	{"the kernel far out", HONEST_KIND, HONEST_FDS, EVENT_SCPU, 99, LEVELS_ALL, 0, UINT32_MAX},
};

static bool
tell_request_lie(const struct request_lie *lie)
{
	struct {
		struct launch_request request;
		char more[16];
	} body = {.request = {lie->present, lie->event, lie->frequency_hz, lie->levels, lie->stack_bytes,
			      lie->kernel_frames}};
	int ends[2], fds[CHANNEL_MAX_FDS];

	channel_pair(ends);
	peer_launch_fds(fds);
	for (size_t i = PEER_LAUNCH_FDS; i < lie->fd_count; i++)
		fds[i] = fds[1];
	peer_send_raw(ends[0], lie->kind, (uint32_t)((int)sizeof(body.request) + lie->head_error), &body,
		      (size_t)((int)sizeof(body.request) + lie->body_error), fds, lie->fd_count);
	pid_t child = peer_start(opener, no_environment, ends[1], -1, 0);
	close_fd(&ends[1]);
	bool result = is_refused(lie->what, child, ends[0]);
	close_fd(&ends[0]);
	close_all(fds, PEER_LAUNCH_FDS);
	return result;
}

/* ---- lies about the configuration and the folder ---- */

static int
make_unsealed(void)
{
	struct worker_config config = peer_config();
	int fd = memfd_create("config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return write(fd, &config, sizeof(config)) > 0 ? fd : -1;
}

static int
make_short(void)
{
	struct worker_config config = peer_config();

	return peer_seal(&config, sizeof(config) - 1);
}

static int
make_unterminated(void)
{
	struct worker_config config = peer_config();

	memset(config.tags, 'x', sizeof(config.tags));
	return peer_seal(&config, sizeof(config));
}

static int
make_zero_period(void)
{
	struct worker_config config = peer_config();

	config.period_ns = 0;
	return peer_seal(&config, sizeof(config));
}

static int
make_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	close(ends[1]);
	return ends[0];
}

static int
make_zeros(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static const struct config_lie {
	const char *what;
	int (*make)(void);
} config_lies[] = {
	{"configuration not sealed", make_unsealed}, {"configuration too short", make_short},
	{"text without end", make_unterminated},     {"a sample every 0 ns", make_zero_period},
	{"a pipe as configuration", make_pipe},      {"a device as configuration", make_zeros},
};

static bool
tell_config_lie(const struct config_lie *lie)
{
	struct launch_request request = peer_request();
	int ends[2], fds[PEER_LAUNCH_FDS];

	channel_pair(ends);
	peer_launch_fds(fds);
	close_fd(&fds[0]);
	fds[0] = lie->make();
	channel_send(ends[0], MESSAGE_LAUNCH, &request, sizeof(request), fds, PEER_LAUNCH_FDS);
	pid_t child = peer_start(opener, no_environment, ends[1], -1, 0);
	close_fd(&ends[1]);
	bool result = is_refused(lie->what, child, ends[0]);
	close_fd(&ends[0]);
	close_all(fds, PEER_LAUNCH_FDS);
	return result;
}

/* ---- something else than our channel at descriptor 3 ---- */

static int
make_nothing(void)
{
	return -1;
}

static int
make_closed_channel(void)
{
	int ends[2];

	channel_pair(ends);
	close(ends[0]);
	return ends[1];
}

static int
make_stream(void)
{
	struct launch_request request = peer_request();
	struct message_head head = {MESSAGE_LAUNCH, sizeof(request)};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	if (write(ends[0], &head, sizeof(head)) < 0 || write(ends[0], &request, sizeof(request)) < 0)
		return -1;
	close(ends[0]);
	return ends[1];
}

static const struct config_lie channel_lies[] = {
	{"no channel", make_nothing},         {"a channel nobody holds", make_closed_channel},
	{"a pipe as channel", make_pipe},     {"a file as channel", make_unsealed},
	{"a stream as channel", make_stream}, {"a device as channel", make_zeros},
};

static bool
tell_channel_lie(const struct config_lie *lie)
{
	int channel = lie->make();
	pid_t child = peer_start(opener, no_environment, channel, -1, 0);

	close_fd(&channel);
	return is_refused(lie->what, child, -1);
}

static bool
keep_silent(void)
{
	int ends[2];

	channel_pair(ends);
	pid_t child = peer_start(opener, no_environment, ends[1], -1, 0);
	close_fd(&ends[1]);
	bool result = is_refused("silence", child, ends[0]);
	close_fd(&ends[0]);
	return result;
}

static int
tell_lies(void)
{
	unsigned told = 0, refused = 0;

	for (size_t i = 0; i < sizeof(request_lies) / sizeof(request_lies[0]); i++, told++)
		refused += tell_request_lie(&request_lies[i]);
	for (size_t i = 0; i < sizeof(config_lies) / sizeof(config_lies[0]); i++, told++)
		refused += tell_config_lie(&config_lies[i]);
	for (size_t i = 0; i < sizeof(channel_lies) / sizeof(channel_lies[0]); i++, told++)
		refused += tell_channel_lie(&channel_lies[i]);
	told++;
	refused += keep_silent();
	printf("%u lies told, %u refused\n", told, refused);
	return told == refused ? 0 : 1;
}

/* ---- an honest request ---- */

static pid_t
start_honest(char *const envp[], unsigned flags, int *ret_channel)
{
	struct launch_request request = peer_request();
	int ends[2], fds[PEER_LAUNCH_FDS];

	channel_pair(ends);
	peer_launch_fds(fds);
	channel_send(ends[0], MESSAGE_LAUNCH, &request, sizeof(request), fds, PEER_LAUNCH_FDS);
	pid_t child = peer_start(opener, envp, ends[1], -1, flags);
	close_fd(&ends[1]);
	close_all(fds, PEER_LAUNCH_FDS);
	*ret_channel = ends[0];
	return child;
}

static int
be_honest(unsigned flags)
{
	char byte;
	int channel;
	pid_t child = start_honest(environ, flags, &channel);
	int failure = peer_wait_for(channel, MESSAGE_ANSWER);

	printf(failure == 0 ? "ready\n" : "failure %d\n", failure);
	fflush(stdout);
	while (failure == 0 && read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	(void)channel_send(channel, MESSAGE_CANCEL, NULL, 0, NULL, 0);
	close_fd(&channel);
	int status = peer_reap_all(child);
	printf("status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

/* True when it still ran at its `calls`-th system call stop, where it was killed. */
static bool
kill_at(unsigned calls)
{
	int channel, status;
	pid_t child = start_honest(no_environment, PEER_TRACED, &channel);
	bool killed = false;

	waitpid(child, &status, 0);
	for (unsigned i = 0; WIFSTOPPED(status); i++) {
		if (i == calls)
			killed = kill(child, SIGKILL) == 0;
		else if (ptrace(PTRACE_SYSCALL, child, 0, 0) < 0)
			break;
		waitpid(child, &status, 0);
	}
	(void)peer_wait_for(channel, MESSAGE_ANSWER); /* any answer will do, as long as everything ends */
	(void)channel_send(channel, MESSAGE_CANCEL, NULL, 0, NULL, 0);
	close_fd(&channel);
	(void)peer_reap_all(-1);
	return killed;
}

static int
kill_everywhere(void)
{
	unsigned calls = 0;

	while (kill_at(calls))
		calls++;
	printf("killed at %u points\n", calls);
	return calls > 50 ? 0 : 1; /* fewer: it ended early, and nothing was tested */
}

/* The opener's parent is us; a helper of ours holds the other end of the channel, and waits for us to be
 * somebody else, or gone, before it asks. */
static _Noreturn void
ask_when_parent_is_gone(int channel, pid_t parent)
{
	struct launch_request request = peer_request();
	char path[64], before[256], now[256] = "";
	int fds[PEER_LAUNCH_FDS];

	snprintf(path, sizeof(path), "/proc/%d/comm", parent);
	snprintf(before, sizeof(before), "%s", program_invocation_short_name);
	while (getppid() == parent) {
		OWNED_FD comm = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = comm < 0 ? 0 : read(comm, now, sizeof(now) - 1);

		if (got <= 0 || strncmp(now, before, 15) != 0)
			break;
		usleep(1000);
	}
	peer_launch_fds(fds);
	channel_send(channel, MESSAGE_LAUNCH, &request, sizeof(request), fds, PEER_LAUNCH_FDS);
	printf("failure %d\n", peer_wait_for(channel, MESSAGE_ANSWER));
	fflush(stdout);
	(void)channel_send(channel, MESSAGE_CANCEL, NULL, 0, NULL, 0);
	_exit(0);
}

static int
leave_the_opener(char *program)
{
	char seconds[] = "3", *argv[] = {program, seconds, NULL};
	pid_t us = getpid();
	int ends[2];

	channel_pair(ends);
	peer_start(opener, no_environment, ends[1], -1, 0);
	if (fork() == 0) {
		close_fd(&ends[1]);
		ask_when_parent_is_gone(ends[0], us);
	}
	if (!program)
		return 0;
	execve(program, argv, no_environment);
	return 1;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	opener[0] = argv[1];
	if (strcmp(argv[2], "requests") == 0)
		return tell_lies();
	if (strcmp(argv[2], "kill") == 0)
		return kill_everywhere();
	if (strcmp(argv[2], "honest") == 0)
		return be_honest(argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0);
	if (strcmp(argv[2], "becomes") == 0 && argc > 3)
		return leave_the_opener(argv[3]);
	return strcmp(argv[2], "orphan") == 0 ? leave_the_opener(NULL) : 2;
}
