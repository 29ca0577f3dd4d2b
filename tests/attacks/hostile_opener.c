/* hostile_opener WORKER: what anybody who may execute the worker can do to a supervisor, playing its opener
 * and its launcher. Whatever is not a complete set of perf descriptors is refused: no MAPPED, no READY, no
 * crash, and nothing left over. */

#include "tests/attacks/peer.h"

#include "ipc/fd.h"
#include "policy/events.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RING_BYTES 65536u

/* ---- what may lie in place of a perf descriptor ---- */

static int
make_event(void)
{
	struct perf_event_attr attributes = event_policy(EVENT_SIDEBAND)->attributes;
	int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		return fd;
	attributes.read_format = 0; /* before Linux 6.0 */
	attributes.build_id = 0;    /* before Linux 5.12 */
	return (int)syscall(SYS_perf_event_open, &attributes, 0, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

static int
make_pipe(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) < 0 ? -1 : (close(ends[1]), ends[0]);
}

/* It can be mapped like a ring, and its owner could then write records and a head of its own choice. */
static int
make_memory(void)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);

	return ftruncate(fd, RING_BYTES + 4096) < 0 ? -1 : fd;
}

static int
make_counter(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int
make_file(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int
make_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
make_zeros(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int
make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
make_process(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

#define NO_LIE 1, 1, 1, RING_BYTES, 0
static const struct ring_lie {
	const char *what;
	int (*make[2])(void); /* the first descriptor, and all others */
	uint32_t total, count;
	size_t fd_count;
	uint32_t data_size;
	uint16_t cpu;
	bool stops_early;  /* the channel is closed before everything has come */
	bool has_one_ring; /* only the first is said to have one */
} ring_lies[] = {
	{"a pipe", {make_pipe}, NO_LIE},
	{"memory", {make_memory}, NO_LIE},
	{"an eventfd", {make_counter}, NO_LIE},
	{"a file", {make_file}, NO_LIE},
	{"a folder", {make_folder}, NO_LIE},
	{"/dev/zero", {make_zeros}, NO_LIE},
	{"a socket", {make_socket}, NO_LIE},
	{"a pidfd", {make_process}, NO_LIE},
	{"a pipe behind an event", {make_event, make_pipe}, 2, 2, 2, RING_BYTES, 0},
	{"memory behind an event", {make_event, make_memory}, 2, 2, 2, RING_BYTES, 0},
	{"253 pipes", {make_pipe, make_pipe}, 253, 253, 253, RING_BYTES, 0},
	{"none", {make_event}, 0, 0, 0, RING_BYTES, 0},
	{"one announced, none attached", {make_event}, 1, 1, 0, RING_BYTES, 0},
	{"two announced, one attached", {make_event}, 2, 2, 1, RING_BYTES, 0},
	{"one announced, two attached", {make_event, make_event}, 1, 1, 2, RING_BYTES, 0},
	{"more than there can be", {make_event}, MAX_EVENTS + 1, 1, 1, RING_BYTES, 0},
	{"a total far out", {make_event}, UINT32_MAX, 1, 1, RING_BYTES, 0},
	{"a count far out", {make_event}, 1, UINT32_MAX, 1, RING_BYTES, 0},
	{"the second batch missing", {make_event}, 2, 1, 1, RING_BYTES, 0, true},
	{"only an event without a ring", {make_event}, 1, 1, 1, 0, 0},
	{"a ring of 3 pages", {make_event}, 1, 1, 1, 12288, 0},
	{"a ring of 2 GiB", {make_event}, 1, 1, 1, 1u << 31, 0},
	{"a pipe as another level's event",
	 {make_event, make_pipe},
	 2,
	 2,
	 2,
	 RING_BYTES,
	 0,
	 .has_one_ring = true},
	{"memory as another level's event",
	 {make_event, make_memory},
	 2,
	 2,
	 2,
	 RING_BYTES,
	 0,
	 .has_one_ring = true},
	{"more events than levels can need",
	 {make_event, make_event},
	 MAX_OTHER_EVENTS + 2,
	 MAX_OTHER_EVENTS + 2,
	 MAX_OTHER_EVENTS + 2,
	 RING_BYTES,
	 0,
	 .has_one_ring = true},
	{"CPU 65535", {make_event}, 1, 1, 1, RING_BYTES, UINT16_MAX},
};

static pid_t
start_supervisor(char *program, int ret_channels[static 2])
{
	static char role[] = "supervisor", report[SANDBOX_REPORT_BYTES + 1];
	char *argv[] = {program, role, report, NULL}, *envp[] = {NULL};
	int launch[2], handover[2];

	memset(report, ' ', SANDBOX_REPORT_BYTES);
	channel_pair(launch);
	channel_pair(handover);
	pid_t child = peer_start(argv, envp, launch[1], handover[1], 0);
	close_fd(&launch[1]);
	close_fd(&handover[1]);
	ret_channels[0] = launch[0];
	ret_channels[1] = handover[0];
	return child;
}

static void
send_setup(int channel)
{
	struct launch_request request = peer_request();
	int fds[PEER_LAUNCH_FDS];

	peer_launch_fds(fds);
	channel_send(channel, MESSAGE_SETUP, &request, sizeof(request), fds, PEER_LAUNCH_FDS);
	for (size_t i = 0; i < PEER_LAUNCH_FDS; i++)
		close_fd(&fds[i]);
}

static bool
is_refused(const char *what, pid_t child, int channels[2], bool stops_early)
{
	if (stops_early)
		close_fd(&channels[1]);
	int mapped = stops_early ? -1 : peer_wait_for(channels[1], MESSAGE_MAPPED);
	int answer = peer_wait_for(channels[0], MESSAGE_ANSWER);

	close_fd(&channels[0]);
	close_fd(&channels[1]);
	int status = peer_reap_all(child);
	if (mapped != 0 && answer > 0 && WIFEXITED(status) && WEXITSTATUS(status) <= 1)
		return true;
	printf("NOT REFUSED: %s: mapped %d, answer %d, status %#x\n", what, mapped, answer, status);
	return false;
}

static bool
tell_ring_lie(char *program, const struct ring_lie *lie)
{
	struct rings_message body = {.total = lie->total, .count = lie->count};
	int channels[2], fds[CHANNEL_MAX_FDS];

	for (size_t i = 0; i < CHANNEL_MAX_FDS; i++)
		body.ring[i] = (struct ring_description){
			.cpu = lie->cpu, .data_size = i > 0 && lie->has_one_ring ? 0 : lie->data_size};
	for (size_t i = 0; i < lie->fd_count; i++)
		if ((fds[i] = lie->make[i > 0]()) < 0)
			perror(lie->what);
	pid_t child = start_supervisor(program, channels);
	send_setup(channels[1]);
	channel_send(channels[1], MESSAGE_RINGS, &body, sizeof(body), fds, lie->fd_count);
	for (size_t i = 0; i < lie->fd_count; i++)
		close_fd(&fds[i]);
	return is_refused(lie->what, child, channels, lie->stops_early);
}

/* ---- other messages than those it waits for ---- */

enum out_of_order {
	RINGS_WITHOUT_SETUP,
	SETUP_TWICE,
	SETUP_WITHOUT_FDS,
	SETUP_WITH_MORE_FDS,
	NOTHING,
	ORDER_COUNT,
};
static const char *const orders[ORDER_COUNT] = {"rings without setup", "setup twice",
						"setup without descriptors", "setup with more descriptors",
						"nothing"};

static bool
send_out_of_order(char *program, enum out_of_order order)
{
	struct launch_request request = peer_request();
	struct rings_message body = {.total = 1, .count = 1, .ring = {{.data_size = RING_BYTES}}};
	int channels[2], event = make_event(), many[4] = {event, event, event, event};
	pid_t child = start_supervisor(program, channels);

	if (order == SETUP_TWICE) {
		send_setup(channels[1]);
		send_setup(channels[1]);
	} else if (order == SETUP_WITHOUT_FDS || order == SETUP_WITH_MORE_FDS) {
		channel_send(channels[1], MESSAGE_SETUP, &request, sizeof(request), many,
			     order == SETUP_WITHOUT_FDS ? 0 : 4);
	} else if (order == RINGS_WITHOUT_SETUP) {
		channel_send(channels[1], MESSAGE_RINGS, &body, sizeof(body), &event, 1);
	}
	close_fd(&event);
	return is_refused(orders[order], child, channels, order == NOTHING);
}

/* The control: a true set is accepted, so the refusals above are about the lies. */
static bool
is_true_set_accepted(char *program)
{
	struct rings_message body = {.total = 1, .count = 1, .ring = {{.data_size = RING_BYTES}}};
	int channels[2], event = make_event();
	pid_t child = start_supervisor(program, channels);

	send_setup(channels[1]);
	channel_send(channels[1], MESSAGE_RINGS, &body, sizeof(body), &event, 1);
	close_fd(&event);
	int mapped = peer_wait_for(channels[1], MESSAGE_MAPPED);
	int answer = peer_wait_for(channels[0], MESSAGE_ANSWER);
	(void)channel_send(channels[0], MESSAGE_CANCEL, NULL, 0, NULL, 0);
	close_fd(&channels[0]);
	close_fd(&channels[1]);
	(void)peer_reap_all(child);
	if (mapped == 0 && answer == 0)
		return true;
	printf("REFUSED: a true set: mapped %d, answer %d\n", mapped, answer);
	return false;
}

/* unix(7): the kernel itself stops what would not fit our buffer. */
static bool
is_too_much_for_the_kernel(void)
{
	int ends[2], fds[CHANNEL_MAX_FDS + 1];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {0};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	channel_pair(ends);
	for (size_t i = 0; i < CHANNEL_MAX_FDS + 1; i++)
		fds[i] = ends[0];
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(rights), fds, sizeof(fds));
	bool result = sendmsg(ends[0], &message, MSG_NOSIGNAL) < 0 && errno == EINVAL;
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	return result;
}

int
main(int argc, char **argv)
{
	unsigned told = 2, refused = 0;

	if (argc != 2)
		return 2;
	refused += is_true_set_accepted(argv[1]);
	refused += is_too_much_for_the_kernel();
	for (size_t i = 0; i < sizeof(ring_lies) / sizeof(ring_lies[0]); i++, told++)
		refused += tell_ring_lie(argv[1], &ring_lies[i]);
	for (int i = 0; i < ORDER_COUNT; i++, told++)
		refused += send_out_of_order(argv[1], (enum out_of_order)i);
	printf("%u cases, %u as they should be\n", told, refused);
	return told == refused ? 0 : 1;
}
