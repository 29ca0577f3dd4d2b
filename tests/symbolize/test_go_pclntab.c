/* A hand-made table in each of its layouts, then cut and changed everywhere: a name of the table, or none;
 * and a chain of frames that ends, within the budget. */
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/go_frames.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT 0x401000
#define TABLE 0x523000
#define NAMES "main.main\0runtime.goexit\0sort.swap"
#define FILES "/src/main.go\0/src/sort.go"

/* A file: header, the table, section names, section headers. */
struct image {
	Elf64_Ehdr header;
	uint8_t table[1024];
	uint64_t module[48];
	Elf64_Rela relocation;
	char names[64];
	Elf64_Shdr sections[5];
};

#define SECTION_NAMES "\0.gopclntab\0.go.module\0.rela\0.shstrtab"

static void
put(struct image *image, size_t offset, uint64_t value, size_t size)
{
	assert_true(offset + size <= sizeof(image->table));
	memcpy(image->table + offset, &value, size);
}

static void
make_elf(struct image *image)
{
	static const struct {
		uint32_t name, type;
		size_t offset, size;
		uint64_t address;
	} sections[] = {
		{1, SHT_PROGBITS, offsetof(struct image, table), sizeof(image->table), TABLE},
		{12, SHT_PROGBITS, offsetof(struct image, module), sizeof(image->module), 0x600000},
		{23, SHT_RELA, offsetof(struct image, relocation), sizeof(image->relocation), 0x700000},
		{29, SHT_STRTAB, offsetof(struct image, names), sizeof(image->names), 0},
	};

	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_ident[EI_VERSION] = EV_CURRENT;
	image->header.e_type = ET_EXEC;
	image->header.e_version = EV_CURRENT;
	image->header.e_ehsize = sizeof(image->header);
	image->header.e_shoff = offsetof(struct image, sections);
	image->header.e_shentsize = sizeof(Elf64_Shdr);
	image->header.e_shnum = 5;
	image->header.e_shstrndx = 4;
	memcpy(image->names, SECTION_NAMES, sizeof(SECTION_NAMES));
	for (size_t i = 0; i < 4; i++)
		image->sections[i + 1] = (Elf64_Shdr){
			.sh_name = sections[i].name,
			.sh_type = sections[i].type,
			.sh_flags = sections[i].address ? SHF_ALLOC : 0,
			.sh_addr = sections[i].address,
			.sh_offset = sections[i].offset,
			.sh_size = sections[i].size,
		};
}

enum { NAMES_AT = 128, DESCRIBED_AT = 320, UNITS_AT = 640, FILES_AT = 656, VALUES_AT = 704, TREE_AT = 768 };

/* Of main.main: sort.swap is inlined at [0x10, 0x20), called in line 21. Offsets are from one byte on: 0 says
 * that there is no table. */
static const uint8_t values[] = {0,
#define FILE_VALUES 1
				 2,  0x10, 2,    0x10, 1,    0x20, 0,
#define LINE_VALUES 8
				 44, 0x10, 0x8a, 1,    0x10, 0x85, 1, 0x20, 0,
#define INLINED_VALUES 17
				 0,  0x10, 2,    0x10, 1,    0x20, 0};

static void
put_words(struct image *image, size_t offset, const uint32_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(image, offset + 4 * i, words[i], 4);
}

/* What follows the start and the name in the description of main.main; in Go 1.20 there is one word more, the
 * function's own line. */
static void
put_frames(struct image *image, uint32_t magic, size_t at)
{
	static const uint32_t described[] = {0, 0, 0, FILE_VALUES, LINE_VALUES, 3, 0};
	static const uint32_t offsets[] = {0, 0, INLINED_VALUES, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
	static const uint32_t old_call[] = {0xffff, 1, 21, 25, 0x0f}, call[] = {0, 25, 0x0f, 60};
	bool is_new = magic == 0xfffffff1;

	put_words(image, at, described, 7);
	put(image, at + (is_new ? 35 : 31), 4,
	    1); /* offsets of other data: the last one of the inline tree */
	put_words(image, at + (is_new ? 36 : 32), offsets, 7);
	memcpy(image->table + FILES_AT, FILES, sizeof(FILES));
	put_words(image, UNITS_AT, (uint32_t[]){0, 13}, 2);
	memcpy(image->table + VALUES_AT, values, sizeof(values));
	put_words(image, TREE_AT, is_new ? call : old_call, is_new ? 4 : 5);
	image->module[0] = TABLE;
	image->module[22] = TEXT;
	image->module[is_new ? 40 : 38] = TABLE + TREE_AT;
}

/* Two functions, of 0x40 and 0x20 bytes. */
static struct image *
make(uint32_t magic)
{
	struct image *image = calloc(1, sizeof(*image));
	bool is_relative = magic < 0xfffffff2, has_offsets = magic != 0xfffffffb;
	size_t word = is_relative ? 4 : 8;
	uint64_t base = is_relative ? 0 : TEXT;
	size_t names = NAMES_AT, functab = has_offsets ? 192 : 16, functions = has_offsets ? functab : 0;
	const uint64_t starts[] = {base, base + 0x40, base + 0x60};

	make_elf(image);
	put(image, 0, magic, 4);
	put(image, 6, 1, 1);
	put(image, 7, 8, 1);
	put(image, 8, 2, 8);
	if (has_offsets) {
		put(image, 8 + 8 * (is_relative ? 3 : 2), names, 8);
		put(image, 8 + 8 * (is_relative ? 4 : 3), UNITS_AT, 8);
		put(image, 8 + 8 * (is_relative ? 5 : 4), FILES_AT, 8);
		put(image, 8 + 8 * (is_relative ? 6 : 5), VALUES_AT, 8);
		put(image, 8 + 8 * (is_relative ? 7 : 6), functab, 8);
	}
	if (is_relative)
		put(image, 8 + 8 * 2, TEXT, 8);
	memcpy(image->table + names, NAMES, sizeof(NAMES));
	for (size_t i = 0; i < 3; i++) {
		size_t described = DESCRIBED_AT + 128 * i;

		put(image, functab + 2 * word * i, starts[i], word);
		if (i == 2)
			break;
		put(image, functab + 2 * word * i + word, described - functions, word);
		put(image, described, starts[i], word);
		put(image, described + word, (has_offsets ? 0 : names) + (i ? 10 : 0), 4);
		if (i == 0 && has_offsets)
			put_frames(image, magic, described + word + 4);
	}
	return image;
}

/* The image's answer; NULL also when it has no table. The bytes may be fewer than they claim. */
static const char *
look_up(const struct image *image, uint64_t address)
{
	static char name[64];
	struct elf_source *source;
	struct go_pclntab *table;
	const char *found = NULL;

	if (elf_source_open_memory(image, sizeof(*image), &source) != 0)
		return NULL;
	if (go_pclntab_open(source, &table) == 0) {
		found = go_pclntab_find(table, address);
		if (found)
			strncpy(name, found, sizeof(name) - 1);
		go_pclntab_close(table);
	}
	elf_source_close(source);
	return found ? name : NULL;
}

/* "function file:line", innermost first, with a bar between them; "" when nothing is known. */
static const char *
look_up_frames(const struct image *image, uint64_t address, uint64_t work)
{
	static char text[4096];
	struct debug_budget budget = {.work_left = work};
	struct arena arena = {.limit = 4 << 20};
	struct source_location found = {0};
	struct elf_source *source;
	struct go_pclntab *table;
	size_t size = 0;

	text[0] = '\0';
	if (elf_source_open_memory(image, sizeof(*image), &source) != 0)
		return text;
	if (go_pclntab_open(source, &table) == 0) {
		int error = go_frames_find(table, address, &budget, &arena, &found);

		assert_true(error == 0 || (error == -ERANGE && budget.is_exceeded && found.count == 0));
		assert_true(found.count <= 64);
		for (size_t i = 0; i < found.count && size < sizeof(text); i++)
			size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s %s:%u", i ? "|" : "",
						 found.frames[i].function ? found.frames[i].function : "?",
						 found.frames[i].file ? found.frames[i].file : "?",
						 found.frames[i].line);
		go_pclntab_close(table);
	}
	arena_destroy(&arena);
	elf_source_close(source);
	return text;
}

static void
expect_names(const struct image *image)
{
	assert_null(look_up(image, TEXT - 1));
	assert_string_equal(look_up(image, TEXT), "main.main");
	assert_string_equal(look_up(image, TEXT + 0x3f), "main.main");
	assert_string_equal(look_up(image, TEXT + 0x40), "runtime.goexit");
	assert_string_equal(look_up(image, TEXT + 0x5f), "runtime.goexit");
	assert_null(look_up(image, TEXT + 0x60));
	assert_null(look_up(image, 0));
	assert_null(look_up(image, UINT64_MAX));
}

static const uint32_t magics[] = {0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1};

static void
test_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct image *image = make(magics[i]);

		expect_names(image);
		put(image, 0, 0xfffffff2, 4); /* a layout that nobody told us of */
		assert_null(look_up(image, TEXT));
		free(image);
	}
}

/* Go 1.26 keeps the start of the code elsewhere; a program that may be loaded anywhere has it in a
 * relocation. Without any of these there are no names: where the code begins is not guessed. */
static void
test_start_of_the_code(void **state)
{
	struct image *image = make(0xfffffff1);

	(void)state;
	put(image, 24, 0, 8);
	image->module[22] = 0;
	assert_null(look_up(image, TEXT));
	image->module[22] = TEXT;
	expect_names(image);
	image->module[22] = 0;
	image->relocation = (Elf64_Rela){.r_offset = TABLE + 24, .r_addend = TEXT};
	expect_names(image);
	image->relocation = (Elf64_Rela){.r_offset = 0x600000 + 22 * 8, .r_addend = TEXT};
	expect_names(image);
	image->relocation.r_offset++;
	assert_null(look_up(image, TEXT));
	free(image);
}

#define INLINED "sort.swap /src/sort.go:90|main.main /src/main.go:21"
#define NOT_INLINED "main.main /src/sort.go:90"

static void
test_frames(void **state)
{
	(void)state;
	for (size_t i = 1; i < 4; i++) {
		struct image *image = make(magics[i]);

		assert_string_equal(look_up_frames(image, TEXT - 1, 1000), "");
		assert_string_equal(look_up_frames(image, TEXT, 1000), "main.main /src/main.go:21");
		assert_string_equal(look_up_frames(image, TEXT + 0xf, 1000), "main.main /src/main.go:21");
		assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), i > 1 ? INLINED : NOT_INLINED);
		assert_string_equal(look_up_frames(image, TEXT + 0x1f, 1000), i > 1 ? INLINED : NOT_INLINED);
		assert_string_equal(look_up_frames(image, TEXT + 0x3f, 1000), "main.main /src/main.go:23");
		assert_string_equal(look_up_frames(image, TEXT + 0x40, 1000), "runtime.goexit ?:0");
		assert_string_equal(look_up_frames(image, TEXT + 0x10, 1), "");
		/* a module of another program, or none: no inlined calls */
		image->module[22]++;
		assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), NOT_INLINED);
		free(image);
	}
	struct image *image = make(0xfffffffb);
	assert_string_equal(look_up_frames(image, TEXT, 1000), "");
	free(image);
}

/* Before Go 1.26 the module's data is anywhere in .noptrdata. */
static void
test_search_for_the_module(void **state)
{
	struct image *image = make(0xfffffff0);

	(void)state;
	memcpy(image->names + sizeof(SECTION_NAMES), ".noptrdata", 11);
	image->sections[2].sh_name = sizeof(SECTION_NAMES);
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), INLINED);
	memmove(image->module + 3, image->module, 44 * sizeof(image->module[0]));
	image->module[0] = 0;
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), INLINED);
	image->module[3] = 0;
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), NOT_INLINED);
	image->relocation = (Elf64_Rela){.r_offset = 0x600000 + 24, .r_addend = TABLE};
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), INLINED);
	image->relocation.r_offset = 0x600000 + 16;
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), NOT_INLINED);
	image->relocation.r_offset = 0x500000; /* in no data of the program's */
	assert_string_equal(look_up_frames(image, TEXT + 0x10, 1000), NOT_INLINED);
	free(image);
}

/* A call that was inlined into itself. */
static void
test_circle(void **state)
{
	struct image *image = make(0xfffffff1);
	const char *text;
	size_t frames = 1;

	(void)state;
	put(image, TREE_AT + 8, 0x10, 4);
	text = look_up_frames(image, TEXT + 0x10, 10000);
	for (; (text = strchr(text, '|')); text++)
		frames++;
	assert_int_equal(frames, 64);
	free(image);
}

/* Every byte of the table, and values that break arithmetic at every place. */
static void
test_mutations(void **state)
{
	static const uint64_t nasty[] = {
		0,    1,    0x7fffffff,           0x80000000, 0xffffffff, UINT64_MAX, 0x8000000000000000ull,
		1023, 1024, 0xfffffffffffffff8ull};
	size_t named = 0, unnamed = 0;

	(void)state;
	for (size_t m = 0; m < 4; m++)
		for (size_t at = 0; at + 8 <= TREE_AT + 20; at += 1 + at / 300)
			for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++)
				for (size_t size = 4; size <= 8; size += 4) {
					struct image *image = make(magics[m]);

					put(image, at, nasty[i], size);
					const char *name = look_up(image, TEXT + 0x41);
					(void)look_up_frames(image, TEXT + 0x11, 1000);
					named += name != NULL;
					unnamed += name == NULL;
					free(image);
				}
	assert_true(named > 1000 && unnamed > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts), cmocka_unit_test(test_start_of_the_code),
		cmocka_unit_test(test_frames),  cmocka_unit_test(test_search_for_the_module),
		cmocka_unit_test(test_circle),  cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
