#pragma once
/* ELF files with sections of our making, to be read as debug information. */

#include <stddef.h>
#include <stdint.h>

struct built_section {
	const char *name;
	const void *bytes;
	size_t size;
	uint64_t flags; /* SHF_COMPRESSED */
};

/* A memfd that the caller closes. */
int build_debug_file(const struct built_section *sections, size_t count);

/* Bytes put one after the other. */
struct builder {
	uint8_t bytes[4096];
	size_t size;
};

void put_u8(struct builder *builder, unsigned value);
void put_u16(struct builder *builder, unsigned value);
void put_u32(struct builder *builder, uint32_t value);
void put_u64(struct builder *builder, uint64_t value);
void put_uleb(struct builder *builder, uint64_t value);
void put_text(struct builder *builder, const char *text);
void put_bytes(struct builder *builder, const void *bytes, size_t size);
