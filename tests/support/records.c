/* Little-endian hosts only, as the records are. */

#include "tests/support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void
record_bytes(struct record_builder *b, const void *bytes, size_t size)
{
	assert_true(size <= sizeof(b->bytes) - b->size);
	memcpy(b->bytes + b->size, bytes, size);
	b->size += size;
}

void
record_begin(struct record_builder *b, uint32_t type, uint16_t misc)
{
	struct perf_event_header header = {.type = type, .misc = misc};

	b->size = 0;
	record_bytes(b, &header, sizeof(header));
}

void
record_u8(struct record_builder *b, uint8_t value)
{
	record_bytes(b, &value, sizeof(value));
}

void
record_u32(struct record_builder *b, uint32_t value)
{
	record_bytes(b, &value, sizeof(value));
}

void
record_u64(struct record_builder *b, uint64_t value)
{
	record_bytes(b, &value, sizeof(value));
}

void
record_text(struct record_builder *b, const char *text)
{
	record_bytes(b, text, strlen(text) + 1);
	while (b->size % 8 != 0)
		record_u8(b, 0);
}

void
record_end(struct record_builder *b)
{
	uint16_t size = (uint16_t)b->size;

	assert_true(b->size <= UINT16_MAX);
	memcpy(b->bytes + offsetof(struct perf_event_header, size), &size, sizeof(size));
}

void
record_end_at(struct record_builder *b, uint32_t pid, uint32_t tid, uint64_t time_ns)
{
	record_u32(b, pid);
	record_u32(b, tid);
	record_u64(b, time_ns);
	record_end(b);
}

void
record_mmap(struct record_builder *b, const struct mmap_fields *mmap, uint64_t time_ns)
{
	uint8_t id[20] = {0};

	record_begin(b, PERF_RECORD_MMAP2, mmap->build_id_size ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0);
	record_u32(b, mmap->pid);
	record_u32(b, mmap->pid);
	record_u64(b, mmap->start);
	record_u64(b, mmap->length);
	record_u64(b, mmap->offset);
	if (mmap->build_id_size) {
		memcpy(id, mmap->build_id, mmap->build_id_size);
		record_u8(b, mmap->build_id_size);
		record_bytes(b, "\0\0\0", 3);
		record_bytes(b, id, sizeof(id));
	} else {
		record_u32(b, 8);
		record_u32(b, 1);
		record_u64(b, mmap->inode);
		record_u64(b, 0);
	}
	record_u32(b, mmap->protection);
	record_u32(b, 2); /* MAP_PRIVATE */
	record_text(b, mmap->path);
	record_end_at(b, mmap->pid, mmap->pid, time_ns);
}

void
record_comm(struct record_builder *b, uint32_t pid, uint32_t tid, const char *name, int is_exec)
{
	record_begin(b, PERF_RECORD_COMM, is_exec ? PERF_RECORD_MISC_COMM_EXEC : 0);
	record_u32(b, pid);
	record_u32(b, tid);
	record_text(b, name);
	record_end_at(b, pid, tid, 0);
}

static void
record_task(struct record_builder *b, uint32_t type, uint32_t pid, uint32_t parent, uint32_t tid,
	    uint32_t parent_tid)
{
	record_begin(b, type, 0);
	record_u32(b, pid);
	record_u32(b, parent);
	record_u32(b, tid);
	record_u32(b, parent_tid);
	record_u64(b, 0);
	record_end_at(b, pid, tid, 0);
}

void
record_fork(struct record_builder *b, uint32_t pid, uint32_t parent, uint32_t tid, uint32_t parent_tid)
{
	record_task(b, PERF_RECORD_FORK, pid, parent, tid, parent_tid);
}

void
record_exit(struct record_builder *b, uint32_t pid, uint32_t tid)
{
	record_task(b, PERF_RECORD_EXIT, pid, pid, tid, tid);
}

void
ring_memory_init(struct ring_memory *ring, size_t size)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

	ring->page =
		aligned_alloc(8, page_size + size); /* ends where the ring ends: ASan sees a read beyond */
	assert_non_null(ring->page);
	memset(ring->page, 0, page_size + size);
	ring->data = (uint8_t *)ring->page + page_size;
	ring->size = size;
}

void
ring_memory_destroy(struct ring_memory *ring)
{
	free(ring->page);
	ring->page = NULL;
}

void
ring_memory_start_at(struct ring_memory *ring, uint64_t position)
{
	ring->page->data_head = ring->page->data_tail = position;
}

void
ring_memory_write(struct ring_memory *ring, const void *bytes, size_t size)
{
	uint64_t head = ring->page->data_head;

	assert_true(head + size - ring->page->data_tail <= ring->size); /* the kernel would count it lost */
	for (size_t i = 0; i < size; i++)
		ring->data[(head + i) & (ring->size - 1)] = ((const uint8_t *)bytes)[i];
	__atomic_store_n(&ring->page->data_head, head + size, __ATOMIC_RELEASE);
}
