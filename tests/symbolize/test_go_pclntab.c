/* A hand-made table in each of its layouts, then cut and changed everywhere: a name of the table, or none. */
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/go_pclntab.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT 0x401000
#define TABLE 0x523000
#define NAMES "main.main\0runtime.goexit"

/* A file: header, the table, section names, section headers. */
struct image {
	Elf64_Ehdr header;
	uint8_t table[512];
	uint64_t module[32];
	Elf64_Rela relocation;
	char names[48];
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

/* Two functions, of 0x40 and 0x20 bytes. */
static struct image *
make(uint32_t magic)
{
	struct image *image = calloc(1, sizeof(*image));
	bool is_relative = magic < 0xfffffff2, has_offsets = magic != 0xfffffffb;
	size_t word = is_relative ? 4 : 8;
	uint64_t base = is_relative ? 0 : TEXT;
	size_t names = 128, functab = has_offsets ? 192 : 16, functions = has_offsets ? functab : 0;
	const uint64_t starts[] = {base, base + 0x40, base + 0x60};

	make_elf(image);
	put(image, 0, magic, 4);
	put(image, 6, 1, 1);
	put(image, 7, 8, 1);
	put(image, 8, 2, 8);
	if (has_offsets) {
		put(image, 8 + 8 * (is_relative ? 3 : 2), names, 8);
		put(image, 8 + 8 * (is_relative ? 7 : 6), functab, 8);
	}
	if (is_relative)
		put(image, 8 + 8 * 2, TEXT, 8);
	memcpy(image->table + names, NAMES, sizeof(NAMES));
	for (size_t i = 0; i < 3; i++) {
		size_t described = 256 + 32 * i;

		put(image, functab + 2 * word * i, starts[i], word);
		if (i == 2)
			break;
		put(image, functab + 2 * word * i + word, described - functions, word);
		put(image, described, starts[i], word);
		put(image, described + word, (has_offsets ? 0 : names) + (i ? 10 : 0), 4);
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

/* Every byte of the table, and values that break arithmetic at every place. */
static void
test_mutations(void **state)
{
	static const uint64_t nasty[] = {
		0,   1,   0x7fffffff,           0x80000000, 0xffffffff, UINT64_MAX, 0x8000000000000000ull,
		511, 512, 0xfffffffffffffff8ull};
	size_t named = 0, unnamed = 0;

	(void)state;
	for (size_t m = 0; m < 4; m++)
		for (size_t at = 0; at + 8 <= 384; at++)
			for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++)
				for (size_t size = 4; size <= 8; size += 4) {
					struct image *image = make(magics[m]);

					put(image, at, nasty[i], size);
					const char *name = look_up(image, TEXT + 0x41);
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
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_start_of_the_code),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
