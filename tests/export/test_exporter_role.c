/* ddprof-exporter as the supervisor starts it: the real program, confined, with the test at the other end. */

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "tests/support/folder.h"
#include "worker/base/seal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

static const struct worker_config config = {.service = "my/service", .target_pid = 42};
static struct test_folder folder;
static struct message message;
static int control;
static pid_t exporter;

static int
start(void **state)
{
	char name[] = "ddprof-exporter", argument[] = "exporter";
	char report[] = SANDBOX_REPORT_BLANK;
	char environment[] = "ASAN_OPTIONS=detect_leaks=0"; /* at exit; the filter would kill it */
	char *const argv[] = {name, argument, report, NULL}, *const envp[] = {environment, NULL};
	int ends[2];

	(void)state;
	test_folder_make(&folder);
	assert_int_equal(channel_pair(ends), 0);
	exporter = fork();
	if (exporter == 0) {
		int high = fcntl(ends[1], F_DUPFD, 100), output = fcntl(folder.fd, F_DUPFD, 100);

		if (place_fd(high, FD_CONTROL) == 0 && place_fd(output, FD_OUTPUT) == 0 &&
		    close_range(FD_OUTPUT + 1, ~0u, 0) == 0)
			execve(EXPORTER, argv, envp);
		_exit(127);
	}
	control = ends[0];
	return close(ends[1]);
}

static int
finish(void **state)
{
	(void)state;
	close_fd(&control);
	test_folder_remove(&folder);
	return 0;
}

static void
expect_exit(int wanted)
{
	int status;

	assert_int_equal(waitpid(exporter, &status, 0), exporter);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("the exporter ended with wait status %#x", (unsigned)status);
}

static int
sealed_file(const void *bytes, size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(memfd_seal(fd), 0);
	return fd;
}

static void
send_start(void)
{
	OWNED_FD fd = sealed_file(&config, sizeof(config));

	assert_int_equal(channel_send(control, MESSAGE_START, NULL, 0, &fd, 1), 0);
	assert_int_equal(channel_receive(control, &message, 5000), 0);
	assert_non_null(message_expect(&message, MESSAGE_READY, 0, 0));
}

static const struct written_message *
export_one(uint64_t sequence, const char *text)
{
	struct profile_message head = {.sequence = sequence, .end_ns = 1000000000};
	OWNED_FD fd = sealed_file(text, strlen(text));

	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), &fd, 1), 0);
	assert_int_equal(channel_receive(control, &message, 5000), 0);
	const struct written_message *written =
		message_expect(&message, MESSAGE_WRITTEN, sizeof(*written), 0);
	assert_non_null(written);
	assert_int_equal(written->sequence, sequence);
	assert_true(IS_TERMINATED(written->name));
	return written;
}

static void
test_two_profiles(void **state)
{
	char list[4096];

	(void)state;
	send_start();
	const struct written_message *written = export_one(7, "first profile");
	assert_int_equal(written->error, 0);
	assert_true(written->bytes > 0);
	assert_string_equal(written->name, "my_service-42-19700101T000001Z-7.pprof");
	assert_int_equal(export_one(8, "second profile")->error, 0);
	assert_string_equal(test_folder_list(&folder, list), "my_service-42-19700101T000001Z-7.pprof\n"
							     "my_service-42-19700101T000001Z-8.pprof\n");
	close_fd(&control);
	expect_exit(0);
}

/* A profile that cannot be written costs itself: the process is there for the next one. */
static void
test_write_error(void **state)
{
	char list[4096];

	(void)state;
	send_start();
	test_folder_put(&folder, "my_service-42-19700101T000001Z-7.pprof/in-the-way", "");
	int error = export_one(7, "first profile")->error;
	assert_true(error == EISDIR || error == EACCES); /* Landlock lets it replace no folder */
	assert_int_equal(export_one(8, "second profile")->error, 0);
	assert_string_equal(test_folder_list(&folder, list), "my_service-42-19700101T000001Z-7.pprof\n"
							     "my_service-42-19700101T000001Z-8.pprof\n");
	close_fd(&control);
	expect_exit(0);
}

static void
test_broken_messages(void **state)
{
	static const struct profile_message head;

	send_start();
	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), NULL, 0), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
	finish(state);
	start(state);
	assert_int_equal(channel_send(control, MESSAGE_START, &head, 8, NULL, 0), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
}

/* Bytes that somebody can still change are not looked at. */
static void
test_unsealed_files(void **state)
{
	static const struct profile_message head;
	char list[4096];
	OWNED_FD file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(file, &config, sizeof(config)), sizeof(config));
	assert_int_equal(channel_send(control, MESSAGE_START, NULL, 0, &file, 1), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
	finish(state);
	start(state);
	send_start();
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0); /* and not F_SEAL_WRITE */
	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), &file, 1), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
	assert_string_equal(test_folder_list(&folder, list), "");
}

/* What it says of itself is where an auditor reads it, as long as before. */
static void
test_report(void **state)
{
	char path[64], line[256] = "";
	static const char names[] = "ddprof-exporter\0exporter";

	(void)state;
	send_start();
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)exporter);
	OWNED_FD file = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(file, line, sizeof(line)), sizeof(names) + SANDBOX_REPORT_BYTES + 1);
	assert_memory_equal(line, names, sizeof(names));
	const char *report = line + sizeof(names);
	assert_int_equal(strlen(report), SANDBOX_REPORT_BYTES);
	assert_int_equal(strncmp(report, "landlock=", 9), 0);
	assert_non_null(strstr(report, " mdwe="));
	assert_non_null(strstr(report, " keyring=caller ")); /* nobody gave it another */
}

#define ROLE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROLE_TEST(test_two_profiles),   ROLE_TEST(test_write_error), ROLE_TEST(test_broken_messages),
		ROLE_TEST(test_unsealed_files), ROLE_TEST(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
