/* A binary heap of rings by the time of their next record: with hundreds of CPUs each record costs a few
 * comparisons, not a scan. */

#include "worker/perf/merge.h"

#include "worker/perf/record.h"

#include <stdlib.h>

struct candidate {
	uint64_t time_ns;
	size_t ring;
	struct ring_record record;
};

struct ring_merge {
	struct perf_ring *rings;
	size_t ring_count;
	size_t heap_size;
	struct candidate heap[];
};

struct ring_merge *
ring_merge_new(struct perf_ring *rings, size_t count)
{
	struct ring_merge *merge = calloc(1, sizeof(*merge) + count * sizeof(merge->heap[0]));

	if (merge) {
		merge->rings = rings;
		merge->ring_count = count;
	}
	return merge;
}

void
ring_merge_free(struct ring_merge *merge)
{
	free(merge);
}

static void
sift_up(struct ring_merge *merge, size_t at)
{
	struct candidate moving = merge->heap[at];

	while (at > 0 && merge->heap[(at - 1) / 2].time_ns > moving.time_ns) {
		merge->heap[at] = merge->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	merge->heap[at] = moving;
}

static void
sift_down(struct ring_merge *merge, size_t at)
{
	struct candidate moving = merge->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= merge->heap_size)
			break;
		if (child + 1 < merge->heap_size &&
		    merge->heap[child + 1].time_ns < merge->heap[child].time_ns)
			child++;
		if (merge->heap[child].time_ns >= moving.time_ns)
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = moving;
}

/* The next record of a ring that is old enough. */
static bool
next_candidate(struct ring_merge *merge, size_t ring, uint64_t limit_ns, uint64_t *malformed,
	       struct candidate *ret)
{
	ret->ring = ring;
	if (!perf_ring_peek(&merge->rings[ring], &ret->record, malformed))
		return false;
	if (!record_time(&ret->record, &ret->time_ns))
		ret->time_ns = 0;
	return ret->time_ns <= limit_ns;
}

static void
release(struct ring_merge *merge, const size_t *rings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		perf_ring_release(&merge->rings[rings[i]]);
}

size_t
ring_merge_drain(struct ring_merge *merge, uint64_t limit_ns, ring_merge_handler *handle,
		 ring_merge_finish *finish, void *context, uint64_t *malformed)
{
	size_t handled = 0, kept_in[RING_MERGE_BATCH], kept = 0;

	merge->heap_size = 0;
	for (size_t i = 0; i < merge->ring_count; i++) {
		perf_ring_snapshot(&merge->rings[i]);
		if (next_candidate(merge, i, limit_ns, malformed, &merge->heap[merge->heap_size]))
			sift_up(merge, merge->heap_size++);
	}
	while (merge->heap_size > 0) {
		struct candidate *first = &merge->heap[0];
		struct perf_ring *ring = &merge->rings[first->ring];

		handle(context, first->ring, &first->record);
		handled++;
		kept_in[kept++] = first->ring;
		perf_ring_consume(ring, &first->record);
		if (!next_candidate(merge, first->ring, limit_ns, malformed, first))
			*first = merge->heap[--merge->heap_size];
		if (merge->heap_size > 0)
			sift_down(merge, 0);
		if (!finish || kept == RING_MERGE_BATCH || merge->heap_size == 0) {
			if (finish)
				finish(context);
			release(merge, kept_in, kept);
			kept = 0;
		}
	}
	/* content that made no sense was skipped: the kernel may have that room too */
	for (size_t i = 0; i < merge->ring_count; i++)
		perf_ring_release(&merge->rings[i]);
	return handled;
}
