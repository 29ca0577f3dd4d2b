#pragma once
/* Perf records byte by byte, and a ring over plain memory that a test fills as the kernel would. */

#include "worker/perf/ring.h"

#include <stddef.h>
#include <stdint.h>

struct record_builder {
	_Alignas(8) uint8_t bytes[65536];
	size_t size;
};

void record_begin(struct record_builder *b, uint32_t type, uint16_t misc);
void record_u8(struct record_builder *b, uint8_t value);
void record_u32(struct record_builder *b, uint32_t value);
void record_u64(struct record_builder *b, uint64_t value);
void record_bytes(struct record_builder *b, const void *bytes, size_t size);
void record_text(struct record_builder *b, const char *text); /* terminated, zeros up to a multiple of 8 */
void record_end(struct record_builder *b);                    /* writes the size into the header */

/* The trailer of sample_id_all, and the end. */
void record_end_at(struct record_builder *b, uint32_t pid, uint32_t tid, uint64_t time_ns);

/* Whole records. A build id of size 0: identified by device 8:1 and the inode. */
struct mmap_fields {
	uint32_t pid, protection;
	uint64_t start, length, offset, inode;
	const uint8_t *build_id;
	uint8_t build_id_size;
	const char *path;
};
void record_mmap(struct record_builder *b, const struct mmap_fields *mmap, uint64_t time_ns);
void record_comm(struct record_builder *b, uint32_t pid, uint32_t tid, const char *name, int is_exec);
void record_fork(struct record_builder *b, uint32_t pid, uint32_t parent, uint32_t tid, uint32_t parent_tid);
void record_exit(struct record_builder *b, uint32_t pid, uint32_t tid);

/* A ring's memory: one page like the kernel's, then `size` bytes of data (a power of two). */
struct ring_memory {
	struct perf_event_mmap_page *page;
	uint8_t *data;
	size_t size;
};

void ring_memory_init(struct ring_memory *ring, size_t size);
void ring_memory_destroy(struct ring_memory *ring);
void ring_memory_write(struct ring_memory *ring, const void *bytes, size_t size); /* at head, which moves */
void ring_memory_start_at(struct ring_memory *ring, uint64_t position);           /* both head and tail */
