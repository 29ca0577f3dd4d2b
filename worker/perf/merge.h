#pragma once
/* Hands out the records of many rings in the order of their times. A record is only handed out once no
 * other CPU can still write an older one, so a mapping is always known before the sample that needs it. */

#include "worker/perf/ring.h"

struct ring_merge;

typedef void ring_merge_handler(void *context, size_t ring_index, const struct ring_record *record);

struct ring_merge *ring_merge_new(struct perf_ring *rings, size_t count); /* borrows; NULL: out of memory */
void ring_merge_free(struct ring_merge *merge);

/* Handles every record with a time up to limit_ns (UINT64_MAX: all), oldest first, and then gives its space
 * back to the kernel. `finish` is called before that, with `handle`'s context, after RING_MERGE_BATCH records
 * at most: until it returns they stay where they are (NULL: nobody needs them after `handle`). Returns how
 * many; *malformed is added to. Records without a time are handed out at once. */
#define RING_MERGE_BATCH 16
typedef void ring_merge_finish(void *context);
size_t ring_merge_drain(struct ring_merge *merge, uint64_t limit_ns, ring_merge_handler *handle,
			ring_merge_finish *finish, void *context, uint64_t *malformed);
