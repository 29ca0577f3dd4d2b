#pragma once
/* One section of an ELF file, read in pieces: a window of a few kilobytes follows what is asked for, so that
 * memory does not depend on the section, and a file that is truncated under us is an error return. */

#include "worker/base/cursor.h"
#include "worker/symbolize/elf_source.h"

#define SECTION_WINDOW_SIZE 4096 /* the page cache has files in such pieces */

struct section_window {
	struct elf_source *source; /* borrowed */
	struct elf_region region;
	uint64_t start; /* in the section, of what is in `bytes` */
	size_t filled;
	uint8_t bytes[SECTION_WINDOW_SIZE];
};

/* What the section has at `offset`, but no more than `size_max` (up to SECTION_WINDOW_SIZE); valid until the
 * window moves. An empty, failed cursor when that is nothing. */
struct cursor section_window_cursor(struct section_window *window, uint64_t offset, size_t size_max);

/* A terminated string of less than SECTION_WINDOW_SIZE bytes, valid as a cursor is; NULL: there is none. */
const char *section_window_text(struct section_window *window, uint64_t offset);
