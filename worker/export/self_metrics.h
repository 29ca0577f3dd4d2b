#pragma once
/* What a profile's making cost and how its delivery goes, as names and whole numbers: the same for the
 * comments of the profile ("ddprof.<name>=<value>") and for statsd. docs/overhead.md explains each. */

#include "ipc/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How delivery goes, in this exporter's life so far unless said otherwise. */
struct queue_report {
	uint64_t depth, bytes;  /* profiles that some destination has not accepted yet; now */
	uint64_t oldest_age_ns; /* of the first of them, since its period ended; now */
	uint64_t uploads;       /* accepted by a destination */
	uint64_t retries;       /* attempts that failed and are made again */
	uint64_t refusals;      /* attempts that failed for good */
	uint64_t dropped;       /* profiles given up: too many, too old, refused */
	uint64_t sent_bytes;
	uint64_t statsd_failures; /* datagrams that could not be sent */
};

#define SELF_METRICS_MAX 64
struct self_metric {
	char name[48];
	int64_t value;
	bool is_comment; /* false: the profile says it otherwise, or it is for Datadog's dashboards only */
};
struct self_metrics {
	size_t count;
	struct self_metric metric[SELF_METRICS_MAX];
};

/* `pprof_size`: bytes of the profile, uncompressed. */
void self_metrics_make(const struct profile_message *head, const struct queue_report *queue,
		       uint64_t pprof_size, struct self_metrics *ret);
