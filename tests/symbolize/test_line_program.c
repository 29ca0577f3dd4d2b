/* Line programs made by hand: what every version's header says, what rows mean, and what a program that lies
 * can cost. */
#include "tests/symbolize/debug_builder.h"
#include "worker/symbolize/line_program.h"

#include <dwarf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINE_BASE = -5, LINE_RANGE = 14, OPCODE_BASE = 13 };

/* The header of a program whose instructions are still to come; finish() sets the lengths. */
static struct builder
header_of(unsigned version)
{
	static const uint8_t operands[OPCODE_BASE - 1] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
	struct builder b = {0};

	put_u32(&b, 0); /* length */
	put_u16(&b, version);
	if (version >= 5) {
		put_u8(&b, 8);
		put_u8(&b, 0);
	}
	put_u32(&b, 0); /* header's length */
	put_u8(&b, 1);  /* bytes per instruction */
	if (version >= 4)
		put_u8(&b, 1);
	put_u8(&b, 1);
	put_u8(&b, (uint8_t)LINE_BASE);
	put_u8(&b, LINE_RANGE);
	put_u8(&b, OPCODE_BASE);
	put_bytes(&b, operands, sizeof(operands));
	return b;
}

static void
put_files(struct builder *b, unsigned version)
{
	if (version < 5) {
		put_text(b, "include");
		put_text(b, "/abs");
		put_u8(b, 0);
		for (unsigned folder = 0; folder < 3; folder++) {
			put_text(b, folder == 0 ? "main.c" : folder == 1 ? "a.h" : "b.h");
			put_uleb(b, folder);
			put_uleb(b, 0);
			put_uleb(b, 0);
		}
		put_u8(b, 0);
		return;
	}
	put_u8(b, 1);
	put_uleb(b, DW_LNCT_path);
	put_uleb(b, DW_FORM_string);
	put_uleb(b, 3);
	put_text(b, "/unit");
	put_text(b, "include");
	put_text(b, "/abs");
	put_u8(b, 2);
	put_uleb(b, DW_LNCT_path);
	put_uleb(b, DW_FORM_line_strp);
	put_uleb(b, DW_LNCT_directory_index);
	put_uleb(b, DW_FORM_udata);
	put_uleb(b, 4);
	for (unsigned file = 0; file < 4; file++) { /* 0 and 1 are the same, as compilers have it */
		put_u32(b, file < 2 ? 0 : file == 2 ? 7 : 11);
		put_uleb(b, file < 2 ? 0 : file - 1);
	}
}

static const char line_strings[] = "main.c\0a.h\0b.h";

static void
set_u32(struct builder *b, size_t at, size_t value)
{
	memcpy(b->bytes + at, &(uint32_t){(uint32_t)value}, 4);
}

static void
end_header(struct builder *b, unsigned version)
{
	size_t at = version >= 5 ? 8 : 6;

	set_u32(b, at, b->size - at - 4);
}

static void
put_address(struct builder *b, uint64_t address)
{
	put_u8(b, 0);
	put_uleb(b, 9);
	put_u8(b, DW_LNE_set_address);
	put_u64(b, address);
}

static void
put_row(struct builder *b, unsigned bytes, int lines)
{
	put_u8(b, (unsigned)(lines - LINE_BASE + LINE_RANGE * (int)bytes + OPCODE_BASE));
}

static void
put_end(struct builder *b, unsigned bytes)
{
	put_u8(b, DW_LNS_advance_pc);
	put_uleb(b, bytes);
	put_u8(b, 0);
	put_uleb(b, 1);
	put_u8(b, DW_LNE_end_sequence);
}

struct opened_program {
	int fd;
	struct debug_budget budget;
	struct debug_sections *sections;
	struct debug_unit unit;
	struct line_program *program;
};

static int
open_bytes(struct opened_program *ret, const uint8_t *bytes, size_t size, uint64_t work)
{
	struct built_section sections[] = {{".debug_info", "x", 1, 0},
					   {".debug_line_str", line_strings, sizeof(line_strings), 0},
					   {".debug_line", bytes, size, 0}};

	*ret = (struct opened_program){.budget = {.work_left = work}, .unit.has_statements = true};
	ret->fd = build_debug_file(sections, 3);
	assert_int_equal(debug_sections_open(ret->fd, &ret->budget, &ret->sections), 0);
	return line_program_open(ret->sections, &ret->unit, &ret->program);
}

static int
open_program(struct opened_program *ret, const struct builder *b, uint64_t work)
{
	return open_bytes(ret, b->bytes, b->size, work);
}

static void
close_program(struct opened_program *opened)
{
	line_program_close(opened->program);
	debug_sections_close(opened->sections);
	close(opened->fd);
}

static void
assert_path(struct line_program *program, uint64_t file, const char *folder, const char *path)
{
	char text[64];

	assert_true(line_program_path(program, file, folder, text, sizeof(text)));
	assert_string_equal(text, path);
}

static void
test_versions(void **state)
{
	(void)state;
	for (unsigned version = 2; version <= 5; version++) {
		struct builder b = header_of(version);
		struct opened_program opened;
		struct line_hit hits[] = {{.address = 0xfff},  {.address = 0x1000}, {.address = 0x1003},
					  {.address = 0x1004}, {.address = 0x1007}, {.address = 0x1008},
					  {.address = 0x2000}, {.address = 0x2001}};
		static const uint32_t lines[] = {0, 3, 3, 0, 0, 0, 107, 0},
				      files[] = {0, 1, 1, 3, 3, 0, 1, 0};
		char text[8];

		put_files(&b, version);
		end_header(&b, version);
		put_address(&b, 0x2000); /* sequences come in any order */
		put_u8(&b, DW_LNS_advance_line);
		put_u8(&b, 0xe9); /* SLEB128 105 */
		put_u8(&b, 0x00);
		put_row(&b, 0, 1);
		put_end(&b, 1);
		put_address(&b, 0x1000);
		put_row(&b, 0, 2);
		put_u8(&b, DW_LNS_set_file);
		put_uleb(&b, 3);
		put_u8(&b, DW_LNS_advance_line);
		put_u8(&b, 0x7d); /* -3: lines may be 0 */
		put_row(&b, 4, 0);
		put_end(&b, 4);
		set_u32(&b, 0, b.size - 4);
		assert_int_equal(open_program(&opened, &b, UINT64_MAX), 0);
		line_program_run(opened.program, hits, 8);
		for (size_t i = 0; i < 8; i++) {
			assert_int_equal(hits[i].is_found, files[i] != 0);
			assert_int_equal(hits[i].line, lines[i]);
			assert_int_equal(hits[i].file, files[i]);
		}
		assert_path(opened.program, 1, "/unit", "/unit/main.c");
		assert_path(opened.program, 2, "/unit", "/unit/include/a.h");
		assert_path(opened.program, 3, "/unit", "/abs/b.h");
		assert_false(line_program_path(opened.program, 4, "/unit", text, sizeof(text)));
		assert_false(
			line_program_path(opened.program, 3, "/unit", text, sizeof(text))); /* too long */
		close_program(&opened);
	}
}

/* Where the linker dropped a function its lines remain, at addresses that others have. */
static void
test_dropped_code(void **state)
{
	static const uint64_t tombstones[] = {0, 1, UINT64_MAX, UINT64_MAX - 1};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct builder b = header_of(4);
		struct opened_program opened;
		struct line_hit hits[] = {{.address = 0x10}, {.address = UINT64_MAX - 1}};

		put_files(&b, 4);
		end_header(&b, 4);
		put_address(&b, tombstones[i]);
		put_row(&b, 0, 1);
		put_end(&b, 0x100);
		set_u32(&b, 0, b.size - 4);
		assert_int_equal(open_program(&opened, &b, UINT64_MAX), 0);
		line_program_run(opened.program, hits, 2);
		assert_false(hits[0].is_found || hits[1].is_found);
		close_program(&opened);
	}
}

static void
test_malformed_headers(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {{0, 0xff}, {4, 1},  {4, 6},  {6, 4},   {7, 1},
		       {8, 0xff}, {16, 0}, {17, 0}, {30, 17}, {32, 0x7f}};
	struct opened_program opened;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct builder b = header_of(5);

		put_files(&b, 5);
		end_header(&b, 5);
		set_u32(&b, 0, b.size - 4);
		b.bytes[changes[i].at] = changes[i].value;
		int error = open_program(&opened, &b, UINT64_MAX);
		if (error != -EBADMSG)
			print_error("byte %zu = %u: %d\n", changes[i].at, changes[i].value, error);
		assert_int_equal(error, -EBADMSG);
		close_program(&opened);
	}
}

/* A list of 2^56 entries of no bytes each. */
static void
test_entries_of_nothing(void **state)
{
	struct builder b = header_of(5);
	struct opened_program opened;

	(void)state;
	put_u8(&b, 0);
	put_uleb(&b, (uint64_t)1 << 56);
	end_header(&b, 5);
	set_u32(&b, 0, b.size - 4);
	assert_int_equal(open_program(&opened, &b, UINT64_MAX), -EBADMSG);
	close_program(&opened);
}

static void
test_budget(void **state)
{
	struct builder b = header_of(4);
	struct opened_program opened;

	(void)state;
	put_files(&b, 4);
	end_header(&b, 4);
	set_u32(&b, 0, b.size - 4);
	assert_int_equal(open_program(&opened, &b, b.size + 20), -ERANGE);
	assert_true(opened.budget.is_exceeded);
	close_program(&opened);
}

/* Rows that go back and forth over all addresses, half a million times: without a limit, 10^11 steps. */
static void
test_back_and_forth(void **state)
{
	enum { HITS = 1 << 20, PROGRAM_SIZE = 8 << 20 };
	static struct line_hit hits[HITS];
	struct builder b = header_of(4), sweep = {0};
	uint8_t *program = calloc(1, PROGRAM_SIZE);
	struct opened_program opened;
	size_t size;

	(void)state;
	put_files(&b, 4);
	end_header(&b, 4);
	put_address(&b, 0x1000);
	put_row(&b, 0, 1);
	put_u8(&sweep, DW_LNS_advance_pc);
	put_uleb(&sweep, HITS);
	put_row(&sweep, 0, 1);
	put_u8(&sweep, DW_LNS_advance_pc);
	put_uleb(&sweep, -(uint64_t)HITS); /* wraps: back to the start */
	put_row(&sweep, 0, 1);
	set_u32(&b, 0, PROGRAM_SIZE - 4);
	memcpy(program, b.bytes, b.size);
	for (size = b.size; size + sweep.size <= PROGRAM_SIZE; size += sweep.size)
		memcpy(program + size, sweep.bytes, sweep.size);
	for (size_t i = 0; i < HITS; i++)
		hits[i] = (struct line_hit){.address = 0x1000 + i};
	assert_int_equal(open_bytes(&opened, program, PROGRAM_SIZE, UINT64_MAX), 0);
	line_program_run(opened.program, hits, HITS); /* returns at all */
	assert_true(hits[0].is_found);
	assert_int_equal(hits[0].line, 2);
	close_program(&opened);
	free(program);
}

/* Noise as instructions, and every cut: the sanitizers watch. */
static void
test_noise(void **state)
{
	uint32_t random = 1;
	struct line_hit hits[64];

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct builder b = header_of(2 + round % 4);
		struct opened_program opened;

		put_files(&b, 2 + round % 4);
		end_header(&b, 2 + round % 4);
		for (unsigned i = 0; i < round % 200; i++) {
			random = random * 1664525 + 1013904223;
			put_u8(&b, random >> 24);
			if (random % 31 == 0)
				put_address(&b, 0x1000 + random % 64);
		}
		set_u32(&b, 0, b.size - 4);
		if (round % 3 == 0)
			b.size = 1 + random % b.size;
		for (size_t i = 0; i < 64; i++)
			hits[i] = (struct line_hit){.address = 0x1000 + i};
		if (open_program(&opened, &b, UINT64_MAX) == 0) {
			char path[256];

			line_program_run(opened.program, hits, 64);
			for (size_t i = 0; i < 64; i++)
				if (hits[i].is_found)
					(void)line_program_path(opened.program, hits[i].file, NULL, path,
								sizeof(path));
		}
		close_program(&opened);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_dropped_code),
		cmocka_unit_test(test_malformed_headers),
		cmocka_unit_test(test_entries_of_nothing),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_back_and_forth),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
