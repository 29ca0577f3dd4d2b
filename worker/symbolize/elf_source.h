#pragma once
/* One ELF file (or image in memory) opened for its symbols, in bounds. Only 64-bit little-endian linked
 * ELF is accepted. Uses libelf, reading with pread: a file truncated under us is a short read, where a
 * mapping of it would be a SIGBUS. */

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_source;

/* The descriptor or the memory is borrowed and must outlive the source. 0, -EBADMSG, -ENOMEM. */
int elf_source_open(int fd, struct elf_source **ret);
int elf_source_open_memory(const void *image, size_t size, struct elf_source **ret);
/* One more owner, each of whom closes it. */
void elf_source_share(struct elf_source *source);
void elf_source_close(struct elf_source *source); /* NULL is fine */

/* Compares the GNU build id with lower-case hex. False also when the file has none. */
bool elf_source_has_build_id(struct elf_source *source, const char *hex);

/* The GNU build id as lower-case hex; false when there is none, or a longer one. */
#define ELF_SOURCE_ID_MAX 64
#define ELF_SOURCE_ID_HEX (2 * ELF_SOURCE_ID_MAX + 1)
bool elf_source_build_id(struct elf_source *source, char ret_hex[static ELF_SOURCE_ID_HEX]);

struct elf_bytes {
	const void *bytes;
	size_t size;
};

/* Where executable sections lie, by section number; others have limit 0. Owned by the source. */
struct elf_section_extent {
	uint64_t start, limit;
};

/* The first symbol table of this type (SHT_SYMTAB, SHT_DYNSYM) and its strings; borrowed from the source.
 * 0, -ENOENT, -EBADMSG, -ERANGE (beyond what we are ready to read). */
int elf_source_symbol_table(struct elf_source *source, uint32_t type, struct elf_bytes *ret_symbols,
			    struct elf_bytes *ret_strings);

size_t elf_source_sections(const struct elf_source *source, const struct elf_section_extent **ret);

/* The first section of this name; its bytes are borrowed from the source. 0, -ENOENT, -EBADMSG (nothing
 * there, or compressed), -ERANGE (more than size_max). */
int elf_source_section(struct elf_source *source, const char *name, size_t size_max, struct elf_bytes *ret);

/* Is there one, with bytes in this file. */
bool elf_source_has_section(struct elf_source *source, const char *name);

/* Where the bytes of a section are: one that is read in pieces, because it may be large. */
struct elf_region {
	uint64_t offset, size; /* in the file; together below 2^63 */
	uint64_t address;      /* in memory; 0: it is not loaded */
};

/* The first section of this name, or the one that is loaded where the address is. 0, -ENOENT, -EBADMSG
 * (nothing there, or compressed). */
int elf_source_region(struct elf_source *source, const char *name, struct elf_region *ret);
bool elf_source_region_at(struct elf_source *source, uint64_t address, struct elf_region *ret);

/* Exactly `size` bytes at an offset of the file; false: they are not all there. */
bool elf_source_read(struct elf_source *source, uint64_t offset, void *ret_bytes, size_t size);
