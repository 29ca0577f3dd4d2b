#pragma once
/* The self-report of one profile, when it comes to the exporter: into the profile, and to statsd. */

#include "worker/export/network.h"

/* `profile` is a descriptor of the pprof (borrowed). Returns a new memfd with the same profile and the
 * comments behind it, or -errno, and then the profile goes on as it is. `network`: NULL for none; what cannot
 * be sent is added to queue->statsd_failures, which the next report has. */
int self_report_add(int profile, const struct profile_message *head, struct queue_report *queue,
		    const struct network *network);
