/* Addresses equal offsets, so a pc-relative pointer is a plain difference. */

#include "tests/unwind/frame_builder.h"

#include <stdlib.h>
#include <string.h>

void
frame_builder_init(struct frame_builder *b)
{
	uint8_t code[FRAME_CODE_END - FRAME_CODE];

	memset(b, 0, sizeof(*b));
	elf_builder_init(&b->elf);
	memset(code, 0x90, sizeof(code));
	elf_builder_put(&b->elf, FRAME_CODE, code, sizeof(code));
	b->at = FRAME_EH;
	frame_builder_cie(b, "zR");
}

size_t
frame_builder_raw(struct frame_builder *b, const void *body, size_t size)
{
	size_t entry = b->at;
	uint32_t length = (uint32_t)size;

	elf_builder_put(&b->elf, entry, &length, sizeof(length));
	elf_builder_put(&b->elf, entry + 4, body, size);
	b->at += 4 + size;
	if (b->at > 0x3000)
		abort();
	return entry;
}

void
frame_builder_cie(struct frame_builder *b, const char *augmentation)
{
	uint8_t body[64] = {0, 0, 0, 0, 1};
	size_t at = 5, length = strlen(augmentation) + 1;
	static const uint8_t rest[] = {1,
				       0x78,
				       16,
				       /* z: */ 1,
				       /* pcrel sdata4 */ 0x1b,
				       /* def_cfa rsp+8 */ 0x0c,
				       7,
				       8,
				       /* rip at CFA-8 */ 0x90,
				       1};

	memcpy(body + at, augmentation, length);
	memcpy(body + at + length, rest, sizeof(rest));
	b->cie = frame_builder_raw(b, body, at + length + sizeof(rest));
}

size_t
frame_builder_fde(struct frame_builder *b, uint32_t begin, uint32_t size, const void *instructions,
		  size_t instructions_size)
{
	uint8_t body[4096] = {0};
	uint32_t to_cie = (uint32_t)(b->at + 4 - b->cie), to_code = begin - (uint32_t)(b->at + 8);

	memcpy(body, &to_cie, 4);
	memcpy(body + 4, &to_code, 4);
	memcpy(body + 8, &size, 4);
	body[12] = 0; /* no augmentation data */
	if (instructions_size > sizeof(body) - 13 || b->fde_count == FRAME_FDES_MAX)
		abort();
	if (instructions_size > 0)
		memcpy(body + 13, instructions, instructions_size);
	b->fdes[b->fde_count].begin = begin;
	b->fdes[b->fde_count++].fde = (uint32_t)b->at;
	return frame_builder_raw(b, body, 13 + instructions_size);
}

void
frame_builder_code(struct frame_builder *b, uint32_t address, const void *bytes, size_t size)
{
	elf_builder_put(&b->elf, address, bytes, size);
}

static int
compare_begin(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
put_hdr(struct frame_builder *b, bool table, uint32_t count)
{
	uint8_t hdr[12] = {1, 0x1b, table ? 0x03 : 0xff, table ? 0x3b : 0xff};
	uint32_t to_eh = FRAME_EH - (FRAME_HDR + 4);

	memcpy(hdr + 4, &to_eh, 4);
	memcpy(hdr + 8, &count, 4);
	elf_builder_put(&b->elf, FRAME_HDR, hdr, sizeof(hdr));
	qsort(b->fdes, b->fde_count, sizeof(b->fdes[0]), compare_begin);
	for (size_t i = 0; table && i < b->fde_count; i++) {
		uint32_t entry[] = {b->fdes[i].begin - FRAME_HDR, b->fdes[i].fde - FRAME_HDR};

		elf_builder_put(&b->elf, FRAME_HDR + 12 + 8 * i, entry, sizeof(entry));
	}
	elf_builder_add(&b->elf, PT_GNU_EH_FRAME, PF_R, FRAME_HDR, FRAME_HDR,
			table ? 12 + 8 * b->fde_count : 8);
}

struct elf_image *
frame_builder_finish(struct frame_builder *b, enum frame_table table)
{
	struct elf_image *image;

	elf_builder_put(&b->elf, b->at, "\0\0\0", 4); /* the terminator */
	elf_builder_add(&b->elf, PT_LOAD, PF_R, 0, 0, FRAME_CODE);
	elf_builder_add(&b->elf, PT_LOAD, PF_R | PF_X, FRAME_CODE, FRAME_CODE, FRAME_CODE_END - FRAME_CODE);
	if (table <= FRAME_HDR_LIES)
		put_hdr(b, table != FRAME_HDR_ONLY, (uint32_t)b->fde_count + 100 * (table == FRAME_HDR_LIES));
	if (table == FRAME_SECTION_ONLY)
		elf_builder_add_section(&b->elf, 0x3000, ".eh_frame", FRAME_EH, FRAME_EH,
					b->at + 4 - FRAME_EH);
	elf_builder_finish(&b->elf);
	if (elf_image_open_memory(b->elf.bytes, b->elf.size, &image))
		abort();
	return image;
}
