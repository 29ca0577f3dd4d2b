/* The table of answers, and arithmetic on milliseconds. */

#include "worker/export/retry.h"

#include <stdio.h>

static const struct {
	int status;
	enum verdict_of_destination verdict;
	const char *phrase;
} answers[] = {
	/* what is wrong with the request is wrong with it for ever (RFC 9110, RFC 6585) */
	{400, ANSWER_PROFILE_REFUSED, "Bad Request"},
	{413, ANSWER_PROFILE_REFUSED, "Content Too Large"},
	{415, ANSWER_PROFILE_REFUSED, "Unsupported Media Type"},
	{422, ANSWER_PROFILE_REFUSED, "Unprocessable Content"},
	/* somebody has to change the settings, here or there */
	{401, ANSWER_REFUSES, "Unauthorized"},
	{402, ANSWER_REFUSES, "Payment Required"},
	{403, ANSWER_REFUSES, "Forbidden"},
	{404, ANSWER_REFUSES, "Not Found"},
	{405, ANSWER_REFUSES, "Method Not Allowed"},
	{407, ANSWER_REFUSES, "Proxy Authentication Required"},
	{410, ANSWER_REFUSES, "Gone"},
	{301, ANSWER_REFUSES, "Moved Permanently"},
	{302, ANSWER_REFUSES, "Found"},
	{303, ANSWER_REFUSES, "See Other"},
	{307, ANSWER_REFUSES, "Temporary Redirect"},
	{308, ANSWER_REFUSES, "Permanent Redirect"},
	/* passes */
	{408, ANSWER_TEMPORARY, "Request Timeout"},
	{425, ANSWER_TEMPORARY, "Too Early"},
	{429, ANSWER_TEMPORARY, "Too Many Requests"},
	{500, ANSWER_TEMPORARY, "Internal Server Error"},
	{502, ANSWER_TEMPORARY, "Bad Gateway"},
	{503, ANSWER_TEMPORARY, "Service Unavailable"},
	{504, ANSWER_TEMPORARY, "Gateway Timeout"},
};
#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

enum verdict_of_destination
retry_judge(int status, bool has_retry_after)
{
	if (status == 413 && has_retry_after)
		return ANSWER_TEMPORARY;
	for (size_t i = 0; i < ANSWERS; i++)
		if (answers[i].status == status)
			return answers[i].verdict;
	if (status >= 200 && status <= 299)
		return ANSWER_ACCEPTED;
	/* an unknown 4xx may be about one profile or about all: refusing all loses none */
	return status >= 300 && status <= 499 ? ANSWER_REFUSES : ANSWER_TEMPORARY;
}

void
retry_status_text(int status, char *ret, size_t capacity)
{
	for (size_t i = 0; i < ANSWERS; i++) {
		if (answers[i].status != status)
			continue;
		snprintf(ret, capacity, "%d %s", status, answers[i].phrase);
		return;
	}
	snprintf(ret, capacity, "%d", status);
}

static int64_t
random_between(int64_t from, int64_t to, uint64_t random)
{
	return from + (int64_t)(random % (uint64_t)(to - from + 1));
}

/* base, doubled with every earlier failure in a row, never beyond cap. */
static int64_t
span(int64_t base, int64_t cap, unsigned failures)
{
	for (; failures > 0 && base < cap; failures--)
		base *= 2;
	return base < cap ? base : cap;
}

/* Not before `wait_ms` from now, nor before the server said. */
static void
wait_for(struct retry *retry, int64_t wait_ms, int64_t retry_after_ms, uint64_t random, int64_t now_ms)
{
	if (retry_after_ms > RETRY_SERVER_CAP_MS)
		retry_after_ms = RETRY_SERVER_CAP_MS;
	retry->by_server = retry_after_ms > wait_ms;
	if (retry->by_server)
		wait_ms = random_between(retry_after_ms, retry_after_ms + retry_after_ms / 10, random);
	retry->next_ms = now_ms + wait_ms;
	if (retry->failures < 1000000)
		retry->failures++;
}

void
retry_failed(struct retry *retry, int64_t retry_after_ms, bool is_hurried, uint64_t random, int64_t now_ms)
{
	int64_t longest = is_hurried ? span(RETRY_HURRIED_BASE_MS, RETRY_HURRIED_CAP_MS, retry->failures)
				     : span(RETRY_BASE_MS, RETRY_CAP_MS, retry->failures);

	wait_for(retry, random_between(longest / 10, longest, random), retry_after_ms, random, now_ms);
}

void
retry_refused(struct retry *retry, int64_t retry_after_ms, uint64_t random, int64_t now_ms)
{
	const int64_t tenth = RETRY_PROBE_MS / 10;

	wait_for(retry, random_between(RETRY_PROBE_MS - tenth, RETRY_PROBE_MS + tenth, random),
		 retry_after_ms, random, now_ms);
}

void
retry_succeeded(struct retry *retry)
{
	*retry = (struct retry){0};
}

void
retry_hurry(struct retry *retry, int64_t now_ms)
{
	if (retry->by_server)
		return;
	retry->failures = 0; /* the short spans begin with the shortest */
	if (retry->next_ms > now_ms)
		retry->next_ms = now_ms;
}
