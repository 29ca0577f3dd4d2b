#pragma once
/* A small ELF image with hand-written call frame information. Layout (offset = address):
 *   0x0000 headers   0x0200 .eh_frame_hdr   0x1000 .eh_frame   0x3000 sections   0x4000-0x8000 code */

#include "tests/elf/elf_builder.h"

#include "worker/elf/image.h"

enum {
	FRAME_HDR = 0x200,
	FRAME_EH = 0x1000,
	FRAME_CODE = 0x4000,
	FRAME_CODE_END = 0x8000,
	FRAME_FDES_MAX = 200,
};

enum frame_table {
	FRAME_TABLE,        /* .eh_frame_hdr with its sorted table */
	FRAME_HDR_ONLY,     /* .eh_frame_hdr without a table */
	FRAME_HDR_LIES,     /* its table claims more entries than it has room for */
	FRAME_SECTION_ONLY, /* no .eh_frame_hdr: found by section name */
	FRAME_NOTHING,      /* neither */
};

struct frame_builder {
	struct elf_builder elf;
	size_t at, cie;
	struct {
		uint32_t begin, fde;
	} fdes[FRAME_FDES_MAX];
	size_t fde_count;
};

void frame_builder_init(struct frame_builder *b);

/* A CIE as compilers write it (code*1, data*-8, ra 16; CFA = rsp + 8, rip at CFA - 8), with the given
 * augmentation "zR" or "zRS"; following FDEs use it. */
void frame_builder_cie(struct frame_builder *b, const char *augmentation);

/* Any entry: `body` follows the length field. Returns its address; FRAME_EH is the first. */
size_t frame_builder_raw(struct frame_builder *b, const void *body, size_t size);

/* An FDE for [begin, begin + size) with these instructions; returns its address. */
size_t frame_builder_fde(struct frame_builder *b, uint32_t begin, uint32_t size, const void *instructions,
			 size_t instructions_size);

void frame_builder_code(struct frame_builder *b, uint32_t address, const void *bytes, size_t size);

/* Writes tables and headers, and opens the image over b's bytes (which it borrows). */
struct elf_image *frame_builder_finish(struct frame_builder *b, enum frame_table table);
