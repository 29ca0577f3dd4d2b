#pragma once
/* What an answer means and when to ask again: one table of HTTP statuses, and a backoff. Pure functions; time
 * and chance are parameters. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RETRY_BASE_MS 1000
#define RETRY_CAP_MS 60000
#define RETRY_SERVER_CAP_MS (10 * 60000) /* the longest a Retry-After is believed */
#define RETRY_PROBE_MS (5 * 60000)       /* between two looks at who refuses */
/* Once the target is gone and the grace runs. */
#define RETRY_HURRIED_BASE_MS 100
#define RETRY_HURRIED_CAP_MS 1000

enum verdict_of_destination {
	ANSWER_ACCEPTED,
	ANSWER_TEMPORARY,       /* back off, then the same profile again */
	ANSWER_REFUSES,         /* the destination takes none from us: keep them all, ask slowly */
	ANSWER_PROFILE_REFUSED, /* not this one: set it aside, go on with the next */
};

/* Of an HTTP status; 0 is no answer at all. A 413 that says when to come back passes (RFC 9110, 15.5.14). */
enum verdict_of_destination retry_judge(int status, bool has_retry_after);

/* "403 Forbidden", or only the number for what has no row in the table. `ret` is terminated. */
void retry_status_text(int status, char *ret, size_t capacity);

/* When one destination may be asked again. Zeroed: at once. */
struct retry {
	unsigned failures; /* in a row */
	int64_t next_ms;   /* of the caller's monotonic clock */
	bool by_server;    /* next_ms is what the server asked for */
};

/* Backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015): a random moment
 * within a span that doubles from base to cap, so that a fleet that lost its receiver does not come back in
 * step. The span's first tenth is left out: no answer is worth asking for in a loop.
 * retry_after_ms: -1, or what the server asked for, which is waited out and up to a tenth more; it never
 * makes the wait shorter. */
void retry_failed(struct retry *retry, int64_t retry_after_ms, bool is_hurried, uint64_t random,
		  int64_t now_ms);

/* A refusal: asked again after RETRY_PROBE_MS, 10 % earlier or later. */
void retry_refused(struct retry *retry, int64_t retry_after_ms, uint64_t random, int64_t now_ms);

void retry_succeeded(struct retry *retry);

/* Time is short now: one more attempt at once, unless the server said when. */
void retry_hurry(struct retry *retry, int64_t now_ms);
