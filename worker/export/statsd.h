#pragma once
/* Gauges to a statsd server on this host, one datagram each, as ddprof sends them. What the server does not
 * take within a moment is lost, and counted. */

#include "worker/export/self_metrics.h"

#define STATSD_PATIENCE_MS 500 /* for all of them together */

/* Sends all metrics to the Unix datagram socket at `path`, opened anew: the server may have been replaced.
 * How many could not be sent; *ret_error is why the last of them could not (errno; untouched if none). */
size_t statsd_send(const char *path, const struct self_metrics *metrics, int *ret_error);
