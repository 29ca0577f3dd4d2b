#pragma once
/* Writes small ELF files for tests, byte by byte, with nothing checked: broken ones are half the point. */

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_BUILDER_MAX = 64 * 1024, ELF_BUILDER_HEADERS = 16 };

struct elf_builder {
	uint8_t bytes[ELF_BUILDER_MAX];
	size_t size; /* highest byte written */
	Elf64_Ehdr header;
	Elf64_Phdr program[ELF_BUILDER_HEADERS];
};

/* A valid x86-64 shared object without program headers. */
void elf_builder_init(struct elf_builder *b);

void elf_builder_put(struct elf_builder *b, size_t offset, const void *bytes, size_t size);

/* Adds a program header; offset, address and sizes as given. The caller may change the returned header. */
Elf64_Phdr *elf_builder_add(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t offset,
			    uint64_t address, uint64_t size);

/* Section headers at `offset` for one section, its name and the string table behind them. */
void elf_builder_add_section(struct elf_builder *b, size_t offset, const char *name, uint64_t address,
			     uint64_t section_offset, uint64_t size);

/* A build id note at `offset`; returns its size in the file. */
size_t elf_builder_put_build_id(struct elf_builder *b, size_t offset, const uint8_t *id, size_t size);

/* Writes the headers in front. */
void elf_builder_finish(struct elf_builder *b);

/* The bytes as an anonymous file; the caller closes it. */
int elf_builder_file(const struct elf_builder *b);
