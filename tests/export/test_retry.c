/* What an answer means, and when to ask again: never in a loop, never much later than promised. */

#include "worker/export/retry.h"

#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
test_verdicts(void **state)
{
	static const struct {
		int status;
		bool has_retry_after;
		enum verdict_of_destination verdict;
	} cases[] = {
		{200, false, ANSWER_ACCEPTED},        {202, false, ANSWER_ACCEPTED},
		{204, true, ANSWER_ACCEPTED},         {299, false, ANSWER_ACCEPTED},
		{0, false, ANSWER_TEMPORARY},         {408, false, ANSWER_TEMPORARY},
		{425, false, ANSWER_TEMPORARY},       {429, true, ANSWER_TEMPORARY},
		{500, false, ANSWER_TEMPORARY},       {503, true, ANSWER_TEMPORARY},
		{599, false, ANSWER_TEMPORARY},       {100, false, ANSWER_TEMPORARY},
		{999, false, ANSWER_TEMPORARY},       {-1, false, ANSWER_TEMPORARY},
		{301, false, ANSWER_REFUSES},         {304, false, ANSWER_REFUSES},
		{307, false, ANSWER_REFUSES},         {401, false, ANSWER_REFUSES},
		{403, false, ANSWER_REFUSES},         {404, false, ANSWER_REFUSES},
		{407, false, ANSWER_REFUSES},         {418, false, ANSWER_REFUSES},
		{400, false, ANSWER_PROFILE_REFUSED}, {413, false, ANSWER_PROFILE_REFUSED},
		{415, false, ANSWER_PROFILE_REFUSED}, {422, false, ANSWER_PROFILE_REFUSED},
		{413, true, ANSWER_TEMPORARY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (retry_judge(cases[i].status, cases[i].has_retry_after) != cases[i].verdict)
			fail_msg("status %d", cases[i].status);
}

static void
test_status_text(void **state)
{
	char text[64], tiny[4];

	(void)state;
	retry_status_text(403, text, sizeof(text));
	assert_string_equal(text, "403 Forbidden");
	retry_status_text(599, text, sizeof(text));
	assert_string_equal(text, "599");
	retry_status_text(503, tiny, sizeof(tiny));
	assert_string_equal(tiny, "503");
}

/* Each wait lies in the span that belongs to it; over many, all of the span is used. */
static void
check_spans(bool is_hurried, const int64_t *spans, size_t count)
{
	int64_t least[16], most[16] = {0};
	uint64_t random = 1;

	memset(least, 0x7f, sizeof(least));
	for (int run = 0; run < 2000; run++) {
		struct retry retry = {0};
		int64_t now = 1000;

		for (size_t i = 0; i < count; i++) {
			retry_failed(&retry, -1, is_hurried, random_next(&random), now);
			int64_t wait = retry.next_ms - now;
			assert_int_equal(retry.failures, i + 1);
			least[i] = wait < least[i] ? wait : least[i];
			most[i] = wait > most[i] ? wait : most[i];
			now = retry.next_ms;
		}
	}
	for (size_t i = 0; i < count; i++) {
		assert_in_range(least[i], spans[i] / 10, spans[i] / 10 + spans[i] / 50);
		assert_in_range(most[i], spans[i] - spans[i] / 50, spans[i]);
	}
}

static void
test_backoff(void **state)
{
	static const int64_t spans[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	static const int64_t hurried[] = {100, 200, 400, 800, 1000, 1000, 1000};

	(void)state;
	check_spans(false, spans, sizeof(spans) / sizeof(spans[0]));
	check_spans(true, hurried, sizeof(hurried) / sizeof(hurried[0]));
}

static void
test_success_begins_anew(void **state)
{
	struct retry retry = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		retry_failed(&retry, -1, false, 12345, 0);
	retry_succeeded(&retry);
	assert_int_equal(retry.next_ms, 0);
	retry_failed(&retry, -1, false, UINT64_MAX, 5000);
	assert_in_range(retry.next_ms, 5100, 6000);
}

/* Retry-After: waited out, and a little more so that not all come back in the same second; never shorter than
 * the backoff (0 would be a loop), never for hours. */
static void
test_server_says_when(void **state)
{
	static const struct {
		int64_t asked, from, to;
	} cases[] = {
		{0, 100, 1000},
		{10, 100, 1000},
		{30000, 30000, 33000},
		{86400000, RETRY_SERVER_CAP_MS, RETRY_SERVER_CAP_MS + RETRY_SERVER_CAP_MS / 10},
		{INT64_MAX, RETRY_SERVER_CAP_MS, RETRY_SERVER_CAP_MS + RETRY_SERVER_CAP_MS / 10},
	};
	uint64_t random = 2;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int run = 0; run < 100; run++) {
			struct retry retry = {0};

			retry_failed(&retry, cases[i].asked, false, random_next(&random), 0);
			assert_in_range(retry.next_ms, cases[i].from, cases[i].to);
		}
}

static void
test_refusal(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (int run = 0; run < 1000; run++) {
		struct retry retry = {0};

		retry_refused(&retry, run % 2 ? -1 : 0, random_next(&random), 7);
		assert_in_range(retry.next_ms - 7, RETRY_PROBE_MS - RETRY_PROBE_MS / 10,
				RETRY_PROBE_MS + RETRY_PROBE_MS / 10);
	}
}

/* The target is gone: what waits is asked for at once, except from a server that said when. */
static void
test_hurry(void **state)
{
	struct retry retry = {0}, server = {0}, idle = {0};

	(void)state;
	for (int i = 0; i < 8; i++)
		retry_failed(&retry, -1, false, UINT64_MAX, 0);
	retry_hurry(&retry, 10);
	assert_int_equal(retry.next_ms, 10);
	retry_failed(&retry, -1, true, UINT64_MAX, 10);
	assert_in_range(retry.next_ms, 20, 110);
	retry_failed(&server, 30000, false, 0, 0);
	retry_hurry(&server, 10);
	assert_int_equal(server.next_ms, 30000);
	retry_hurry(&idle, 10);
	assert_int_equal(idle.next_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_status_text),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_success_begins_anew),
		cmocka_unit_test(test_server_says_when),
		cmocka_unit_test(test_refusal),
		cmocka_unit_test(test_hurry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
