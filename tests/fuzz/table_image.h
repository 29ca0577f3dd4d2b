#pragma once
/* An ELF image whose unwind tables are a fuzzer's bytes, in the layout of tests/unwind/frame_builder.h
 * (offset = address), and a count of what the unwinder reads of them. */

#include "tests/elf/elf_builder.h"
#include "tests/unwind/frame_builder.h"
#include "worker/base/cursor.h"
#include "worker/unwind/architecture.h"

enum table_kind {
	TABLES_WITH_HEADER, /* the input says what is in .eh_frame_hdr */
	TABLES_BY_SECTION,  /* .eh_frame by name */
	TABLES_DEBUG_FRAME, /* .debug_frame by name, in no segment */
	TABLE_KINDS,
};

struct table_image {
	struct elf_builder elf;
	struct elf_image *image;
	size_t table_size;
};

/* All of what is left in `tables` becomes .eh_frame; `header` is only for TABLES_WITH_HEADER. */
void table_image_open(struct table_image *t, enum table_kind kind, struct cursor header, struct cursor code,
		      struct cursor tables);

/* The next `size` bytes of an input, or what is left of it. */
struct cursor take_part(struct cursor *in, size_t size);

#define TABLE_STACK 0x7ffc00001000u

/* A number as stacks and registers hold them: two bits of the input say of which kind. */
uint64_t take_word(struct cursor *in);

/* What was asked of the tables since the counts were set to zero, measured at the functions that are asked.
 */
struct table_work {
	uint64_t reads, bytes;       /* of .eh_frame or .debug_frame */
	uint64_t other_bytes;        /* .eh_frame_hdr and code */
	uint64_t failed;             /* reads of what is not there */
	uint64_t expressions, steps; /* bytes of expressions, each at most one operation */
};
extern struct table_work table_work;
