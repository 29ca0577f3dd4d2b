/* Every profile that was finished is written, in order, or counted as lost, whoever dies on the way. The test
 * is both roles: it holds the other ends of their channels. */

#include "worker/supervisor/pipeline.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pipeline *pipeline;
static struct role_process symbolizer, exporter;
static int symbolizer_end, exporter_end;
static size_t descriptors_before;

static void
connect_role(struct role_process *role, enum role kind, int *ret_end)
{
	int ends[2];

	assert_int_equal(channel_pair(ends), 0);
	role->role = kind;
	role->control = ends[0];
	role->broker = -1;
	role->is_ready = true;
	role->deadline_ms = 0;
	*ret_end = ends[1];
}

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	memset(&symbolizer, 0, sizeof(symbolizer));
	memset(&exporter, 0, sizeof(exporter));
	connect_role(&symbolizer, ROLE_SYMBOLIZER, &symbolizer_end);
	connect_role(&exporter, ROLE_EXPORTER, &exporter_end);
	pipeline = pipeline_new(NULL);
	return pipeline ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	pipeline_free(pipeline);
	close_fd(&symbolizer.control);
	close_fd(&exporter.control);
	close_fd(&symbolizer_end);
	close_fd(&exporter_end);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

/* The content of a profile is its number, with a '+' once it is symbolised. */
static int
profile_file(uint64_t sequence, const char *suffix)
{
	char text[32];

	snprintf(text, sizeof(text), "%u%s", (unsigned)sequence, suffix);
	return file_with(text);
}

static void
add(uint64_t sequence)
{
	struct profile_message head = {.sequence = sequence, .ledger = {.samples = 1}};

	pipeline_add(pipeline, &head, profile_file(sequence, ""));
}

static void
advance(int64_t now_ms)
{
	pipeline_advance(pipeline, &symbolizer, &exporter, now_ms);
}

/* The role got nothing, or exactly this profile. */
static void
expect_idle(int end)
{
	static struct message message;

	assert_int_equal(channel_receive(end, &message, 0), -ETIMEDOUT);
}

static void
expect_profile(int end, uint64_t sequence, const char *suffix)
{
	static struct message message;
	char expected[32], content[32] = "";

	assert_int_equal(channel_receive(end, &message, 0), 0);
	const struct profile_message *head = message_expect(&message, MESSAGE_PROFILE, sizeof(*head), 1);
	assert_non_null(head);
	assert_int_equal(head->sequence, sequence);
	snprintf(expected, sizeof(expected), "%u%s", (unsigned)sequence, suffix);
	OWNED_FD fd = message_take_fd(&message, 0);
	assert_true(pread(fd, content, sizeof(content) - 1, 0) > 0);
	assert_string_equal(content, expected);
}

static int
symbolised(uint64_t sequence)
{
	return pipeline_symbolised(pipeline, &symbolizer, profile_file(sequence, "+"));
}

static int
written(uint64_t sequence, int error)
{
	struct written_message message = {.sequence = sequence, .error = error};

	snprintf(message.name, sizeof(message.name), "%u.pprof", (unsigned)sequence);
	return pipeline_written(pipeline, &exporter, &message);
}

static void
expect_summary(uint64_t samples, uint64_t profiles, uint64_t failed, int error)
{
	const struct summary_message *summary = pipeline_summary(pipeline);

	assert_int_equal(summary->ledger.samples, samples);
	assert_int_equal(summary->profiles, profiles);
	assert_int_equal(summary->failed_writes, failed);
	assert_int_equal(summary->write_error, error);
}

static void
test_one_profile(void **state)
{
	(void)state;
	assert_true(pipeline_is_empty(pipeline));
	add(1);
	assert_false(pipeline_is_empty(pipeline));
	expect_idle(symbolizer_end);
	advance(1000);
	expect_profile(symbolizer_end, 1, "");
	assert_true(symbolizer.deadline_ms > 1000);
	expect_idle(exporter_end);
	advance(1001);
	expect_idle(symbolizer_end); /* once is enough */
	assert_int_equal(symbolised(1), 0);
	assert_int_equal(symbolizer.deadline_ms, 0);
	advance(2000);
	expect_profile(exporter_end, 1, "+");
	assert_true(exporter.deadline_ms > 2000);
	assert_false(pipeline_is_empty(pipeline));
	assert_int_equal(written(1, 0), 0);
	assert_int_equal(exporter.deadline_ms, 0);
	assert_true(pipeline_is_empty(pipeline));
	expect_summary(1, 1, 0, 0);
	assert_string_equal(pipeline_summary(pipeline)->last_name, "1.pprof");
}

/* Both roles work at once, each on one profile, in the order they were made. */
static void
test_order(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		add(i);
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	for (uint64_t i = 1; i <= 4; i++) {
		assert_int_equal(symbolised(i), 0);
		advance(0);
		expect_profile(exporter_end, i, "+");
		if (i < 4)
			expect_profile(symbolizer_end, i + 1, "");
		expect_idle(exporter_end);
		expect_idle(symbolizer_end);
		assert_int_equal(written(i, 0), 0);
	}
	assert_true(pipeline_is_empty(pipeline));
	expect_summary(4, 4, 0, 0);
}

/* The symbolizer is ahead of a slow exporter: what it finished waits its turn. */
static void
test_slow_exporter(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		add(i);
		advance(0);
		expect_profile(symbolizer_end, i, "");
		assert_int_equal(symbolised(i), 0);
	}
	for (uint64_t i = 1; i <= 3; i++) {
		advance(0);
		expect_profile(exporter_end, i, "+");
		expect_idle(exporter_end);
		assert_int_equal(written(i, 0), 0);
	}
}

static void
test_waits_for_roles(void **state)
{
	(void)state;
	symbolizer.is_ready = exporter.is_ready = false;
	add(1);
	advance(0);
	expect_idle(symbolizer_end);
	symbolizer.is_ready = true;
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_int_equal(symbolised(1), 0);
	advance(0);
	expect_idle(exporter_end);
	exporter.is_ready = true;
	advance(0);
	expect_profile(exporter_end, 1, "+");
}

/* It dies of a profile: that one goes on without names, the next one is tried again. */
static void
test_symbolizer_dies(void **state)
{
	(void)state;
	add(1);
	add(2);
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	pipeline_role_died(pipeline, ROLE_SYMBOLIZER);
	symbolizer.is_ready = false;
	advance(0);
	expect_profile(exporter_end, 1, "");
	expect_idle(symbolizer_end);
	symbolizer.is_ready = true;
	advance(0);
	expect_profile(symbolizer_end, 2, "");
	assert_int_equal(symbolised(2), 0);
	assert_int_equal(written(1, 0), 0);
	advance(0);
	expect_profile(exporter_end, 2, "+");
	assert_int_equal(written(2, 0), 0);
	expect_summary(2, 2, 0, 0);
}

static void
test_without_symbolizer(void **state)
{
	(void)state;
	symbolizer.is_ready = false;
	symbolizer.is_given_up = true;
	add(1);
	add(2);
	advance(0);
	expect_idle(symbolizer_end);
	expect_profile(exporter_end, 1, "");
	assert_int_equal(written(1, 0), 0);
	advance(0);
	expect_profile(exporter_end, 2, "");
	assert_int_equal(written(2, 0), 0);
	expect_summary(2, 2, 0, 0);
}

static void
hand_to_exporter(uint64_t sequence)
{
	add(sequence);
	advance(0);
	expect_profile(symbolizer_end, sequence, "");
	assert_int_equal(symbolised(sequence), 0);
	advance(0);
	expect_profile(exporter_end, sequence, "+");
}

static void
test_exporter_dies(void **state)
{
	(void)state;
	hand_to_exporter(1);
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	advance(0);
	expect_profile(exporter_end, 1, "+"); /* once more */
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	advance(0);
	expect_idle(exporter_end);
	assert_true(pipeline_is_empty(pipeline));
	expect_summary(1, 0, 1, EPIPE);
	hand_to_exporter(2); /* the next one has its own two attempts */
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	advance(0);
	expect_profile(exporter_end, 2, "+");
	assert_int_equal(written(2, 0), 0);
	expect_summary(2, 1, 1, EPIPE);
}

/* Dead, but nobody noticed yet: what could not even be sent was not tried. */
static void
test_unsendable_is_no_attempt(void **state)
{
	(void)state;
	add(1);
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_int_equal(symbolised(1), 0);
	close_fd(&exporter_end);
	for (int i = 0; i < 5; i++)
		advance(0);
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	close_fd(&exporter.control);
	connect_role(&exporter, ROLE_EXPORTER, &exporter_end);
	advance(0);
	expect_profile(exporter_end, 1, "+");
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	advance(0);
	expect_profile(exporter_end, 1, "+"); /* the second attempt */
	assert_int_equal(written(1, 0), 0);
	expect_summary(1, 1, 0, 0);
}

static void
test_without_exporter(void **state)
{
	(void)state;
	add(1);
	add(2);
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_int_equal(symbolised(1), 0);
	exporter.is_given_up = true;
	exporter.is_ready = false;
	advance(0);
	expect_profile(symbolizer_end, 2, "");
	assert_int_equal(symbolised(2), 0);
	advance(0);
	assert_true(pipeline_is_empty(pipeline)); /* the session can end */
	expect_summary(2, 0, 2, EPIPE);
}

/* The unwinder has no part in what is already made: its death changes nothing here. */
static void
test_unwinder_dies(void **state)
{
	(void)state;
	hand_to_exporter(1);
	add(2);
	advance(0);
	expect_profile(symbolizer_end, 2, "");
	pipeline_role_died(pipeline, ROLE_UNWINDER);
	advance(0);
	expect_idle(exporter_end); /* it is still at work on the first */
	expect_idle(symbolizer_end);
	assert_int_equal(written(1, 0), 0);
	assert_int_equal(symbolised(2), 0);
	advance(0);
	expect_profile(exporter_end, 2, "+");
	assert_int_equal(written(2, 0), 0);
	expect_summary(2, 2, 0, 0);
}

static void
test_write_errors(void **state)
{
	(void)state;
	hand_to_exporter(1);
	assert_int_equal(written(1, ENOSPC), 0);
	assert_true(pipeline_is_empty(pipeline)); /* the disk will not get emptier by asking again */
	expect_summary(1, 0, 1, ENOSPC);
	hand_to_exporter(2);
	assert_int_equal(written(2, 0), 0);
	expect_summary(2, 1, 1, ENOSPC);
	assert_string_equal(pipeline_summary(pipeline)->last_name, "2.pprof");
}

/* Nobody takes them: the oldest go, and are counted; their samples were taken all the same. */
static void
test_queue_is_bounded(void **state)
{
	(void)state;
	symbolizer.is_ready = exporter.is_ready = false;
	for (uint64_t i = 1; i <= PIPELINE_MAX + 3; i++)
		add(i);
	assert_int_equal(count_descriptors(), descriptors_before + 4 + PIPELINE_MAX);
	expect_summary(PIPELINE_MAX + 3, 0, 3, ENOBUFS);
	symbolizer.is_ready = true;
	advance(0);
	expect_profile(symbolizer_end, 4, "");
}

/* What is in a role is not dropped: the role's answer would be taken for that of another profile. */
static void
test_dropping_spares_what_is_in_a_role(void **state)
{
	(void)state;
	hand_to_exporter(1);
	add(2);
	advance(0);
	expect_profile(symbolizer_end, 2, "");
	for (uint64_t i = 3; i <= PIPELINE_MAX + 2; i++)
		add(i);
	expect_summary(PIPELINE_MAX + 2, 0, 2, ENOBUFS);
	advance(0);
	expect_idle(symbolizer_end);
	expect_idle(exporter_end);
	assert_int_equal(symbolised(2), 0);
	assert_int_equal(written(1, 0), 0);
	advance(0);
	expect_profile(exporter_end, 2, "+"); /* and not the next one under its name */
	expect_profile(symbolizer_end, 5, "");
	assert_int_equal(written(2, 0), 0);
	assert_string_equal(pipeline_summary(pipeline)->last_name, "2.pprof");
}

static void
test_unexpected_answers(void **state)
{
	struct written_message message = {.sequence = 1};

	(void)state;
	assert_int_equal(symbolised(1), -EBADMSG);
	assert_int_equal(written(1, 0), -EBADMSG);
	add(1);
	assert_int_equal(symbolised(1), -EBADMSG); /* not asked yet */
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_int_equal(symbolised(1), 0);
	assert_int_equal(symbolised(1), -EBADMSG); /* twice */
	assert_int_equal(written(1, 0), -EBADMSG);
	advance(0);
	expect_profile(exporter_end, 1, "+");
	assert_int_equal(written(2, 0), -EBADMSG); /* another one's */
	memset(message.name, 'x', sizeof(message.name));
	assert_int_equal(pipeline_written(pipeline, &exporter, &message), -EBADMSG);
	expect_summary(1, 0, 0, 0);
	assert_int_equal(written(1, 0), 0);
	assert_int_equal(written(1, 0), -EBADMSG); /* twice */
	expect_summary(1, 1, 0, 0);
}

static void
test_summary_adds_up(void **state)
{
	struct ledger sum = {0};

	(void)state;
	for (uint64_t i = 1; i <= 3; i++) {
		struct profile_message head = {.sequence = i};
		uint64_t *fields = (uint64_t *)&head.ledger, *sums = (uint64_t *)&sum;

		for (size_t f = 0; f < sizeof(sum) / sizeof(uint64_t); f++) {
			fields[f] = i * 1000 + f * 7 + 1;
			sums[f] += fields[f];
		}
		head.module[0] = (struct module_endings){.name = "/same", .ending = {[1] = i}};
		head.module[1] = (struct module_endings){.name = "/of its own", .ending = {i}};
		head.module[1].name[0] += (char)i;
		pipeline_add(pipeline, &head, profile_file(i, ""));
	}
	assert_string_equal(pipeline_summary(pipeline)->module[0].name, "/same");
	assert_int_equal(pipeline_summary(pipeline)->module[0].ending[1], 6);
	assert_string_equal(pipeline_summary(pipeline)->module[3].name, "2of its own");
	assert_string_equal(pipeline_summary(pipeline)->module[4].name, "");
	assert_memory_equal(&pipeline_summary(pipeline)->ledger, &sum, sizeof(sum));
}

static void
expect_measured(int end, struct self_report *ret)
{
	static struct message message;

	assert_int_equal(channel_receive(end, &message, 0), 0);
	const struct profile_message *head = message_expect(&message, MESSAGE_PROFILE, sizeof(*head), 1);
	assert_non_null(head);
	*ret = head->self;
	message_discard(&message);
}

/* Each profile has the cost of one period, measured when it goes to the exporter: once, even when it goes
 * there twice. */
static void
test_is_measured_once(void **state)
{
	struct self_measure measure;
	struct self_report first, again, second;

	(void)state;
	self_measure_init(&measure, -1, 77);
	pipeline_free(pipeline);
	pipeline = pipeline_new(&measure);
	add(1);
	add(2);
	advance(0);
	expect_measured(symbolizer_end, &first);
	assert_int_equal(first.wall_ns, 0); /* not yet */
	assert_int_equal(symbolised(1), 0);
	advance(0);
	expect_measured(exporter_end, &first);
	assert_true(first.wall_ns > 0);
	assert_int_equal(first.ring_bytes, 77);
	assert_true(first.role[SELF_SUPERVISOR].cpu_ns > 0);
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	advance(0);
	expect_measured(exporter_end, &again);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(written(1, 0), 0);

	int64_t before = measure.period_start_ns;
	expect_measured(symbolizer_end, &second);
	assert_int_equal(symbolised(2), 0);
	advance(0);
	expect_measured(exporter_end, &second);
	assert_int_equal(second.wall_ns, measure.period_start_ns - before);
	assert_int_equal(written(2, 0), 0);
}

static void
test_free_closes(void **state)
{
	(void)state;
	add(1);
	add(2);
	advance(0); /* finish() counts */
	pipeline_free(NULL);
}

#define PIPELINE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PIPELINE_TEST(test_one_profile),
		PIPELINE_TEST(test_order),
		PIPELINE_TEST(test_slow_exporter),
		PIPELINE_TEST(test_waits_for_roles),
		PIPELINE_TEST(test_symbolizer_dies),
		PIPELINE_TEST(test_without_symbolizer),
		PIPELINE_TEST(test_exporter_dies),
		PIPELINE_TEST(test_unsendable_is_no_attempt),
		PIPELINE_TEST(test_without_exporter),
		PIPELINE_TEST(test_unwinder_dies),
		PIPELINE_TEST(test_write_errors),
		PIPELINE_TEST(test_queue_is_bounded),
		PIPELINE_TEST(test_dropping_spares_what_is_in_a_role),
		PIPELINE_TEST(test_unexpected_answers),
		PIPELINE_TEST(test_summary_adds_up),
		PIPELINE_TEST(test_is_measured_once),
		PIPELINE_TEST(test_free_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
