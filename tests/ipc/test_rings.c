/* A ring set arrives whole, in order and described, or not at all. */

#include "ipc/rings.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static int ends[2], file; /* file: what stands for a perf descriptor */
static struct ring_set sent, received;
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	memset(&sent, 0, sizeof(sent));
	memset(&received, 0xa5, sizeof(received)); /* ring_set_receive() must not rely on what is there */
	file = file_with("ring");
	return channel_pair(ends);
}

static int
finish(void **state)
{
	(void)state;
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	close_fd(&file);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static void *
send_all(void *result)
{
	*(int *)result = ring_set_send(ends[0], &sent);
	return NULL;
}

/* Two rings for each of 512 CPUs: more than the queue of the socket holds, so somebody must read meanwhile.
 */
static void
test_largest_machine(void **state)
{
	int files[2] = {file_with("sideband"), file_with("samples")};
	struct rlimit files_limit;
	pthread_t sender;
	int result = -1;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files_limit), 0);
	files_limit.rlim_cur = files_limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files_limit), 0);
	if (files_limit.rlim_cur < MAX_EVENTS + 64)
		skip();
	sent.count = MAX_EVENTS;
	for (uint32_t i = 0; i < MAX_EVENTS; i++) {
		sent.fd[i] = files[i % 2];
		sent.about[i] = (struct ring_description){.cpu = (uint16_t)(i / 2),
							  .event = i % 2,
							  .level = i % 4,
							  .data_size = i < MAX_RINGS ? 4096u << i % 10 : 0};
	}
	assert_int_equal(pthread_create(&sender, NULL, send_all, &result), 0);
	assert_int_equal(ring_set_receive(ends[1], &received, 5000), 0);
	assert_int_equal(pthread_join(sender, NULL), 0);
	assert_int_equal(result, 0);
	assert_int_equal(received.count, MAX_EVENTS);
	assert_int_equal(received.ring_count, MAX_RINGS);
	assert_memory_equal(received.about, sent.about, sizeof(sent.about));
	for (uint32_t i = 0; i < MAX_EVENTS; i++)
		assert_true(is_same_file(received.fd[i], files[i % 2]));
	assert_int_equal(count_descriptors(), descriptors_before + 5 + MAX_EVENTS);
	ring_set_close(&received);
	assert_int_equal(received.count, 0);
	assert_int_equal(received.ring_count, 0);
	close(files[0]);
	close(files[1]);
}

/* One batch with its own idea of how many there are. */
static void
send_batch(uint32_t total, uint32_t count, uint32_t data_size, size_t fd_count)
{
	struct rings_message body = {.total = total, .count = count};
	int fds[CHANNEL_MAX_FDS];

	for (size_t i = 0; i < CHANNEL_MAX_FDS; i++) {
		body.ring[i].data_size = data_size;
		fds[i] = file;
	}
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, &body, sizeof(body), fds, fd_count), 0);
}

static void
test_broken_batches(void **state)
{
	static const struct {
		const char *what;
		struct {
			uint32_t total, count, data_size;
			size_t fd_count;
		} batch[3];
	} cases[] = {
		{"nothing at all", {{0, 0, 4096, 0}}},
		{"a batch of none", {{4, 0, 4096, 0}}},
		{"none announced, one brought", {{0, 1, 4096, 1}}},
		{"fewer descriptors than announced", {{2, 2, 4096, 1}}},
		{"more descriptors than announced", {{2, 2, 4096, 3}}},
		{"no descriptors", {{2, 2, 4096, 0}}},
		{"more in the batch than in all", {{2, 3, 4096, 3}}},
		{"more than a message can carry", {{1000, 254, 4096, 253}}},
		{"more than the largest machine", {{MAX_EVENTS + 1, 1, 4096, 1}}},
		{"four thousand million", {{UINT32_MAX, 1, 4096, 1}}},
		{"no ring at all", {{1, 1, 0, 1}}},
		{"a ring after what has none", {{3, 1, 4096, 1}, {3, 1, 0, 1}, {3, 1, 4096, 1}}},
		{"more without a ring than levels can need",
		 {{MAX_OTHER_EVENTS + 2, 1, 4096, 1},
		  {MAX_OTHER_EVENTS + 2, MAX_OTHER_EVENTS + 1, 0, MAX_OTHER_EVENTS + 1}}},
		{"less than a page", {{1, 1, 2048, 1}}},
		{"no power of two", {{1, 1, 4096 * 3, 1}}},
		{"one off a power of two", {{1, 1, 65535, 1}}},
		{"another total in the second batch", {{4, 2, 4096, 2}, {5, 2, 4096, 2}}},
		{"a smaller total in the second batch", {{4, 2, 4096, 2}, {1, 2, 4096, 2}}},
		{"more than were missing", {{4, 3, 4096, 3}, {4, 2, 4096, 2}}},
		{"an empty second batch", {{4, 3, 4096, 3}, {4, 0, 4096, 0}}},
		{"a third batch that is bad", {{4, 1, 4096, 1}, {4, 1, 4096, 1}, {4, 2, 4095, 2}}},
	};
	size_t before = count_descriptors();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t b = 0; b < 3; b++)
			if (b == 0 || cases[i].batch[b].total)
				send_batch(cases[i].batch[b].total, cases[i].batch[b].count,
					   cases[i].batch[b].data_size, cases[i].batch[b].fd_count);
		if (ring_set_receive(ends[1], &received, 1000) != -EBADMSG)
			fail_msg("%s: accepted", cases[i].what);
		assert_int_equal(received.count, 0);
		assert_int_equal(count_descriptors(), before);
	}
}

static void
test_other_messages(void **state)
{
	static const struct rings_message body = {.total = 1, .count = 1, .ring[0].data_size = 4096};
	size_t before = count_descriptors();

	(void)state;
	assert_int_equal(channel_send(ends[0], MESSAGE_PROFILE, &body, sizeof(body), &file, 1), 0);
	assert_int_equal(ring_set_receive(ends[1], &received, 1000), -EBADMSG);
	assert_int_equal(channel_send(ends[0], MESSAGE_RINGS, &body, sizeof(body) - 8, &file, 1), 0);
	assert_int_equal(ring_set_receive(ends[1], &received, 1000), -EBADMSG);
	assert_int_equal(received.count, 0);
	assert_int_equal(count_descriptors(), before);
}

/* The sender dies, or stops, after the first batch. */
static void
test_incomplete(void **state)
{
	size_t before = count_descriptors();

	(void)state;
	send_batch(4, 2, 4096, 2);
	assert_int_equal(ring_set_receive(ends[1], &received, 20), -ETIMEDOUT);
	assert_int_equal(received.count, 0);
	assert_int_equal(count_descriptors(), before);
	send_batch(4, 2, 4096, 2);
	close_fd(&ends[0]);
	assert_int_equal(ring_set_receive(ends[1], &received, 1000), -EPIPE);
	assert_int_equal(received.count, 0);
	assert_int_equal(count_descriptors(), before - 1);
}

static void
test_send_to_nobody(void **state)
{
	(void)state;
	sent.count = 1;
	sent.fd[0] = file;
	close_fd(&ends[1]);
	assert_int_equal(ring_set_send(ends[0], &sent), -EPIPE);
	assert_true(fcntl(file, F_GETFD) >= 0); /* borrowed, so still open */
}

#define RINGS_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RINGS_TEST(test_largest_machine), RINGS_TEST(test_broken_batches),
		RINGS_TEST(test_other_messages),  RINGS_TEST(test_incomplete),
		RINGS_TEST(test_send_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
