/* Call frame information byte by byte: numbers, instructions, entries, and where FDEs are found. */

#include "tests/unwind/frame_builder.h"

#include "worker/unwind/cfi.h"
#include "worker/unwind/encoding.h"
#include "worker/unwind/fde_table.h"
#include "worker/unwind/module.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void
test_leb128(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t size;
		bool good;
		uint64_t unsigned_value;
		int64_t signed_value;
	} cases[] = {
		{{0x02}, 1, true, 2, 2},
		{{0x7f}, 1, true, 127, -1},
		{{0x80, 0x01}, 2, true, 128, 128},
		{{0x80, 0x7f}, 2, true, 16256, -128},
		{{0xe5, 0x8e, 0x26}, 3, true, 624485, 624485},
		{{0x80, 0x80, 0x00}, 3, true, 0, 0},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 10, true, UINT64_MAX, -1},
		{{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
		 10,
		 true,
		 1ull << 63,
		 INT64_MIN},
		{{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 11, false, 0, 0},
		{{0x80}, 1, false, 0, 0},
		{{0}, 0, false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cursor c = cursor_over(cases[i].bytes, cases[i].size), d = c;

		assert_int_equal(cursor_uleb128(&c), cases[i].unsigned_value);
		assert_int_equal(cursor_sleb128(&d), cases[i].signed_value);
		assert_int_equal(c.failed, !cases[i].good);
		assert_int_equal(d.failed, !cases[i].good);
		assert_int_equal(cursor_finished(&c), cases[i].good);
	}
}

static void
test_pointers(void **state)
{
	static const uint8_t bytes[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
	static const struct {
		uint8_t encoding;
		bool good;
		uint64_t value;
		size_t size;
	} cases[] = {
		{0x00, true, 0x7ffffffffffffffe, 8},
		{0x02, true, 0xfffe, 2},
		{0x03, true, 0xfffffffe, 4},
		{0x0a, true, UINT64_MAX - 1, 2},
		{0x0b, true, UINT64_MAX - 1, 4},
		{0x1b, true, 0xffe, 4}, /* pc-relative, at 0x1000 */
		{0x3b, false, 0, 4},    /* data-relative */
		{0x9b, false, 0, 4},    /* indirect */
		{0x05, false, 0, 8},
		{0xff, false, 0, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cursor c = cursor_over(bytes, sizeof(bytes));

		assert_int_equal(cursor_pointer(&c, cases[i].encoding, 0x1000), cases[i].value);
		assert_int_equal(c.failed, !cases[i].good);
		if (cases[i].good)
			assert_int_equal(sizeof(bytes) - cursor_left(&c), cases[i].size);
	}
}

/* A module over one hand-written image. */
struct fixture {
	struct frame_builder builder;
	struct elf_image *image;
	struct unwind_module *module;
	struct cfi_scratch scratch;
};

static struct fixture *
new_fixture(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	frame_builder_init(&f->builder);
	f->scratch.budget = SIZE_MAX;
	return f;
}

static void
open_fixture(struct fixture *f, enum frame_table table)
{
	f->image = frame_builder_finish(&f->builder, table);
	f->module = unwind_module_new(f->image, 1);
	assert_non_null(f->module);
}

static void
free_fixture(struct fixture *f)
{
	unwind_module_free(f->module);
	elf_image_free(f->image);
	free(f);
}

/* The row at `address` when one FDE covers 0x4000-0x4100 with these instructions. */
static int
row_of(const uint8_t *instructions, size_t size, uint64_t address, struct cfi_row *ret_row)
{
	struct fixture *f = new_fixture();
	int result;

	frame_builder_fde(&f->builder, FRAME_CODE, 0x100, instructions, size);
	open_fixture(f, FRAME_TABLE);
	result = unwind_module_find_row(f->module, &f->scratch, address, ret_row);
	free_fixture(f);
	return result;
}

static void
test_prologue(void **state)
{
	/* push rbp; mov rsp,rbp; push rbx; ... leave; ret -- with the usual remember/restore */
	static const uint8_t instructions[] = {
		0x41, 0x0e, 16,   0x86, 2,    /* +1: CFA = rsp+16, rbp at CFA-16 */
		0x43, 0x0d, 6,                /* +3: CFA = rbp+16 */
		0x41, 0x83, 3,                /* +1: rbx at CFA-24 */
		0x02, 0x20, 0x0a,             /* +32: remember */
		0x0c, 7,    8,    0xc6, 0xc3, /* CFA = rsp+8, rbp and rbx restored */
		0x41, 0x0b,                   /* +1: back in the body */
	};
	static const struct {
		uint64_t at;
		uint8_t base;
		int64_t cfa, rbp, rbx; /* 0: unspecified */
	} rows[] = {
		{0, 7, 8, 0, 0},    {1, 7, 16, -16, 0},      {3, 7, 16, -16, 0},
		{4, 6, 16, -16, 0}, {5, 6, 16, -16, -24},    {0x24, 6, 16, -16, -24},
		{0x25, 7, 8, 0, 0}, {0x26, 6, 16, -16, -24}, {0xff, 6, 16, -16, -24},
	};
	struct cfi_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(row_of(instructions, sizeof(instructions), FRAME_CODE + rows[i].at, &row),
				 0);
		assert_int_equal(row.cfa.kind, CFI_REGISTER);
		assert_int_equal(row.cfa.number, rows[i].base);
		assert_int_equal(row.cfa.offset, rows[i].cfa);
		assert_int_equal(row.registers[REGISTER_RBP].kind,
				 rows[i].rbp ? CFI_AT_OFFSET : CFI_UNSPECIFIED);
		assert_int_equal(row.registers[REGISTER_RBP].offset, rows[i].rbp);
		assert_int_equal(row.registers[REGISTER_RBX].offset, rows[i].rbx);
		assert_int_equal(row.registers[REGISTER_RIP].offset, -8);
	}
	assert_int_equal(row_of(instructions, sizeof(instructions), FRAME_CODE + 0x100, &row), -ENOENT);
	assert_int_equal(row_of(instructions, sizeof(instructions), FRAME_CODE - 1, &row), -ENOENT);
}

static void
test_instructions(void **state)
{
	const struct {
		const uint8_t *bytes;
		size_t size;
		unsigned number; /* register looked at; REGISTER_COUNT: the CFA */
		enum cfi_kind kind;
		int64_t offset; /* or source register, or expression size */
	} cases[] = {
		{BYTES(0x05, 12, 4), REGISTER_R12, CFI_AT_OFFSET, -32},
		{BYTES(0x11, 12, 0x7e), REGISTER_R12, CFI_AT_OFFSET, 16},
		{BYTES(0x2f, 12, 2), REGISTER_R12, CFI_AT_OFFSET, 16},
		{BYTES(0x14, 12, 4), REGISTER_R12, CFI_IS_OFFSET, -32},
		{BYTES(0x15, 12, 0x7f), REGISTER_R12, CFI_IS_OFFSET, 8},
		{BYTES(0x07, 16), REGISTER_RIP, CFI_UNDEFINED, 0},
		{BYTES(0x08, 3), REGISTER_RBX, CFI_SAME, 0},
		{BYTES(0x09, 16, 5), REGISTER_RIP, CFI_REGISTER, 5},
		{BYTES(0x8c, 4, 0x06, 12), REGISTER_R12, CFI_UNSPECIFIED, 0},
		{BYTES(0x90, 4, 0xd0), REGISTER_RIP, CFI_AT_OFFSET, -8}, /* restored to the CIE's */
		{BYTES(0x10, 6, 2, 0x77, 0), REGISTER_RBP, CFI_AT_EXPRESSION, 2},
		{BYTES(0x16, 6, 1, 0x30), REGISTER_RBP, CFI_IS_EXPRESSION, 1},
		{BYTES(0x0f, 3, 0x77, 8, 6), REGISTER_COUNT, CFI_IS_EXPRESSION, 3},
		{BYTES(0x0e, 0xe0, 0xfb, 0x20), REGISTER_COUNT, CFI_REGISTER, 540128},
		{BYTES(0x13, 0x7c), REGISTER_COUNT, CFI_REGISTER, 32},
		{BYTES(0x12, 6, 0x7e), REGISTER_COUNT, CFI_REGISTER, 16},
		{BYTES(0x0d, 6), REGISTER_COUNT, CFI_REGISTER, 8},
		{BYTES(0x91, 2, 0x05, 40, 1, 0x2e, 16, 0), REGISTER_COUNT, CFI_REGISTER,
		 8}, /* xmm; args_size */
		{BYTES(0x40, 0x02, 0, 0x03, 0, 0, 0x04, 0, 0, 0, 0), REGISTER_COUNT, CFI_REGISTER, 8},
		{BYTES(0x04, 0xff, 0xff, 0xff, 0xff, 0xff), REGISTER_COUNT, CFI_REGISTER,
		 8}, /* rubbish after us */
	};
	struct cfi_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = row_of(cases[i].bytes, cases[i].size, FRAME_CODE + 16, &row);
		struct cfi_rule rule =
			cases[i].number == REGISTER_COUNT ? row.cfa : row.registers[cases[i].number];
		bool expression = rule.kind == CFI_AT_EXPRESSION || rule.kind == CFI_IS_EXPRESSION;
		int64_t value = expression ? rule.expression_size
				: rule.kind == CFI_REGISTER && cases[i].number != REGISTER_COUNT
					? rule.number
					: rule.offset;

		if (result || rule.kind != cases[i].kind || value != cases[i].offset)
			fail_msg("case %zu: %d, kind %u, value %ld", i, result, rule.kind, (long)value);
	}
}

static void
test_bad_instructions(void **state)
{
	const struct {
		const uint8_t *bytes;
		size_t size;
	} cases[] = {
		{BYTES(0x3f)},                               /* unknown */
		{BYTES(0x2d)},                               /* GNU_window_save: no x86 */
		{BYTES(0x0b)},                               /* restore without remember */
		{BYTES(10, 10, 10, 10, 10, 10, 10, 10, 10)}, /* nine states */
		{BYTES(0x0c, 17, 8)},                        /* CFA from no register */
		{BYTES(0x0d, 40)},
		{BYTES(0x09, 3, 17)},
		{BYTES(0x0f, 1, 0x30, 0x0e, 8)}, /* half a CFA after an expression */
		{BYTES(0x0f, 1, 0x30, 0x0d, 7)},
		{BYTES(0x0f, 9, 0x30)}, /* expression leaves the FDE */
		{BYTES(0x10, 3, 0xff, 0xff, 0x7f)},
		{BYTES(0x02)}, /* cut operand */
		{BYTES(0x04, 1, 2)},
		{BYTES(0x83)},
		{BYTES(0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
		       0)},                                                             /* endless number */
		{BYTES(0x14, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)}, /* offset overflows */
		{BYTES(0x01, 0, 0, 0, 0)}, /* set_loc backwards (pc-relative 0: into .eh_frame) */
	};
	struct cfi_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (row_of(cases[i].bytes, cases[i].size, FRAME_CODE + 16, &row) != -EBADMSG)
			fail_msg("accepted: case %zu", i);
	assert_int_equal(row_of(BYTES(10, 10, 10, 10, 10, 10, 10, 10), FRAME_CODE, &row),
			 0); /* eight states */
}

/* CIE bodies (after the length field) that must cost their FDEs, and nothing else. */
static void
test_bad_cies(void **state)
{
	const struct {
		const uint8_t *bytes;
		size_t size;
		int result;
	} cases[] = {
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1), 0},
		{BYTES(0, 0, 0, 0, 3, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1), 0},
		{BYTES(0, 0, 0, 0, 1, 'z', 'P', 'L', 'R', 0, 1, 0x78, 16, 7, 0x9b, 1, 2, 3, 4, 0x1b, 0x1b,
		       0x0c, 7, 8, 0x90, 1),
		 0},
		{BYTES(0, 0, 0, 0, 4, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		 -EBADMSG}, /* version */
		{BYTES(0, 0, 0, 0, 1, 'e', 'h', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1), -EBADMSG},
		{BYTES(0, 0, 0, 0, 1, 'z', 'X', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1), -EBADMSG},
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 15, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		 -EBADMSG}, /* ra */
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 0, 0x0c, 7, 8, 0x90, 1),
		 -EBADMSG}, /* R without data */
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 99, 0x1b), -EBADMSG},
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x9b, 0x0c, 7, 8, 0x90, 1),
		 -EBADMSG}, /* indirect */
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0xc3),
		 -EBADMSG}, /* restore in a CIE */
		{BYTES(0, 0, 0, 0, 1, 'z', 'R'), -EBADMSG},
		{BYTES(0, 0, 0, 0, 1, 'z', 'R', 'R', 'R', 'R', 'R', 'R', 'R', 'R', 'R', 0), -EBADMSG},
		{BYTES(0, 0, 0), -EBADMSG},
		{BYTES(1, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1),
		 -EBADMSG}, /* an FDE */
	};
	struct cfi_row row;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = new_fixture();
		int result;

		f->builder.cie = frame_builder_raw(&f->builder, cases[i].bytes, cases[i].size);
		frame_builder_fde(&f->builder, FRAME_CODE, 0x100, NULL, 0);
		f->builder.cie = FRAME_EH;
		frame_builder_fde(&f->builder, FRAME_CODE + 0x100, 0x100, NULL, 0);
		open_fixture(f, FRAME_TABLE);
		for (int again = 0; again < 2; again++) { /* from the file, then from the CIE cache */
			result = unwind_module_find_row(f->module, &f->scratch, FRAME_CODE + 1, &row);
			if (result != cases[i].result)
				fail_msg("case %zu: %d", i, result);
		}
		assert_int_equal(unwind_module_find_row(f->module, &f->scratch, FRAME_CODE + 0x101, &row), 0);
		free_fixture(f);
	}
}

/* 150 functions with holes between them, FDEs written backwards: every way to find them agrees. */
static void
test_tables(void **state)
{
	static const enum frame_table tables[] = {FRAME_TABLE, FRAME_HDR_ONLY, FRAME_HDR_LIES,
						  FRAME_SECTION_ONLY, FRAME_NOTHING};
	struct cfi_row row;

	(void)state;
	for (size_t k = 0; k < sizeof(tables) / sizeof(tables[0]); k++) {
		struct fixture *f = new_fixture();

		for (uint32_t i = 150; i-- > 0;)
			frame_builder_fde(&f->builder, FRAME_CODE + 16 * i, 12,
					  BYTES(0x0e, (uint8_t)(8 * (i % 16))));
		open_fixture(f, tables[k]);
		for (uint64_t at = FRAME_CODE - 20; at < FRAME_CODE + 151 * 16; at++) {
			uint64_t i = (at - FRAME_CODE) / 16;
			bool covered =
				at >= FRAME_CODE && i < 150 && at % 16 < 12 && tables[k] != FRAME_NOTHING;
			int result = unwind_module_find_row(f->module, &f->scratch, at, &row);

			assert_int_equal(result, covered ? 0 : -ENOENT);
			if (covered)
				assert_int_equal(row.cfa.offset, 8 * (i % 16));
		}
		assert_int_equal(unwind_module_find_row(f->module, &f->scratch, UINT64_MAX, &row), -ENOENT);
		assert_int_equal(unwind_module_find_row(f->module, &f->scratch, 1ull << 40, &row), -ENOENT);
		free_fixture(f);
	}
}

static void
test_budget(void **state)
{
	struct fixture *f = new_fixture();
	struct cfi_row row;

	(void)state;
	frame_builder_fde(&f->builder, FRAME_CODE, 0x100, NULL, 0);
	open_fixture(f, FRAME_TABLE);
	f->scratch.budget = 70; /* twice an FDE of 13 bytes and its CIE of 18 */
	assert_int_equal(unwind_module_find_row(f->module, &f->scratch, FRAME_CODE, &row), 0);
	assert_int_equal(unwind_module_find_row(f->module, &f->scratch, FRAME_CODE, &row), 0);
	assert_int_equal(unwind_module_find_row(f->module, &f->scratch, FRAME_CODE, &row), -ENOBUFS);
	free_fixture(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leb128),           cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_prologue),         cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_bad_instructions), cmocka_unit_test(test_bad_cies),
		cmocka_unit_test(test_tables),           cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
