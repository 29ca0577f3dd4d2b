#pragma once
/* One ELF file (or the vdso in memory), read in bounds: headers at open, everything else on demand with
 * pread into a block cache (4 MB at most) that all images of the process share, threads included. A file
 * that shrinks or lies costs an error return, never a SIGBUS.
 * Only 64-bit little-endian ELF of this machine's architecture is accepted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a build id we accept; GNU ld writes 20. Go's own note is text of up to 83 and ignored. */
#define ELF_BUILD_ID_MAX 64

struct elf_image;

/* One PT_LOAD of the file. */
struct elf_segment {
	uint64_t offset, file_size;    /* bytes in the file */
	uint64_t address, memory_size; /* ELF virtual addresses */
	bool executable;
};

/* Opens an image over a borrowed descriptor (it must outlive the image), or over borrowed memory (vdso).
 * 0, or -errno: EBADMSG not an ELF we accept, ENOMEM, or pread's error. */
int elf_image_open(int fd, struct elf_image **ret_image);
int elf_image_open_memory(const void *bytes, size_t size, struct elf_image **ret_image);
void elf_image_free(struct elf_image *image);

/* GNU build id (NT_GNU_BUILD_ID of any PT_NOTE); size 0 when the file has none. */
size_t elf_image_build_id(const struct elf_image *image, uint8_t ret_id[static ELF_BUILD_ID_MAX]);

size_t elf_image_segments(const struct elf_image *image, const struct elf_segment **ret_segments);

/* The ELF address of a byte at file offset `offset` inside an *executable* mapping. Linkers such as lld
 * let two PT_LOADs share a file page, so the one with PF_X must win (mmap's page offset alone is
 * ambiguous). False when no executable segment maps that offset's page. */
bool elf_image_address_of_offset(const struct elf_image *image, uint64_t offset, uint64_t *ret_address);

/* Copies bytes by file offset, or by ELF virtual address (through the PT_LOADs; bytes beyond file_size
 * are not provided). 0 or -errno (ERANGE: not all of it is in the file). */
int elf_image_read(struct elf_image *image, uint64_t offset, void *ret_bytes, size_t size);
int elf_image_read_address(struct elf_image *image, uint64_t address, void *ret_bytes, size_t size);

/* PT_GNU_EH_FRAME's address and size, and the section .eh_frame by name when section headers exist.
 * False when the file has none. */
bool elf_image_eh_frame_hdr(const struct elf_image *image, uint64_t *ret_address, uint64_t *ret_size);
bool elf_image_section(struct elf_image *image, const char *name, uint64_t *ret_address, uint64_t *ret_size);

/* A section that is in the file but in no segment (.debug_frame): from now on it can be read at an address
 * of its own, beyond all others. One at a time. False: there is none, or it is compressed. */
bool elf_image_unloaded_section(struct elf_image *image, const char *name, uint64_t *ret_address,
				uint64_t *ret_size);
