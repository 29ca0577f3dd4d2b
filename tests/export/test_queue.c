/* Oldest first, one at a time, each destination by itself; nothing is forgotten, nothing is sent twice. The
 * test is the network: it decides every answer, and what time it is. */

#include "worker/export/queue.h"

#include "tests/support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct queue *queue;
static char sent[4096];     /* "0:5 " = destination 0 was given number 5 */
static char events[4096];   /* "+0:5" accepted, "done 5", "gone 5", "0=403" */
static bool is_synchronous; /* start() answers at once, with this: */
static struct delivery_answer prompt;
static uint64_t seed;

static void __attribute__((format(printf, 2, 3))) note(char *log, const char *format, ...)
{
	size_t used = strlen(log);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(log + used, sizeof(sent) - used, format, arguments);
	va_end(arguments);
}

static bool
port_start(void *context, unsigned destination, const struct export_item *item, struct delivery_answer *ret)
{
	(void)context;
	note(sent, "%u:%u ", destination, (unsigned)item->facts.sequence);
	if (is_synchronous)
		*ret = prompt;
	return !is_synchronous;
}

static void
port_accepted(void *context, unsigned destination, struct export_item *item,
	      const struct delivery_answer *answer)
{
	(void)context;
	(void)answer;
	note(events, "+%u:%u ", destination, (unsigned)item->facts.sequence);
}

static void
port_done(void *context, struct export_item *item)
{
	(void)context;
	note(events, "done %u ", (unsigned)item->facts.sequence);
}

static void
port_changed(void *context, unsigned destination, const struct delivery_answer *answer, unsigned failures)
{
	(void)context;
	note(events, "%u=%d%s ", destination, answer->status, failures == 2 ? "!" : "");
}

static void
port_release(void *context, struct export_item *item)
{
	(void)context;
	note(events, "gone %u ", (unsigned)item->facts.sequence);
}

static uint64_t
port_random(void *context)
{
	(void)context;
	return random_next(&seed);
}

static void
make_queue(unsigned destinations)
{
	static const struct queue_port port = {NULL,         port_start,   port_accepted, port_done,
					       port_changed, port_release, port_random};

	sent[0] = events[0] = 0;
	is_synchronous = false;
	seed = 1;
	queue = queue_new(destinations, &port);
	assert_non_null(queue);
}

static int
finish(void **state)
{
	(void)state;
	queue_free(queue);
	queue = NULL;
	return 0;
}

static struct export_item *
add_of(const char *launch, uint64_t sequence, int64_t end_ns, uint32_t accepted)
{
	static struct export_item item;
	struct export_item *added = NULL;

	item = (struct export_item){.fd = -1, .accepted = accepted};
	item.facts.sequence = sequence;
	item.facts.end_ns = end_ns;
	snprintf(item.facts.runtime_id, sizeof(item.facts.runtime_id), "%s", launch);
	assert_int_equal(queue_add(queue, &item, &added), 0);
	return added;
}

static struct export_item *
add(uint64_t sequence)
{
	return add_of("this", sequence, (int64_t)sequence * 1000, 0);
}

static void
answer(unsigned destination, int status, int64_t now_ms)
{
	const struct delivery_answer given = {
		.verdict = retry_judge(status, false), .status = status, .retry_after_ms = -1};

	queue_answer(queue, destination, &given, now_ms);
	queue_advance(queue, now_ms);
}

#define EXPECT(log, text)                       \
	do {                                    \
		assert_string_equal(log, text); \
		(log)[0] = 0;                   \
	} while (0)

static void
test_in_order(void **state)
{
	(void)state;
	make_queue(1);
	for (uint64_t i = 1; i <= 3; i++)
		add(i);
	queue_advance(queue, 0);
	queue_advance(queue, 0);
	EXPECT(sent, "0:1 "); /* one at a time */
	assert_true(queue_is_in_flight(queue));
	assert_int_equal(queue_next_ms(queue, 0), INT64_MAX);
	for (int i = 0; i < 3; i++)
		answer(0, 200, 0);
	EXPECT(sent, "0:2 0:3 ");
	EXPECT(events, "+0:1 0=200 done 1 gone 1 +0:2 done 2 gone 2 +0:3 done 3 gone 3 ");
	assert_false(queue_is_in_flight(queue));
	assert_null(queue_at(queue, 0));
}

/* Left-overs of earlier runs come first, whenever they are found; numbers order a launch, whatever its clock
 * did. */
static void
test_age(void **state)
{
	(void)state;
	make_queue(1);
	add_of("this", 2, 5000, 0);
	add_of("this", 1, 6000, 0);
	add_of("that", 9, 100, 0);
	add_of("that", 8, 90, 0);
	add_of("this", 3, 4000, 0);
	queue_advance(queue, 0);
	for (int i = 0; i < 5; i++)
		answer(0, 200, 0);
	EXPECT(sent, "0:8 0:9 0:1 0:2 0:3 ");
}

static void
test_independent_destinations(void **state)
{
	(void)state;
	make_queue(3);
	add(1);
	add(2);
	queue_advance(queue, 0);
	EXPECT(sent, "0:1 1:1 2:1 ");
	answer(1, 200, 0);
	answer(1, 200, 0);
	EXPECT(sent, "1:2 ");
	EXPECT(events, "+1:1 1=200 +1:2 ");
	answer(0, 503, 0);
	answer(2, 200, 0);
	answer(2, 200, 0);
	EXPECT(sent, "2:2 ");
	assert_int_equal(queue_waiting(queue, 0), 2);
	assert_int_equal(queue_waiting(queue, 1), 0);
	queue_advance(queue, 2000);
	answer(0, 200, 2000);
	answer(0, 200, 2000);
	EXPECT(sent, "0:1 0:2 ");
	EXPECT(events, "0=503 +2:1 2=200 +2:2 +0:1 0=200 done 1 gone 1 +0:2 done 2 gone 2 ");
}

/* Sent again from the same one, not before its time; told when it did not pass at once, and when it did. */
static void
test_outage(void **state)
{
	int64_t now = 0;

	(void)state;
	make_queue(1);
	add(1);
	add(2);
	queue_advance(queue, now);
	answer(0, 200, now);
	EXPECT(events, "+0:1 0=200 done 1 gone 1 ");
	for (int i = 0; i < 8; i++) {
		answer(0, 0, now);
		int64_t next = queue_next_ms(queue, now);
		assert_true(next > now && next <= now + 60000);
		queue_advance(queue, next - 1);
		assert_false(queue_is_in_flight(queue));
		queue_advance(queue, next);
		assert_true(queue_is_in_flight(queue));
		now = next;
	}
	EXPECT(sent, "0:1 0:2 0:2 0:2 0:2 0:2 0:2 0:2 0:2 0:2 ");
	EXPECT(events, "0=0 0=0! "); /* when it begins, and when it did not pass */
	answer(0, 500, now);
	EXPECT(events, "0=500 "); /* that is another answer */
	queue_advance(queue, now + 60000);
	answer(0, 200, now + 60000);
	EXPECT(events, "+0:2 0=200 done 2 gone 2 ");
}

/* All are kept; it is asked about every five minutes, with one. */
static void
test_refusing_destination(void **state)
{
	(void)state;
	make_queue(1);
	add(1);
	add(2);
	queue_advance(queue, 0);
	answer(0, 403, 0);
	EXPECT(events, "0=403 ");
	int64_t next = queue_next_ms(queue, 0);
	assert_in_range(next, 270000, 330000);
	queue_advance(queue, next);
	answer(0, 403, next);
	EXPECT(events, "");
	EXPECT(sent, "0:1 0:1 ");
	next = queue_next_ms(queue, next);
	queue_advance(queue, next);
	answer(0, 401, next);
	EXPECT(events, "0=401 ");
	next = queue_next_ms(queue, next);
	queue_advance(queue, next);
	answer(0, 202, next);
	answer(0, 202, next);
	EXPECT(events, "+0:1 0=202 done 1 gone 1 +0:2 done 2 gone 2 ");
}

/* Set aside: the next ones go on; offered again, alone and slowly. When one of them is taken after all, so
 * may be the others. */
static void
test_refused_profiles(void **state)
{
	(void)state;
	make_queue(1);
	for (uint64_t i = 1; i <= 4; i++)
		add(i);
	queue_advance(queue, 0);
	answer(0, 413, 0);
	answer(0, 413, 0);
	answer(0, 200, 0);
	EXPECT(sent, "0:1 0:2 0:3 0:4 ");
	EXPECT(events, "0=413 +0:3 0=200 done 3 gone 3 ");
	answer(0, 400, 0);
	EXPECT(events, "0=400 ");
	assert_int_equal(queue_waiting(queue, 0), 3);
	int64_t probe = queue_next_ms(queue, 0);
	assert_in_range(probe, 270000, 330000);
	queue_advance(queue, probe);
	EXPECT(sent, "0:1 ");
	answer(0, 413, probe); /* still not */
	EXPECT(sent, "");
	probe = queue_next_ms(queue, probe);
	queue_advance(queue, probe);
	answer(0, 200, probe);
	answer(0, 200, probe);
	answer(0, 200, probe);
	EXPECT(sent, "0:1 0:2 0:4 ");
	assert_null(queue_at(queue, 0));
}

/* What is set aside does not keep a destination busy that is down, nor the processor. */
static void
test_refused_profile_then_outage(void **state)
{
	int64_t now = 0;

	(void)state;
	make_queue(1);
	add(1);
	queue_advance(queue, now);
	answer(0, 400, now);
	for (int i = 0; i < 5; i++) {
		int64_t next = queue_next_ms(queue, now);

		assert_true(next > now);
		queue_advance(queue, next);
		assert_true(queue_is_in_flight(queue));
		answer(0, 0, next);
		now = next;
	}
	add(2); /* one that may be taken has its turn before */
	sent[0] = 0;
	now = queue_next_ms(queue, now);
	queue_advance(queue, now);
	EXPECT(sent, "0:2 ");
}

/* Files: answers come at once, however many there are. */
static void
test_prompt_answers(void **state)
{
	(void)state;
	make_queue(1);
	is_synchronous = true;
	prompt = (struct delivery_answer){.verdict = ANSWER_ACCEPTED, .status = 1, .retry_after_ms = -1};
	for (uint64_t i = 1; i <= 3; i++)
		add(i);
	queue_advance(queue, 0);
	EXPECT(sent, "0:1 0:2 0:3 ");
	prompt.verdict = ANSWER_TEMPORARY;
	add(4);
	queue_advance(queue, 0);
	EXPECT(sent, "0:4 ");
	assert_true(queue_next_ms(queue, 0) > 0);
}

static void
test_known_acceptances(void **state)
{
	(void)state;
	make_queue(2);
	assert_null(add_of("this", 1, 0, 3));
	EXPECT(events, "done 1 gone 1 ");
	add_of("this", 2, 0, 1);
	queue_advance(queue, 0);
	EXPECT(sent, "1:2 ");
	answer(1, 200, 0);
	EXPECT(events, "+1:2 1=200 done 2 gone 2 ");
}

/* What is in flight is waited for, and not said to be done when it comes: somebody counted it as dropped. */
static void
test_drop(void **state)
{
	(void)state;
	make_queue(2);
	struct export_item *first = add(1), *second = add(2);
	queue_advance(queue, 0);
	queue_drop(queue, second);
	EXPECT(events, "gone 2 ");
	queue_drop(queue, first);
	EXPECT(events, "");
	answer(0, 503, 0);
	EXPECT(events, "0=503 ");
	answer(1, 200, 0);
	EXPECT(events, "+1:1 1=200 gone 1 ");
	assert_int_equal(queue_next_ms(queue, 0), INT64_MAX);
}

static void
test_left_out(void **state)
{
	(void)state;
	make_queue(1);
	add(1)->is_left_out = true;
	queue_advance(queue, 0);
	EXPECT(sent, "");
	assert_false(queue_has_hope(queue));
	assert_int_equal(queue_next_ms(queue, 0), INT64_MAX);
}

static void
test_bound(void **state)
{
	static struct export_item item;
	struct export_item *added;

	(void)state;
	make_queue(1);
	for (uint64_t i = 0; i < QUEUE_MAX; i++)
		add(i);
	assert_int_equal(queue_add(queue, &item, &added), -ENOBUFS);
}

/* The end of the session: who was waited for is asked at once; who said when, and who refuses, is not waited
 * for. */
static void
test_hope(void **state)
{
	const struct delivery_answer later = {
		.verdict = ANSWER_TEMPORARY, .status = 429, .retry_after_ms = 20000};

	(void)state;
	make_queue(1);
	assert_false(queue_has_hope(queue));
	add(1);
	assert_true(queue_has_hope(queue));
	queue_advance(queue, 0);
	for (int i = 0; i < 8; i++)
		answer(0, 0, i * 100000), queue_advance(queue, (i + 1) * 100000);
	answer(0, 0, 900000);
	queue_hurry(queue, 910000, 900000);
	assert_true(queue_is_hurried(queue));
	assert_true(queue_has_hope(queue));
	queue_advance(queue, 900000);
	assert_true(queue_is_in_flight(queue));
	answer(0, 0, 900000);
	assert_true(queue_has_hope(queue));
	assert_in_range(queue_next_ms(queue, 900000), 900010, 900100);
	queue_advance(queue, 901000);
	queue_answer(queue, 0, &later, 901000);
	assert_false(queue_has_hope(queue)); /* not within the grace */
}

static void
test_no_hope_from_refusals(void **state)
{
	(void)state;
	make_queue(1);
	add(1);
	queue_advance(queue, 0);
	answer(0, 403, 0);
	queue_hurry(queue, 10000000, 100);  /* longer than until the next probe */
	assert_true(queue_has_hope(queue)); /* somebody may have mended it */
	queue_advance(queue, 100);
	answer(0, 400, 100);
	assert_false(queue_has_hope(queue));
	add(2);
	queue_advance(queue, 200);
	answer(0, 403, 200);
	assert_false(queue_has_hope(queue));
}

/* Any answers in any order: every profile reaches every destination once, or is still there. */
static void
test_random(void **state)
{
	static const int statuses[] = {200, 200, 200, 0, 503, 400, 403};
	uint64_t random = 7;

	(void)state;
	for (int run = 0; run < 200; run++) {
		unsigned accepted[2][21] = {{0}};
		int64_t now = 0;
		uint64_t added = 0;

		make_queue(2);
		while (added < 20 || queue_at(queue, 0)) {
			if (added < 20 && random_below(&random, 3) == 0)
				add(++added);
			queue_advance(queue, now);
			unsigned destination = (unsigned)random_below(&random, 2);
			int status = statuses[random_below(&random, added < 20 ? 7 : 4)];
			events[0] = sent[0] = 0;
			queue_answer(queue, destination,
				     &(const struct delivery_answer){.verdict = retry_judge(status, false),
								     .status = status,
								     .retry_after_ms = -1},
				     now);
			unsigned number;
			if (sscanf(events, "+%u:%u", &destination, &number) == 2)
				accepted[destination][number]++;
			now += (int64_t)random_below(&random, 100000);
		}
		for (unsigned i = 1; i <= 20; i++) {
			assert_int_equal(accepted[0][i], 1);
			assert_int_equal(accepted[1][i], 1);
		}
		queue_free(queue);
	}
	queue = NULL;
}

#define QUEUE_TEST(test) cmocka_unit_test_teardown(test, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(test_in_order),
		QUEUE_TEST(test_age),
		QUEUE_TEST(test_independent_destinations),
		QUEUE_TEST(test_outage),
		QUEUE_TEST(test_refusing_destination),
		QUEUE_TEST(test_refused_profiles),
		QUEUE_TEST(test_refused_profile_then_outage),
		QUEUE_TEST(test_prompt_answers),
		QUEUE_TEST(test_known_acceptances),
		QUEUE_TEST(test_drop),
		QUEUE_TEST(test_left_out),
		QUEUE_TEST(test_bound),
		QUEUE_TEST(test_hope),
		QUEUE_TEST(test_no_hope_from_refusals),
		QUEUE_TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
