#pragma once
/* One perf ring buffer, read in place. The kernel writes [data_tail, data_head); we read what lies
 * between and publish how far we came. Records may wrap around the end of the data area: everything is
 * addressed by position and masked, never through a mirrored mapping (current kernels refuse one).
 *
 *      data area, size = mask + 1
 *      +------------------------------------------------------+
 *      |....end of record 7|  free  |record 5|record 6|record 7|
 *      +------------------------------------------------------+
 *                          head              tail (positions only grow; masked on access)
 *
 * Source: perf_event_open(2), "MMAP layout"; memory order: linux/Documentation and tools/lib/perf. */

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_ring {
	struct perf_event_mmap_page *page; /* owned mapping */
	const uint8_t *data;
	uint64_t mask;
	uint64_t head; /* snapshot of data_head: records beyond it wait for the next pass */
	uint64_t tail; /* next record to read */
	size_t mapped_bytes;
};

/* A record still in the ring; valid until the ring is released past it. */
struct ring_record {
	const struct perf_ring *ring;
	uint64_t at;
	struct perf_event_header header;
};

/* Maps a perf descriptor's ring (borrowed; the mapping outlives it). data_size is a power of two. 0 or
 * -errno. */
int perf_ring_map(int fd, size_t data_size, struct perf_ring *ret);
/* For tests: a ring over plain memory laid out like the kernel's (one page, then data). */
void perf_ring_over(struct perf_event_mmap_page *page, size_t data_size, struct perf_ring *ret);
void perf_ring_unmap(struct perf_ring *ring);

void perf_ring_snapshot(struct perf_ring *ring); /* loads data_head with acquire order */

/* The record at tail without consuming it. False: none before the snapshot. A header that cannot be
 * (size below 8, not a multiple of 8, beyond head) costs the ring's content: it is skipped to head and
 * *ret_malformed is incremented. */
bool perf_ring_peek(struct perf_ring *ring, struct ring_record *ret, uint64_t *ret_malformed);

void perf_ring_consume(struct perf_ring *ring, const struct ring_record *record);
void perf_ring_release(struct perf_ring *ring); /* publishes tail: the kernel may overwrite what was read */
void perf_ring_discard(struct perf_ring *ring); /* forgets everything before the snapshot */

/* `size` bytes at `offset` of the record (header included), gathered over the wrap. False: outside it. */
bool ring_record_copy(const struct ring_record *record, size_t offset, void *ret, size_t size);
