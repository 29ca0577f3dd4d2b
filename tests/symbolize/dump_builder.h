#pragma once
/* A jitdump, record by record. */

#include <stddef.h>
#include <stdint.h>

struct dump_builder {
	uint8_t bytes[1 << 17];
	size_t size;
	size_t record; /* where the last one begins */
};

void dump_begin(struct dump_builder *dump, uint32_t reserved);
void dump_load(struct dump_builder *dump, uint64_t address, uint64_t size, uint64_t index, const char *name);
void dump_move(struct dump_builder *dump, uint64_t to, uint64_t size, uint64_t index);
void dump_lines(struct dump_builder *dump, uint64_t address); /* a record without lines, so far */
void dump_line(struct dump_builder *dump, uint64_t address, const char *file, uint32_t line);
void dump_record(struct dump_builder *dump, uint32_t id, size_t body_bytes); /* zeroes */

/* Changes the last record. */
void dump_set_u32(struct dump_builder *dump, size_t offset, uint32_t value);

int dump_file(const struct dump_builder *dump); /* a memfd of it */
