/* Against a real socket: every datagram, or every failure, counted; and nobody is waited for. */

#include "worker/export/statsd.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

static const struct self_metrics three = {
	.count = 3,
	.metric = {{"sample.count", 7, false},
		   {"unwind.avg_time_ns", -1, true},
		   {"queue.bytes", INT64_MAX, true}},
};
static struct test_folder folder;
static char path[100];
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	snprintf(path, sizeof(path), "%s/statsd", folder.path);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static int
serve(int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void
expect(int server, const char *wanted)
{
	char text[200] = "";

	assert_true(recv(server, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, wanted);
}

static void
test_gauges(void **state)
{
	OWNED_FD server = serve(SOCK_DGRAM);
	int error = 4711;
	char byte;

	(void)state;
	assert_int_equal(statsd_send(path, &three, &error), 0);
	assert_int_equal(error, 4711);
	expect(server, "datadog.profiling.native.sample.count:7|g");
	expect(server, "datadog.profiling.native.unwind.avg_time_ns:-1|g");
	expect(server, "datadog.profiling.native.queue.bytes:9223372036854775807|g");
	assert_int_equal(recv(server, &byte, 1, 0), -1);

	/* an agent that was restarted has another socket there */
	close_fd(&server);
	assert_int_equal(statsd_send(path, &three, &error), 3);
	assert_int_equal(error, ECONNREFUSED);
	assert_int_equal(unlink(path), 0);
	server = serve(SOCK_DGRAM);
	assert_int_equal(statsd_send(path, &three, &error), 0);
	expect(server, "datadog.profiling.native.sample.count:7|g");
}

static void
test_nobody(void **state)
{
	char long_path[300];
	int error = 0;

	(void)state;
	assert_int_equal(statsd_send(path, &three, &error), 3);
	assert_int_equal(error, ENOENT);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(statsd_send(long_path, &three, &error), 3);
	assert_int_equal(error, ENAMETOOLONG);
	OWNED_FD server = serve(SOCK_STREAM); /* it speaks otherwise */
	assert_int_equal(statsd_send(path, &three, &error), 3);
	assert_int_equal(error, EPROTOTYPE);
}

/* It does not read: we go on at once. */
static void
test_full(void **state)
{
	OWNED_FD server = serve(SOCK_DGRAM);
	struct timespec before, after;
	size_t failed = 0;
	int error = 0;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < 1000; i++)
		failed += statsd_send(path, &three, &error);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(failed, 1000, 3000);
	assert_int_equal(error, EAGAIN);
	assert_true(after.tv_sec - before.tv_sec < 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gauges, start, finish),
		cmocka_unit_test_setup_teardown(test_nobody, start, finish),
		cmocka_unit_test_setup_teardown(test_full, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
