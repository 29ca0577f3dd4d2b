/* A message arrives complete, of the announced size and with all its descriptors, or it does not arrive and
 * nothing of it stays open. */

#include "ipc/channel.h"

#include "ipc/fd.h"
#include "tests/support/clock.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static int ends[2];
static size_t descriptors_before;
static struct message message;

static int
open_pair(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	return channel_pair(ends);
}

/* Every test must leave as many descriptors as it found. */
static int
close_pair(void **state)
{
	(void)state;
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static void
fill_with(int *fds, size_t count, int fd)
{
	for (size_t i = 0; i < count; i++)
		fds[i] = fd;
}

static void
test_round_trip(void **state)
{
	static const size_t counts[] = {0, 1, 2, CHANNEL_MAX_FDS};
	static const size_t sizes[] = {0, 1, 8, 4096, MESSAGE_MAX_BODY};
	static uint8_t body[MESSAGE_MAX_BODY];
	int fds[CHANNEL_MAX_FDS];
	OWNED_FD file = file_with("passed on");

	(void)state;
	fill_with(fds, CHANNEL_MAX_FDS, file);
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31);
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			assert_int_equal(
				channel_send(ends[0], MESSAGE_PROFILE, body, sizes[s], fds, counts[c]), 0);
			assert_int_equal(channel_receive(ends[1], &message, 1000), 0);
			assert_int_equal(message.kind, MESSAGE_PROFILE);
			assert_int_equal(message.size, sizes[s]);
			assert_int_equal(message.fd_count, counts[c]);
			assert_memory_equal(message.body, body, sizes[s]);
			for (size_t i = 0; i < counts[c]; i++) {
				assert_true(is_same_file(message.fd[i], file));
				assert_int_equal(fcntl(message.fd[i], F_GETFD), FD_CLOEXEC);
			}
			message_discard(&message);
			assert_int_equal(message.fd_count, 0);
		}
	}
}

/* A datagram is a message: two sends are two receives, in order, whatever their sizes. */
static void
test_boundaries_are_kept(void **state)
{
	(void)state;
	assert_int_equal(channel_send(ends[0], MESSAGE_EXPORT, "ab", 2, NULL, 0), 0);
	assert_int_equal(channel_send(ends[0], MESSAGE_FINISH, NULL, 0, NULL, 0), 0);
	assert_int_equal(channel_receive(ends[1], &message, 1000), 0);
	assert_int_equal(message.kind, MESSAGE_EXPORT);
	assert_int_equal(message.size, 2);
	assert_int_equal(channel_receive(ends[1], &message, 1000), 0);
	assert_int_equal(message.kind, MESSAGE_FINISH);
	assert_int_equal(message.size, 0);
	assert_int_equal(channel_receive(ends[1], &message, 0), -ETIMEDOUT);
}

static void
test_send_refuses_too_much(void **state)
{
	static uint8_t body[MESSAGE_MAX_BODY + 1];
	int fds[CHANNEL_MAX_FDS + 1];

	(void)state;
	fill_with(fds, CHANNEL_MAX_FDS + 1, ends[0]);
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, NULL, 0, fds, CHANNEL_MAX_FDS + 1), -EMSGSIZE);
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, body, sizeof(body), NULL, 0), -EMSGSIZE);
	assert_int_equal(channel_receive(ends[1], &message, 0), -ETIMEDOUT);
	fds[1] = -1;
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, NULL, 0, fds, 2), -EBADF);
}

/* What a hostile peer sends with sendmsg() itself: any bytes, with descriptors. */
static void
send_raw(const void *bytes, size_t size, size_t fd_count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))] = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd_count > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		fill_with((int *)(void *)CMSG_DATA(rights), fd_count, ends[0]);
	}
	assert_int_equal(sendmsg(ends[0], &header, 0), size);
}

static void
test_malformed_messages(void **state)
{
	static const struct {
		const char *what;
		size_t size;        /* bytes on the wire */
		uint32_t announced; /* in the head */
	} cases[] = {
		{"no head at all", 1, 0},
		{"half a head", 4, 0},
		{"head cut by one", sizeof(struct message_head) - 1, 0},
		{"announces more than it brings", sizeof(struct message_head) + 8, 9},
		{"announces less than it brings", sizeof(struct message_head) + 8, 7},
		{"announces nothing, brings one", sizeof(struct message_head) + 1, 0},
		{"announces 4 GiB", sizeof(struct message_head), UINT32_MAX},
		{"one byte too many", sizeof(struct message_head) + MESSAGE_MAX_BODY + 1,
		 MESSAGE_MAX_BODY + 1},
		{"one byte too many, not announced", sizeof(struct message_head) + MESSAGE_MAX_BODY + 1,
		 MESSAGE_MAX_BODY},
	};
	static uint8_t bytes[2 * MESSAGE_MAX_BODY];
	static const size_t fd_counts[] = {0, 1, 3, CHANNEL_MAX_FDS};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message_head head = {.kind = MESSAGE_START, .size = cases[i].announced};

		memcpy(bytes, &head, sizeof(head));
		for (size_t f = 0; f < sizeof(fd_counts) / sizeof(fd_counts[0]); f++) {
			size_t before = count_descriptors();

			send_raw(bytes, cases[i].size, fd_counts[f]);
			if (channel_receive(ends[1], &message, 1000) != -EBADMSG)
				fail_msg("%s: accepted", cases[i].what);
			assert_int_equal(count_descriptors(), before);
			assert_int_equal(message.fd_count, 0);
		}
	}
}

/* An empty datagram cannot be told from the end of the connection; its descriptors are closed all the same.
 */
static void
test_empty_datagram(void **state)
{
	size_t before = count_descriptors();

	(void)state;
	send_raw("", 0, 2);
	assert_int_equal(channel_receive(ends[1], &message, 1000), -EPIPE);
	assert_int_equal(count_descriptors(), before);
}

/* A full descriptor table: the kernel installs what fits and sets MSG_CTRUNC. */
static void
test_full_descriptor_table(void **state)
{
	struct rlimit before, tiny;
	int fds[20];
	size_t open_now = count_descriptors();

	(void)state;
	fill_with(fds, 20, ends[0]);
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, NULL, 0, fds, 20), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tiny = before;
	tiny.rlim_cur = (rlim_t)ends[1] + 6; /* room for a few of the twenty */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tiny), 0);
	int result = channel_receive(ends[1], &message, 1000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(result, -EMFILE);
	assert_int_equal(count_descriptors(), open_now);
}

static void
test_closed_peer(void **state)
{
	(void)state;
	assert_int_equal(channel_send(ends[0], MESSAGE_CANCEL, NULL, 0, NULL, 0), 0);
	close_fd(&ends[0]);
	assert_int_equal(channel_receive(ends[1], &message, -1), 0); /* what was sent is still there */
	assert_int_equal(channel_receive(ends[1], &message, -1), -EPIPE);
	assert_int_equal(channel_receive(ends[1], &message, 1000), -EPIPE);
	assert_int_equal(channel_send(ends[1], MESSAGE_CANCEL, NULL, 0, NULL, 0), -EPIPE); /* no SIGPIPE */
}

/* The peer goes away without having read what we sent: the kernel says ECONNRESET to us. */
static void
test_closed_peer_with_unread_message(void **state)
{
	(void)state;
	assert_int_equal(channel_send(ends[1], MESSAGE_CANCEL, NULL, 0, &ends[1], 1), 0);
	close_fd(&ends[0]);
	assert_int_equal(channel_receive(ends[1], &message, 1000), -EPIPE);
}

static void
test_timeout(void **state)
{
	static const int timeouts_ms[] = {0, 1, 60};

	(void)state;
	for (size_t i = 0; i < sizeof(timeouts_ms) / sizeof(timeouts_ms[0]); i++) {
		int64_t start = clock_now_ms();

		assert_int_equal(channel_receive(ends[1], &message, timeouts_ms[i]), -ETIMEDOUT);
		assert_in_range(clock_now_ms() - start, timeouts_ms[i], timeouts_ms[i] + 2000);
	}
}

static void
on_alarm(int number)
{
	(void)number;
}

/* A signal every millisecond, without SA_RESTART. */
static void
set_signal_storm(bool on)
{
	struct sigaction action = {.sa_handler = on ? on_alarm : SIG_DFL};
	struct itimerval interval = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};

	if (on)
		assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &interval, NULL), 0);
	if (!on)
		assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
}

static void
test_signals_do_not_stretch_the_timeout(void **state)
{
	int64_t start = clock_now_ms();

	(void)state;
	set_signal_storm(true);
	int result = channel_receive(ends[1], &message, 100);
	set_signal_storm(false);
	assert_int_equal(result, -ETIMEDOUT);
	assert_in_range(clock_now_ms() - start, 100, 10000); /* begun anew by each, it would never end */
}

static void *
send_many(void *channel)
{
	static uint8_t body[MESSAGE_MAX_BODY];
	sigset_t all;

	sigfillset(&all); /* the storm is for the receiver */
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (int i = 0; i < 300; i++) {
		struct timespec pause = {.tv_nsec = 300000};

		if (channel_send(*(int *)channel, MESSAGE_RINGS, body, sizeof(body), channel, 1) < 0)
			return channel;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void
test_signals_lose_no_message(void **state)
{
	pthread_t sender;
	void *failed;
	int result = 0, received = 0;

	(void)state;
	assert_int_equal(pthread_create(&sender, NULL, send_many, &ends[0]), 0);
	set_signal_storm(true);
	while (received < 300 &&
	       (result = channel_receive(ends[1], &message, received % 2 ? -1 : 5000)) == 0) {
		received += message.size == MESSAGE_MAX_BODY && message.fd_count == 1;
		message_discard(&message);
	}
	set_signal_storm(false);
	assert_int_equal(pthread_join(sender, &failed), 0);
	assert_int_equal(result, 0);
	assert_null(failed);
	assert_int_equal(received, 300);
}

static void
send_and_receive(enum message_kind kind, size_t size, size_t fd_count)
{
	int fds[4] = {ends[0], ends[0], ends[0], ends[0]};

	assert_int_equal(channel_send(ends[0], kind, "0123456789abcdef", size, fds, fd_count), 0);
	assert_int_equal(channel_receive(ends[1], &message, 1000), 0);
}

static void
test_expect(void **state)
{
	static const struct {
		enum message_kind kind;
		size_t size, fd_count;
	} wrong[] = {
		{MESSAGE_START, 8, 2},   {MESSAGE_PROFILE, 7, 2}, {MESSAGE_PROFILE, 9, 2},
		{MESSAGE_PROFILE, 0, 2}, {MESSAGE_PROFILE, 8, 1}, {MESSAGE_PROFILE, 8, 3},
		{MESSAGE_PROFILE, 8, 0},
	};
	size_t before = count_descriptors();

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		send_and_receive(wrong[i].kind, wrong[i].size, wrong[i].fd_count);
		assert_null(message_expect(&message, MESSAGE_PROFILE, 8, 2));
		assert_int_equal(count_descriptors(), before);
		assert_int_equal(message.fd_count, 0);
	}
	send_and_receive(MESSAGE_PROFILE, 8, 2);
	assert_ptr_equal(message_expect(&message, MESSAGE_PROFILE, 8, 2), message.body);
	assert_int_equal(count_descriptors(), before + 2);

	OWNED_FD taken = message_take_fd(&message, 1);
	message_discard(&message); /* closes the other one only */
	assert_int_equal(count_descriptors(), before + 1);
	assert_true(is_same_file(taken, ends[0]));
}

/* A caller may have closed any of 0-2. In a child, which says how it went by its exit status. */
static void
test_pair_is_above_stdio(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			int pair[2] = {-1, -1};
			size_t before = count_descriptors();

			for (int fd = 0; fd < 3; fd++)
				if (closed >> fd & 1)
					close(fd);
			before -= (size_t)__builtin_popcount(closed);
			if (channel_pair(pair) < 0 || pair[0] < 3 || pair[1] < 3)
				_exit(1);
			if (fcntl(pair[0], F_GETFD) != FD_CLOEXEC || fcntl(pair[1], F_GETFD) != FD_CLOEXEC)
				_exit(2);
			for (int fd = 0; fd < 3; fd++)
				if ((closed >> fd & 1) && fcntl(fd, F_GETFD) >= 0)
					_exit(3);
			if (channel_send(pair[1], MESSAGE_READY, NULL, 0, NULL, 0) < 0 ||
			    channel_receive(pair[0], &message, 100) < 0)
				_exit(4);
			_exit(count_descriptors() == before + 2 ? 0 : 5);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* No room for the pair: an error, and neither end stays open. */
static void
test_pair_without_room(void **state)
{
	struct rlimit before, tiny;
	size_t open_now = count_descriptors();
	int pair[2] = {-7, -7};
	int free_fd = dup(ends[0]);

	(void)state;
	close(free_fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	tiny = before;
	tiny.rlim_cur = (rlim_t)free_fd + 1; /* room for one */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tiny), 0);
	int result = channel_pair(pair);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(result, -EMFILE);
	assert_int_equal(pair[0], -7); /* outputs are untouched on failure */
	assert_int_equal(count_descriptors(), open_now);
}

static void
test_is_terminated(void **state)
{
	char text[4] = {'a', 'b', 'c', 'd'};

	(void)state;
	assert_false(IS_TERMINATED(text));
	text[3] = 0;
	assert_true(IS_TERMINATED(text));
}

#define CHANNEL_TEST(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(test_round_trip),
		CHANNEL_TEST(test_boundaries_are_kept),
		CHANNEL_TEST(test_send_refuses_too_much),
		CHANNEL_TEST(test_malformed_messages),
		CHANNEL_TEST(test_empty_datagram),
		CHANNEL_TEST(test_full_descriptor_table),
		CHANNEL_TEST(test_closed_peer),
		CHANNEL_TEST(test_closed_peer_with_unread_message),
		CHANNEL_TEST(test_timeout),
		CHANNEL_TEST(test_signals_do_not_stretch_the_timeout),
		CHANNEL_TEST(test_signals_lose_no_message),
		CHANNEL_TEST(test_expect),
		CHANNEL_TEST(test_pair_is_above_stdio),
		CHANNEL_TEST(test_pair_without_room),
		cmocka_unit_test(test_is_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
