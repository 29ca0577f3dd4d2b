/* Against a real socket: every datagram, or every failure, counted; and nobody is waited for. */

#include "worker/export/statsd.h"

#include "ipc/fd.h"
#include "tests/support/clock.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
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

static void
make_many(struct self_metrics *ret)
{
	*ret = (struct self_metrics){.count = SELF_METRICS_MAX};
	for (size_t i = 0; i < SELF_METRICS_MAX; i++) {
		strcpy(ret->metric[i].name, "a.number");
		ret->metric[i].value = (int64_t)i;
	}
}

/* It does not read: the rest is lost, soon and without a limit per datagram. */
static void
test_full(void **state)
{
	static struct self_metrics many;
	OWNED_FD server = serve(SOCK_DGRAM);
	int error = 0;

	(void)state;
	make_many(&many);
	int64_t start_ms = clock_now_ms();
	size_t failed = statsd_send(path, &many, &error);
	assert_in_range(failed, 1, SELF_METRICS_MAX - 1);
	assert_int_equal(error, EAGAIN);
	assert_in_range(clock_now_ms() - start_ms, STATSD_PATIENCE_MS - 1, STATSD_PATIENCE_MS + 5000);
}

/* One that is slow gets all of them, in order, although its queue is short. */
static void
test_slow(void **state)
{
	static struct self_metrics many;
	OWNED_FD server = serve(SOCK_DGRAM);
	int error = 0, status;
	char text[200], wanted[200];

	(void)state;
	make_many(&many);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < SELF_METRICS_MAX; i++) {
			struct pollfd readable = {.fd = server, .events = POLLIN};

			if (i % 10 == 0)
				nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
			poll(&readable, 1, 5000);
			ssize_t got = recv(server, text, sizeof(text) - 1, 0);
			text[got > 0 ? got : 0] = '\0';
			snprintf(wanted, sizeof(wanted), "datadog.profiling.native.a.number:%d|g", i);
			if (strcmp(text, wanted) != 0)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(statsd_send(path, &many, &error), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gauges, start, finish),
		cmocka_unit_test_setup_teardown(test_nobody, start, finish),
		cmocka_unit_test_setup_teardown(test_full, start, finish),
		cmocka_unit_test_setup_teardown(test_slow, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
