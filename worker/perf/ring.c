/* Reads a perf ring by position and mask; acquires head before any record and releases tail after all. */

#include "worker/perf/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void
perf_ring_over(struct perf_event_mmap_page *page, size_t data_size, struct perf_ring *ret)
{
	*ret = (struct perf_ring){
		.page = page,
		.data = (const uint8_t *)page + sysconf(_SC_PAGESIZE),
		.mask = data_size - 1,
		.tail = page->data_tail, /* ours alone: only this side ever writes it */
		.mapped_bytes = (size_t)sysconf(_SC_PAGESIZE) + data_size,
	};
}

int
perf_ring_map(int fd, size_t data_size, struct perf_ring *ret)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE) + data_size;
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return -errno;
	perf_ring_over(page, data_size, ret);
	return 0;
}

void
perf_ring_unmap(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, ring->mapped_bytes);
	ring->page = NULL;
}

void
perf_ring_snapshot(struct perf_ring *ring)
{
	/* pairs with the kernel's store-release of data_head: the records before it are complete */
	ring->head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

static bool
is_plausible(const struct perf_ring *ring, const struct perf_event_header *header)
{
	return header->size >= sizeof(*header) && header->size % 8 == 0 &&
	       header->size <= ring->head - ring->tail;
}

bool
perf_ring_peek(struct perf_ring *ring, struct ring_record *ret, uint64_t *ret_malformed)
{
	uint64_t left = ring->head - ring->tail;

	if (left == 0)
		return false;
	if (left > ring->mask + 1 || left < sizeof(ret->header) || ring->tail % 8 != 0) {
		(*ret_malformed)++;
		perf_ring_discard(ring);
		return false;
	}
	/* a header is 8 bytes at a multiple of 8: it never wraps */
	memcpy(&ret->header, ring->data + (ring->tail & ring->mask), sizeof(ret->header));
	if (!is_plausible(ring, &ret->header)) {
		(*ret_malformed)++;
		perf_ring_discard(ring);
		return false;
	}
	ret->ring = ring;
	ret->at = ring->tail;
	return true;
}

void
perf_ring_consume(struct perf_ring *ring, const struct ring_record *record)
{
	ring->tail = record->at + record->header.size;
}

void
perf_ring_release(struct perf_ring *ring)
{
	__atomic_store_n(&ring->page->data_tail, ring->tail, __ATOMIC_RELEASE);
}

void
perf_ring_discard(struct perf_ring *ring)
{
	ring->tail = ring->head;
}

bool
ring_record_copy(const struct ring_record *record, size_t offset, void *ret, size_t size)
{
	const struct perf_ring *ring = record->ring;

	if (offset > record->header.size || size > record->header.size - offset)
		return false;
	uint64_t start = (record->at + offset) & ring->mask;
	size_t until_end = (size_t)(ring->mask + 1 - start);
	size_t first = size < until_end ? size : until_end;

	memcpy(ret, ring->data + start, first);
	memcpy((uint8_t *)ret + first, ring->data, size - first);
	return true;
}
