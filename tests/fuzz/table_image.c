/* The counts are taken where the linker lets us stand between the unwinder and what it calls (--wrap): the
 * product has no counters for this. */

#include "tests/fuzz/table_image.h"

#include "worker/elf/image.h"
#include "worker/unwind/expression.h"

#include <stdlib.h>
#include <string.h>

enum {
	SECTIONS = 0x3000,
	UNLOADED = 0x9000,
	TABLE_MAX = SECTIONS - FRAME_EH,
	HEADER_MAX = FRAME_EH - FRAME_HDR
};

struct table_work table_work;

struct cursor
take_part(struct cursor *in, size_t size)
{
	if (size > cursor_left(in))
		size = cursor_left(in);
	struct cursor part = {.at = in->at, .end = in->at + size};
	in->at += size;
	return part;
}

uint64_t
take_word(struct cursor *in)
{
	uint16_t value = cursor_u16(in);

	switch (value >> 14) {
	case 0:
		return value;
	case 1:
		return FRAME_CODE + (value & 0x3fff);
	case 2:
		return TABLE_STACK + 8 * (uint64_t)(value & 0x7ff) + (value & 0x2000 ? 4 : 0);
	default:
		return (uint64_t)(int64_t)(int16_t)value;
	}
}

static size_t
put(struct table_image *t, size_t at, struct cursor part, size_t size_max)
{
	size_t size = cursor_left(&part) < size_max ? cursor_left(&part) : size_max;

	if (size > 0)
		elf_builder_put(&t->elf, at, part.at, size);
	return size;
}

void
table_image_open(struct table_image *t, enum table_kind kind, struct cursor header, struct cursor code,
		 struct cursor tables)
{
	size_t start = kind == TABLES_DEBUG_FRAME ? UNLOADED : FRAME_EH;
	size_t header_size = cursor_left(&header) < HEADER_MAX ? cursor_left(&header) : HEADER_MAX;

	elf_builder_init(&t->elf);
	if (CFI_HAS_SIGNED_RETURNS)
		t->elf.header.e_machine = EM_AARCH64;
	memset(t->elf.bytes + FRAME_CODE, 0x90, FRAME_CODE_END - FRAME_CODE);
	put(t, FRAME_CODE, code, FRAME_CODE_END - FRAME_CODE);
	t->elf.size = UNLOADED;
	t->table_size = put(t, start, tables, TABLE_MAX);
	elf_builder_add(&t->elf, PT_LOAD, PF_R, 0, 0, FRAME_CODE);
	elf_builder_add(&t->elf, PT_LOAD, PF_R | PF_X, FRAME_CODE, FRAME_CODE, FRAME_CODE_END - FRAME_CODE);
	if (kind == TABLES_WITH_HEADER) {
		put(t, FRAME_HDR, header, HEADER_MAX);
		elf_builder_add(&t->elf, PT_GNU_EH_FRAME, PF_R, FRAME_HDR, FRAME_HDR, header_size);
	} else {
		elf_builder_add_section(&t->elf, SECTIONS,
					kind == TABLES_BY_SECTION ? ".eh_frame" : ".debug_frame", start,
					start, t->table_size);
	}
	elf_builder_finish(&t->elf);
	if (elf_image_open_memory(t->elf.bytes, t->elf.size, &t->image))
		abort();
}

int __real_elf_image_read_address(struct elf_image *image, uint64_t address, void *ret_bytes, size_t size);
int __wrap_elf_image_read_address(struct elf_image *image, uint64_t address, void *ret_bytes, size_t size);

int
__wrap_elf_image_read_address(struct elf_image *image, uint64_t address, void *ret_bytes, size_t size)
{
	int result = __real_elf_image_read_address(image, address, ret_bytes, size);

	if (result != 0) {
		table_work.failed++;
	} else if ((address >= FRAME_EH && address < SECTIONS) || address > UINT32_MAX) {
		table_work.reads++;
		table_work.bytes += size;
	} else {
		table_work.other_bytes += size;
	}
	return result;
}

int __real_expression_evaluate(const uint8_t *bytes, size_t size, const struct expression_input *input,
			       uint64_t *ret_value, uint64_t *ret_missing);
int __wrap_expression_evaluate(const uint8_t *bytes, size_t size, const struct expression_input *input,
			       uint64_t *ret_value, uint64_t *ret_missing);

int
__wrap_expression_evaluate(const uint8_t *bytes, size_t size, const struct expression_input *input,
			   uint64_t *ret_value, uint64_t *ret_missing)
{
	table_work.expressions++;
	table_work.steps += size < EXPRESSION_STEPS_MAX ? size : EXPRESSION_STEPS_MAX;
	return __real_expression_evaluate(bytes, size, input, ret_value, ret_missing);
}
