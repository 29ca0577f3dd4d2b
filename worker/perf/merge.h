#pragma once
/* Hands out the records of many rings in the order of their times. A record is only handed out once no
 * other CPU can still write an older one, so a mapping is always known before the sample that needs it. */

#include "worker/perf/ring.h"

struct ring_merge;

typedef void ring_merge_handler(void *context, size_t ring_index, const struct ring_record *record);

struct ring_merge *ring_merge_new(struct perf_ring *rings, size_t count); /* borrows; NULL: out of memory */
void ring_merge_free(struct ring_merge *merge);

/* Handles every record with a time up to limit_ns (UINT64_MAX: all), oldest first, and gives the space
 * back to the kernel record by record. Returns how many; *malformed is added to. Records without a time
 * are handed out at once. */
size_t ring_merge_drain(struct ring_merge *merge, uint64_t limit_ns, ring_merge_handler *handle,
			void *context, uint64_t *malformed);
