#pragma once
/* The seam between a program that writes files and one that also sends: all that exporter.c, transfers.c and
 * self_report.c know of requests. Behind it is network_open(), with libcurl and the formats of receivers;
 * ddprof-exporter links nothing of that. */

#include "worker/base/landlock.h"
#include "worker/export/format.h"
#include "worker/export/queue.h"
#include "worker/export/self_metrics.h"

#define NETWORK_PROBLEM_MAX 256

/* What came of a post() or a fetch(). */
struct network_answer {
	void *transfer; /* of that post(); NULL: it was a fetch() */
	struct delivery_answer delivery;
	char build_id[2 * MAX_BUILD_ID + 1]; /* of that fetch() */
	int debug_file;                      /* a sealed memfd, which the caller then owns, or -errno */
};

struct network {
	void *context;                         /* NULL: there is none of all this */
	struct landlock_exceptions exceptions; /* of the sandbox; `folders` is empty */

	/* As format_request() of worker/export/format_request.h. */
	int (*format)(const struct format_input *input, struct format_output *ret);
	/* Begins to send; what was formatted is borrowed until take() has the answer. 0 or -errno. May wait
	 * for a name server. */
	int (*post)(void *context, const struct delivery_destination *to,
		    const struct format_output *formatted, void *transfer);
	/* As debuginfod_fetch(). */
	int (*fetch)(void *context, const char *build_id);
	/* False: no answer is complete. */
	bool (*take)(void *context, struct network_answer *ret);
	/* As http_client_wait() and http_client_is_outdated(). */
	bool (*wait)(void *context, int fd, int timeout_ms);
	bool (*is_outdated)(void *context);
	/* To the statsd server, if there is one. How many could not be sent. */
	size_t (*report)(void *context, const struct self_metrics *metrics);
};

/* Before the sandbox. `delivery` is borrowed for the process's life. 0 or -errno; with 0 there is no network
 * if nothing wants it, or if it cannot be had for a reason that is then in ret_problem, one printable line.
 */
typedef int network_open_function(const struct delivery_config *delivery, struct network *ret,
				  char ret_problem[NETWORK_PROBLEM_MAX]);
network_open_function network_open;
