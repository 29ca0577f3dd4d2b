/* ddprof-symbolizer as the supervisor starts it: the real program, confined, with the test at the other end.
 */

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "worker/base/seal.h"
#include "worker/profile/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct message message;
static int control, broker;
static pid_t symbolizer;

static int
start(void **state)
{
	char name[] = "ddprof-symbolizer", argument[] = "symbolizer";
	char report[] = SANDBOX_REPORT_BLANK;
	char environment[] = "ASAN_OPTIONS=detect_leaks=0"; /* at exit; the filter would kill it */
	char *const argv[] = {name, argument, report, NULL}, *const envp[] = {environment, NULL};
	int control_ends[2], broker_ends[2];

	(void)state;
	assert_int_equal(channel_pair(control_ends), 0);
	assert_int_equal(channel_pair(broker_ends), 0);
	symbolizer = fork();
	if (symbolizer == 0) {
		int high_control = fcntl(control_ends[1], F_DUPFD, 100),
		    high_broker = fcntl(broker_ends[1], F_DUPFD, 100);

		if (place_fd(high_control, FD_CONTROL) == 0 && place_fd(high_broker, FD_BROKER) == 0 &&
		    close_range(FD_BROKER + 1, ~0u, 0) == 0)
			execve(SYMBOLIZER, argv, envp);
		_exit(127);
	}
	control = control_ends[0];
	broker = broker_ends[0];
	close(control_ends[1]);
	close(broker_ends[1]);
	assert_int_equal(channel_receive(control, &message, 5000), 0);
	assert_non_null(message_expect(&message, MESSAGE_READY, 0, 0));
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	close_fd(&control);
	close_fd(&broker);
	return 0;
}

static void
expect_exit(int wanted)
{
	int status;

	assert_int_equal(waitpid(symbolizer, &status, 0), symbolizer);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("the symbolizer ended with wait status %#x", (unsigned)status);
}

static bool
describe_nothing(void *context, uint32_t mapping, struct profile_mapping *ret)
{
	(void)context;
	(void)mapping;
	(void)ret;
	return false;
}

/* The least there is: no samples. */
static void
send_profile(bool is_sealed)
{
	static const struct profile_message head;
	static const struct profile_header header = {.time_ns = 1};
	struct profile *profile = profile_new(1 << 20);
	OWNED_FD fd = file_with("");

	assert_int_equal(profile_write(profile, &header, describe_nothing, NULL, fd), 0);
	profile_free(profile);
	if (is_sealed)
		assert_int_equal(memfd_seal(fd), 0);
	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), &fd, 1), 0);
}

static void
test_profiles(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		send_profile(/* is_sealed= */ true);
		assert_int_equal(channel_receive(control, &message, 5000), 0);
		assert_non_null(message_expect(&message, MESSAGE_PROFILE, 0, 1));
		OWNED_FD fd = message_take_fd(&message, 0);
		assert_int_equal(memfd_check_sealed(fd), 0);
	}
	close_fd(&control);
	expect_exit(0);
}

/* Bytes that somebody can still change are not looked at. */
static void
test_unsealed_profile(void **state)
{
	(void)state;
	send_profile(/* is_sealed= */ false);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_profiles, start, finish),
		cmocka_unit_test_setup_teardown(test_unsealed_profile, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
