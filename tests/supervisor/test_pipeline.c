/* Every profile that was finished is settled, or counted as dropped, whoever dies on the way. The test
 * is both roles: it holds the other ends of their channels. */

#include "worker/supervisor/pipeline.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

/* Destination 0 has it, and there is no other. */
static void
delivered(uint64_t sequence)
{
	assert_true(pipeline_accepted(pipeline, sequence, 0));
	assert_true(pipeline_settled(pipeline, sequence));
}

static void
expect_counts(uint64_t samples, uint64_t finished, uint64_t dropped)
{
	struct summary_message summary = {0};

	pipeline_summarise(pipeline, &summary);
	assert_int_equal(summary.ledger.samples, samples);
	assert_int_equal(summary.profiles, finished);
	assert_int_equal(summary.dropped, dropped);
}

static void
expect_drop(uint64_t sequence)
{
	static struct message message;

	assert_int_equal(channel_receive(exporter_end, &message, 0), 0);
	const struct profile_reference *drop = message_expect(&message, MESSAGE_DROP, sizeof(*drop), 0);
	assert_non_null(drop);
	assert_int_equal(drop->sequence, sequence);
}

static void
exporter_dies(void)
{
	pipeline_role_died(pipeline, ROLE_EXPORTER);
	close_fd(&exporter.control);
	close_fd(&exporter_end);
	connect_role(&exporter, ROLE_EXPORTER, &exporter_end);
}

static void
test_one_profile(void **state)
{
	(void)state;
	assert_true(pipeline_is_empty(pipeline));
	add(1);
	assert_false(pipeline_is_empty(pipeline));
	assert_int_equal(pipeline_count(pipeline), 1);
	expect_idle(symbolizer_end);
	advance(1000);
	expect_profile(symbolizer_end, 1, "");
	assert_true(symbolizer.deadline_ms > 1000);
	expect_idle(exporter_end);
	assert_false(pipeline_is_symbolised(pipeline));
	advance(1001);
	expect_idle(symbolizer_end); /* once is enough */
	assert_int_equal(symbolised(1), 0);
	assert_int_equal(symbolizer.deadline_ms, 0);
	assert_true(pipeline_is_symbolised(pipeline));
	assert_false(pipeline_is_handed_over(pipeline));
	advance(2000);
	expect_profile(exporter_end, 1, "+");
	assert_true(exporter.deadline_ms > 2000);
	assert_true(pipeline_is_handed_over(pipeline));
	assert_false(pipeline_is_acknowledged(pipeline, 0));
	assert_true(pipeline_is_acknowledged(pipeline, 1));
	assert_false(pipeline_is_empty(pipeline));
	advance(2001);
	expect_idle(exporter_end);
	delivered(1);
	assert_true(pipeline_is_empty(pipeline));
	expect_counts(1, 1, 0);
}

/* Both roles work at once, in the order the profiles were made. */
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
		delivered(i);
	}
	assert_true(pipeline_is_empty(pipeline));
	expect_counts(4, 4, 0);
}

/* The exporter has all that can be sent, whatever is in its way. */
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
	advance(0);
	for (uint64_t i = 1; i <= 3; i++)
		expect_profile(exporter_end, i, "+");
	delivered(2); /* another destination's trouble with the first is not its own */
	delivered(1);
	delivered(3);
	assert_true(pipeline_is_empty(pipeline));
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
	delivered(1);
	advance(0);
	expect_profile(exporter_end, 2, "+");
	delivered(2);
	expect_counts(2, 2, 0);
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
	expect_profile(exporter_end, 2, "");
	delivered(1);
	delivered(2);
	expect_counts(2, 2, 0);
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

/* Its successor gets everything that is not settled, oldest first, with what destinations have already. */
static void
test_exporter_dies(void **state)
{
	static struct message message;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		hand_to_exporter(i);
	assert_true(pipeline_accepted(pipeline, 1, 0));
	assert_true(pipeline_accepted(pipeline, 1, 3));
	delivered(2);
	for (int death = 0; death < 20; death++) { /* it is never given up */
		exporter_dies();
		assert_false(pipeline_is_handed_over(pipeline));
		advance(0);
		assert_int_equal(channel_receive(exporter_end, &message, 0), 0);
		const struct profile_message *head =
			message_expect(&message, MESSAGE_PROFILE, sizeof(*head), 1);
		assert_non_null(head);
		assert_int_equal(head->sequence, 1);
		assert_int_equal(head->accepted, 1 | 8);
		message_discard(&message);
		expect_profile(exporter_end, 3, "+");
		expect_idle(exporter_end);
		assert_true(pipeline_is_acknowledged(pipeline, 2));
	}
	expect_counts(3, 3, 0);
}

/* Dead, but nobody noticed yet. */
static void
test_unsendable(void **state)
{
	(void)state;
	add(1);
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_int_equal(symbolised(1), 0);
	close_fd(&exporter_end);
	for (int i = 0; i < 5; i++)
		advance(0);
	exporter_dies();
	advance(0);
	expect_profile(exporter_end, 1, "+");
	delivered(1);
	expect_counts(1, 1, 0);
}

/* It lives, and does not read: nobody waits for it, and what it missed comes when it reads. */
static void
test_stopped_exporter(void **state)
{
	(void)state;
	symbolizer.is_ready = false;
	symbolizer.is_given_up = true;
	for (uint64_t round = 0; round < 20; round++) {
		for (uint64_t i = 1; i <= PIPELINE_MAX; i++) {
			add(round * PIPELINE_MAX + i);
			advance(0);
		}
	}
	assert_false(pipeline_is_handed_over(pipeline));
	expect_counts(20 * PIPELINE_MAX, 20 * PIPELINE_MAX, 19 * PIPELINE_MAX);
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
	expect_idle(exporter_end);
	expect_idle(symbolizer_end);
	delivered(1);
	assert_int_equal(symbolised(2), 0);
	advance(0);
	expect_profile(exporter_end, 2, "+");
	delivered(2);
	expect_counts(2, 2, 0);
}

/* Nobody takes them: the oldest go, and are counted; their samples were taken all the same. */
static void
test_queue_is_bounded(void **state)
{
	(void)state;
	symbolizer.is_ready = exporter.is_ready = false;
	for (uint64_t i = 1; i <= PIPELINE_MAX + 3; i++) {
		struct profile_message head = {.sequence = i, .ledger = {.samples = 1}};

		assert_int_equal(pipeline_add(pipeline, &head, profile_file(i, "")), i > PIPELINE_MAX);
	}
	assert_int_equal(count_descriptors(), descriptors_before + 4 + PIPELINE_MAX);
	expect_counts(PIPELINE_MAX + 3, PIPELINE_MAX + 3, 3);
	symbolizer.is_ready = true;
	advance(0);
	expect_profile(symbolizer_end, 4, "");
}

static int
large_file(uint64_t bytes)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

/* By size as well; but one that is too large by itself is better than none. */
static void
test_queue_is_bounded_in_bytes(void **state)
{
	const struct profile_message head = {.sequence = 1};

	(void)state;
	symbolizer.is_ready = false;
	assert_false(pipeline_add(pipeline, &head, large_file(PIPELINE_MAX_BYTES + 1)));
	expect_counts(0, 1, 0);
	assert_true(pipeline_add(pipeline, &head, large_file(PIPELINE_MAX_BYTES - 10)));
	expect_counts(0, 2, 1);
	assert_false(pipeline_add(pipeline, &head, large_file(10)));
	expect_counts(0, 3, 1);
	assert_true(pipeline_add(pipeline, &head, large_file(1)));
	expect_counts(0, 4, 2);
}

/* The symbolizer's answer would be taken for that of another profile; the exporter is told. */
static void
test_dropping_what_is_in_a_role(void **state)
{
	(void)state;
	hand_to_exporter(1);
	add(2);
	advance(0);
	expect_profile(symbolizer_end, 2, "");
	for (uint64_t i = 3; i <= PIPELINE_MAX + 3; i++)
		add(i);
	expect_counts(PIPELINE_MAX + 3, PIPELINE_MAX + 3, 3);
	advance(0);
	expect_idle(symbolizer_end);
	expect_drop(1);
	expect_idle(exporter_end);
	assert_int_equal(symbolised(2), 0);
	assert_false(pipeline_accepted(pipeline, 1, 0)); /* too late, and no reason to end it */
	assert_false(pipeline_settled(pipeline, 1));
	advance(0);
	expect_profile(exporter_end, 2, "+"); /* and not the next one under its name */
	expect_profile(symbolizer_end, 5, "");
}

/* The target is gone: every exporter hears of it, after what it is to send. */
static void
test_hurry(void **state)
{
	static struct message message;

	(void)state;
	hand_to_exporter(1);
	pipeline_hurry(pipeline, 5000);
	assert_false(pipeline_is_handed_over(pipeline));
	for (int life = 0; life < 2; life++) {
		advance(2000);
		if (life > 0)
			expect_profile(exporter_end, 1, "+");
		assert_int_equal(channel_receive(exporter_end, &message, 0), 0);
		const struct exporter_finish *finish =
			message_expect(&message, MESSAGE_FINISH, sizeof(*finish), 0);
		assert_non_null(finish);
		assert_int_equal(finish->grace_ms, 3000);
		advance(2000);
		expect_idle(exporter_end);
		assert_true(pipeline_is_handed_over(pipeline));
		exporter_dies();
	}
}

static void
test_unexpected_answers(void **state)
{
	(void)state;
	assert_int_equal(symbolised(1), -EBADMSG);
	assert_false(pipeline_accepted(pipeline, 1, 0));
	add(1);
	assert_int_equal(symbolised(1), -EBADMSG); /* not asked yet */
	advance(0);
	expect_profile(symbolizer_end, 1, "");
	assert_false(pipeline_settled(pipeline, 1)); /* it is in the symbolizer */
	assert_int_equal(symbolised(1), 0);
	assert_int_equal(symbolised(1), -EBADMSG); /* twice */
	assert_false(pipeline_accepted(pipeline, 1, 0));
	advance(0);
	expect_profile(exporter_end, 1, "+");
	assert_false(pipeline_settled(pipeline, 2));
	delivered(1);
	assert_false(pipeline_settled(pipeline, 1)); /* twice */
	expect_counts(1, 1, 0);
}

/* A predecessor put it into the spool and died before it could say so. */
static void
test_settled_before_it_is_handed_over(void **state)
{
	(void)state;
	hand_to_exporter(1);
	exporter_dies();
	assert_true(pipeline_settled(pipeline, 1));
	advance(0);
	expect_idle(exporter_end);
	assert_true(pipeline_is_empty(pipeline));
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
	struct summary_message summary = {0};
	pipeline_summarise(pipeline, &summary);
	assert_string_equal(summary.module[0].name, "/same");
	assert_int_equal(summary.module[0].ending[1], 6);
	assert_string_equal(summary.module[3].name, "2of its own");
	assert_string_equal(summary.module[4].name, "");
	assert_memory_equal(&summary.ledger, &sum, sizeof(sum));
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
	delivered(1);

	int64_t before = measure.period_start_ns;
	expect_measured(symbolizer_end, &second);
	assert_int_equal(symbolised(2), 0);
	advance(0);
	expect_measured(exporter_end, &second);
	assert_int_equal(second.wall_ns, measure.period_start_ns - before);
	delivered(2);
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
		PIPELINE_TEST(test_unsendable),
		PIPELINE_TEST(test_stopped_exporter),
		PIPELINE_TEST(test_unwinder_dies),
		PIPELINE_TEST(test_queue_is_bounded),
		PIPELINE_TEST(test_queue_is_bounded_in_bytes),
		PIPELINE_TEST(test_dropping_what_is_in_a_role),
		PIPELINE_TEST(test_hurry),
		PIPELINE_TEST(test_unexpected_answers),
		PIPELINE_TEST(test_settled_before_it_is_handed_over),
		PIPELINE_TEST(test_summary_adds_up),
		PIPELINE_TEST(test_is_measured_once),
		PIPELINE_TEST(test_free_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
