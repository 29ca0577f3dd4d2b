#pragma once
/* Adds comments to a finished profile without decoding it: protobuf messages of one type may be put behind
 * each other, and count as one. */

#include "worker/export/self_metrics.h"

#include <stddef.h>
#include <stdint.h>

#define SELF_COMMENTS_MAX (SELF_METRICS_MAX * 100) /* bytes */

/* The bytes to put behind a profile so that it has a comment "ddprof.<name>=<value>" for each metric that is
 * one. 0, or -EBADMSG: it is no pprof (the walk over its top level costs nothing but time proportional to its
 * size, whatever it holds). */
int self_comments_make(const uint8_t *pprof, size_t pprof_size, const struct self_metrics *metrics,
		       uint8_t ret[static SELF_COMMENTS_MAX], size_t *ret_size);
