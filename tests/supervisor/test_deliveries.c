/* What is said of destinations and spool, word for word and once; and what the closing line will say. */

#include "worker/supervisor/deliveries.h"

#include "ipc/delivery.h"
#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000

static struct deliveries deliveries;
static struct log log_to_file = {.threshold = LOG_LEVEL_DEBUG};
static const char *spool = "";
static int64_t now;

static int
start(void **state)
{
	(void)state;
	deliveries = (struct deliveries){0};
	log_to_file.fd = file_with("");
	spool = "";
	now = 1000;
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	close_fd(&log_to_file.fd);
	return 0;
}

/* What was logged since the last time. */
static void
expect_log(const char *wanted)
{
	char text[4096];
	ssize_t got = pread(log_to_file.fd, text, sizeof(text) - 1, 0);

	assert_true(got >= 0);
	text[got] = 0;
	assert_string_equal(text, wanted);
	assert_int_equal(ftruncate(log_to_file.fd, 0), 0);
	lseek(log_to_file.fd, 0, SEEK_SET);
}

static void
answers(unsigned destination, enum destination_state state, int status, const char *words, uint32_t waiting)
{
	struct destination_message message = {.destination = destination,
					      .kind = DESTINATION_DATADOG,
					      .state = state,
					      .status = status,
					      .failures = 2,
					      .waiting = waiting};

	snprintf(message.name, sizeof(message.name), "agent %u", destination);
	snprintf(message.words, sizeof(message.words), "%s", words);
	assert_true(deliveries_destination(&deliveries, &log_to_file, spool, &message, now));
}

static void
test_outage(void **state)
{
	(void)state;
	answers(0, DESTINATION_UNTRIED, 0, "", 0);
	answers(0, DESTINATION_ACCEPTS, 200, "", 1);
	expect_log("");
	answers(0, DESTINATION_FAILS, 0, "Connection refused", 3);
	expect_log(
		"ddprof-launch: agent 0 does not take profiles (Connection refused); trying again, profiles "
		"wait in memory (3 now)\n");
	answers(0, DESTINATION_FAILS, 0, "Connection refused", 4);
	answers(0, DESTINATION_UNTRIED, 0, "", 0); /* a new exporter */
	answers(0, DESTINATION_FAILS, 0, "Connection refused", 5);
	expect_log("");
	answers(0, DESTINATION_FAILS, 503, "503 Service Unavailable", 5);
	expect_log("ddprof-launch: agent 0 does not take profiles (503 Service Unavailable); trying again, "
		   "profiles wait in memory (5 now)\n");
	answers(0, DESTINATION_ACCEPTS, 200, "", 7);
	expect_log("ddprof-launch: agent 0 accepts profiles again; 7 were waiting\n");
	answers(0, DESTINATION_ACCEPTS, 200, "", 1);
	expect_log("");
}

/* Once is no outage, but a reason, should it be the last word. */
static void
test_one_failure(void **state)
{
	struct destination_message message = {.state = DESTINATION_FAILS, .failures = 1, .words = "reset"};
	struct summary_message summary = {0};

	(void)state;
	assert_true(deliveries_destination(&deliveries, &log_to_file, spool, &message, now));
	deliveries_summarise(&deliveries, spool, &summary);
	assert_string_equal(summary.destination[0].problem, "reset");
	answers(0, DESTINATION_ACCEPTS, 200, "", 2);
	expect_log("");
	assert_true(deliveries_destination(&deliveries, &log_to_file, spool, &message, now));
	message.failures = 2;
	assert_true(deliveries_destination(&deliveries, &log_to_file, spool, &message, now));
	expect_log("ddprof-launch:  does not take profiles (reset); trying again, profiles wait in memory (0 "
		   "now)\n");
}

/* Servers number their answers: that is no news, or at least not often. */
static void
test_refusal(void **state)
{
	(void)state;
	spool = "/var/spool/x";
	answers(0, DESTINATION_REFUSES, 403, "403 Forbidden: no such key, request 1", 1);
	expect_log(
		"ddprof-launch: agent 0 refuses profiles (403 Forbidden: no such key, request 1); mend that "
		"there or in our settings: it is asked again every 5 minutes, profiles wait in /var/spool/x "
		"(1 "
		"now)\n");
	now += 5 * MINUTE;
	answers(0, DESTINATION_REFUSES, 403, "403 Forbidden: no such key, request 2", 1);
	expect_log("");
	now += 5 * MINUTE;
	answers(0, DESTINATION_REFUSES, 403, "403 Forbidden: no such key, request 3", 1);
	expect_log(
		"ddprof-launch: agent 0 refuses profiles (403 Forbidden: no such key, request 3); mend that "
		"there or in our settings: it is asked again every 5 minutes, profiles wait in /var/spool/x "
		"(1 "
		"now)\n");
	answers(0, DESTINATION_ACCEPTS, 200, "", 9);
	expect_log("ddprof-launch: agent 0 accepts profiles again; 9 were waiting\n");
}

static void
test_refused_profile(void **state)
{
	(void)state;
	answers(0, DESTINATION_ACCEPTS, 200, "", 1);
	answers(0, DESTINATION_REFUSES_PROFILE, 413, "413 Content Too Large", 1);
	expect_log("ddprof-launch: agent 0 refuses a profile (413 Content Too Large); it is set aside and "
		   "offered "
		   "again every 5 minutes, others go on\n");
	answers(0, DESTINATION_REFUSES_PROFILE, 413, "413 Content Too Large", 2);
	answers(0, DESTINATION_ACCEPTS, 200, "", 1);
	expect_log(""); /* it accepted all along */
}

static void
test_destinations_are_told_apart(void **state)
{
	(void)state;
	answers(0, DESTINATION_UNTRIED, 0, "", 0);
	answers(1, DESTINATION_UNTRIED, 0, "", 0);
	answers(0, DESTINATION_FAILS, 0, "x", 1);
	answers(1, DESTINATION_FAILS, 0, "x", 1);
	expect_log(
		"ddprof-launch: agent 0 does not take profiles (x); trying again, profiles wait in memory (1 "
		"now)\n"
		"ddprof-launch: agent 1 does not take profiles (x); trying again, profiles wait in memory (1 "
		"now)\n");
}

static void
spool_says(enum spool_event event, int error, bool is_own, const char *name)
{
	struct spool_message message = {.event = event, .error = error, .is_own = is_own};

	snprintf(message.name, sizeof(message.name), "%s", name);
	assert_true(deliveries_spool(&deliveries, &log_to_file, spool, &message));
}

static void
test_spool(void **state)
{
	struct summary_message summary = {.dropped = 1};

	(void)state;
	spool = "/s";
	spool_says(SPOOL_EVENT_WORKS, 0, true, "");
	expect_log("");
	spool_says(SPOOL_EVENT_FAILS, ENOSPC, true, "");
	spool_says(SPOOL_EVENT_FAILS, ENOSPC, true, "");
	expect_log("ddprof-launch: cannot write to the spool /s: No space left on device; profiles wait in "
		   "memory "
		   "until it can be\n");
	spool_says(SPOOL_EVENT_WORKS, 0, true, "");
	expect_log("ddprof-launch: the spool /s can be written to again\n");
	spool_says(SPOOL_EVENT_SKIPPED, EBADMSG, false, "name");
	expect_log("ddprof-launch: /s/name is left alone: it is damaged, or no profile\n");
	spool_says(SPOOL_EVENT_LOST_FULL, 0, true, "");
	spool_says(SPOOL_EVENT_LOST_FULL, 0, true, "");
	spool_says(SPOOL_EVENT_LOST_OLD, 0, false, "");
	expect_log("ddprof-launch: the spool /s holds as much as it may: the oldest profiles are dropped "
		   "from now "
		   "on\n");
	deliveries.status.spool_own = 4;
	deliveries_summarise(&deliveries, spool, &summary);
	assert_int_equal(summary.dropped, 3);
	assert_int_equal(summary.spooled, 4);
}

static void
accepted(unsigned destination, bool is_own, const char *name)
{
	struct accepted_message message = {.destination = destination, .is_own = is_own};

	snprintf(message.name, sizeof(message.name), "%s", name);
	assert_true(deliveries_accepted(&deliveries, &message));
}

static void
test_queue_loss(void **state)
{
	const char *line =
		"ddprof-launch: as many profiles wait as memory may hold: the oldest are dropped from now "
		"on; --spool DIR keeps them on disk\n";

	(void)state;
	answers(0, DESTINATION_UNTRIED, 0, "", 0);
	deliveries_dropped(&deliveries, &log_to_file);
	deliveries_dropped(&deliveries, &log_to_file);
	expect_log(line);
	accepted(0, true, "");
	deliveries_dropped(&deliveries, &log_to_file);
	expect_log(line);
}

static void
test_summary(void **state)
{
	struct summary_message summary = {.profiles = 9};
	struct destination_message folder = {.destination = 1, .kind = DESTINATION_FOLDER, .name = "f"};

	(void)state;
	answers(0, DESTINATION_UNTRIED, 0, "", 0);
	assert_true(deliveries_destination(&deliveries, &log_to_file, spool, &folder, now));
	for (int i = 0; i < 3; i++)
		accepted(0, true, "");
	accepted(0, false, "");
	accepted(1, true, "own.pprof");
	accepted(1, false, "earlier.pprof");
	answers(0, DESTINATION_FAILS, 0, "Connection refused", 1);
	deliveries.status.spool_own = 4; /* of a spool there is not */
	deliveries_summarise(&deliveries, spool, &summary);
	assert_int_equal(summary.profiles, 9);
	assert_int_equal(summary.spooled, 0);
	assert_int_equal(summary.destinations, 2);
	assert_int_equal(summary.destination[0].kind, DESTINATION_DATADOG);
	assert_int_equal(summary.destination[0].delivered, 3);
	assert_int_equal(summary.destination[0].earlier, 1);
	assert_string_equal(summary.destination[0].name, "agent 0");
	assert_string_equal(summary.destination[0].problem, "Connection refused");
	assert_int_equal(summary.destination[1].delivered, 1);
	assert_string_equal(summary.last_name, "own.pprof");
	answers(0, DESTINATION_ACCEPTS, 200, "", 1);
	deliveries_summarise(&deliveries, spool, &summary);
	assert_string_equal(summary.destination[0].problem, "");
}

/* The exporter reads what servers say: it is believed as little. */
static void
test_nonsense(void **state)
{
	struct destination_message destination = {.destination = SUMMARY_DESTINATIONS};
	struct accepted_message acceptance = {.destination = 0};
	struct spool_message message = {.event = SPOOL_EVENTS};

	(void)state;
	assert_false(deliveries_destination(&deliveries, &log_to_file, "", &destination, 0));
	destination.destination = 0;
	destination.state = DESTINATION_STATES;
	assert_false(deliveries_destination(&deliveries, &log_to_file, "", &destination, 0));
	destination.state = DESTINATION_FAILS;
	memset(destination.words, 'x', sizeof(destination.words));
	assert_false(deliveries_destination(&deliveries, &log_to_file, "", &destination, 0));
	assert_false(deliveries_accepted(&deliveries, &acceptance)); /* of no destination we know */
	assert_false(deliveries_spool(&deliveries, &log_to_file, "", &message));
	message.event = SPOOL_EVENT_SKIPPED;
	memset(message.name, 'x', sizeof(message.name));
	assert_false(deliveries_spool(&deliveries, &log_to_file, "", &message));
	expect_log("");
}

#define DELIVERIES_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DELIVERIES_TEST(test_outage),
		DELIVERIES_TEST(test_one_failure),
		DELIVERIES_TEST(test_refusal),
		DELIVERIES_TEST(test_refused_profile),
		DELIVERIES_TEST(test_destinations_are_told_apart),
		DELIVERIES_TEST(test_spool),
		DELIVERIES_TEST(test_queue_loss),
		DELIVERIES_TEST(test_summary),
		DELIVERIES_TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
