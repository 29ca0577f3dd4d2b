/* Every function of real files, held against what nm says; hand-made tables for what nm cannot show. */
#include "ipc/fd.h"
#include "tests/symbolize/support.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include <cmocka.h>

static struct symbols *
open_symbols(int fd)
{
	struct elf_source *source;
	struct symbols *symbols;

	assert_int_equal(elf_source_open(fd, &source), 0);
	assert_int_equal(symbols_new(source, &symbols), 0);
	return symbols;
}

struct nm_symbol {
	unsigned long address, size;
	char kind;
	char name[4096];
};

static bool
next_nm_symbol(FILE *nm, struct nm_symbol *ret)
{
	char line[8192];

	while (fgets(line, sizeof(line), nm))
		if (sscanf(line, "%lx %lx %c %4095s", &ret->address, &ret->size, &ret->kind, ret->name) ==
			    4 &&
		    strchr("tTwWi", ret->kind) && ret->size)
			return true;
	return false;
}

/* Is `name` one of the sized symbols that start at `address`? */
static bool
is_alias(const char *command, unsigned long address, const char *name)
{
	FILE *nm = popen(command, "r");
	struct nm_symbol symbol;
	bool found = false;

	while (next_nm_symbol(nm, &symbol))
		found |= symbol.address == address && strcmp(symbol.name, name) == 0;
	pclose(nm);
	return found;
}

/* Returns how many symbols were compared. */
static size_t
compare_with_nm(const char *path, const char *options)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct symbols *symbols = open_symbols(fd);
	char command[4096];
	struct nm_symbol symbol;
	size_t count = 0, others = 0;
	FILE *nm;

	snprintf(command, sizeof(command), "%s %s -S --defined-only %s", NM, options, path);
	nm = popen(command, "r");
	assert_non_null(nm);
	while (next_nm_symbol(nm, &symbol)) {
		const char *name = symbols_find(symbols, symbol.address);

		assert_non_null(name);
		/* The last byte belongs to this symbol too, or to one that starts inside of it. */
		assert_non_null(symbols_find(symbols, symbol.address + symbol.size - 1));
		count++;
		if (strncmp(name, symbol.name, strlen(name)) != 0 && others++ < 40)
			assert_true(is_alias(command, symbol.address, name));
	}
	pclose(nm);
	symbols_free(symbols);
	return count;
}

static void
test_fixture_against_nm(void **state)
{
	(void)state;
	if (!NM[0])
		skip();
	assert_true(compare_with_nm(FIXTURE, "") > 20);
}

static void
test_exported_only_against_nm(void **state)
{
	(void)state;
	if (!NM[0] || access("/lib/x86_64-linux-gnu/libstdc++.so.6", R_OK) != 0)
		skip();
	assert_true(compare_with_nm("/lib/x86_64-linux-gnu/libstdc++.so.6", "-D --without-symbol-versions") >
		    1000);
}

/* The address of a name, from nm: the truth for the tests below. */
static unsigned long
address_of(const char *name)
{
	char command[4096], found[4096], kind;
	unsigned long address = 0, at;
	FILE *nm;

	snprintf(command, sizeof(command), "%s --defined-only %s", NM, FIXTURE);
	nm = popen(command, "r");
	while (fscanf(nm, "%lx %c %4095s", &at, &kind, found) == 3)
		if (strcmp(found, name) == 0)
			address = at;
	pclose(nm);
	assert_int_not_equal(address, 0);
	return address;
}

static void
test_aliases_and_labels(void **state)
{
	OWNED_FD fd = open(FIXTURE, O_RDONLY | O_CLOEXEC);
	struct symbols *symbols = open_symbols(fd);
	unsigned long label, second, sized;

	(void)state;
	if (!NM[0])
		skip();
	/* global over weak over local */
	assert_int_equal(address_of("weak_alias"), address_of("global_name"));
	assert_int_equal(address_of("local_alias"), address_of("global_name"));
	assert_string_equal(symbols_find(symbols, address_of("global_name")), "global_name");
	/* labels without size reach to the next one */
	label = address_of("label_after_code");
	second = address_of("second_label");
	assert_string_equal(symbols_find(symbols, label), "label_after_code");
	assert_string_equal(symbols_find(symbols, second - 1), "label_after_code");
	assert_string_equal(symbols_find(symbols, second), "second_label");
	assert_string_equal(symbols_find(symbols, second + 2), "second_label");
	/* a label inside a function that has a size names nothing, and it ends where it says */
	sized = address_of("sized_with_label");
	assert_string_equal(symbols_find(symbols, sized - 1), "second_label");
	for (unsigned long offset = 0; offset < 4; offset++)
		assert_string_equal(symbols_find(symbols, sized + offset), "sized_with_label");
	assert_null(symbols_find(symbols, sized + 4));
	/* nothing beyond the file */
	assert_null(symbols_find(symbols, 0));
	assert_null(symbols_find(symbols, UINT64_MAX));
	symbols_free(symbols);
}

static void
test_vdso(void **state)
{
	const Elf64_Ehdr *image = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	struct elf_source *source;
	struct symbols *symbols;
	bool found = false;

	(void)state;
	if (!image)
		skip();
	assert_int_equal(elf_source_open_memory(image,
						image->e_shoff + (size_t)image->e_shnum * image->e_shentsize,
						&source),
			 0);
	assert_int_equal(symbols_new(source, &symbols), 0);
	for (uint64_t address = 0; address < 0x4000; address++) {
		const char *name = symbols_find(symbols, address);

		found |= name && strcmp(name, "__vdso_clock_gettime") == 0;
	}
	assert_true(found);
	symbols_free(symbols);
}

/* A file of our own making: one code section of 0x1000 bytes at 0x1000, and the symbols under test. */
struct fake {
	Elf64_Ehdr header;
	Elf64_Phdr notes;
	Elf64_Shdr sections[4]; /* none, .text, .symtab, .strtab */
	char names[4096];
	Elf64_Sym symbols[];
};

#define UNDERSCORE ('z' + 1) /* as the letter of a symbol: its name is "_" */

static struct fake *
fake_new(size_t symbols)
{
	struct fake *fake = calloc(1, sizeof(*fake) + symbols * sizeof(Elf64_Sym));

	memcpy(fake->header.e_ident, ELFMAG, SELFMAG);
	fake->header.e_ident[EI_CLASS] = ELFCLASS64;
	fake->header.e_ident[EI_DATA] = ELFDATA2LSB;
	fake->header.e_ident[EI_VERSION] = EV_CURRENT;
	fake->header.e_type = ET_DYN;
	fake->header.e_version = EV_CURRENT;
	fake->header.e_ehsize = sizeof(Elf64_Ehdr);
	fake->header.e_shoff = offsetof(struct fake, sections);
	fake->header.e_shentsize = sizeof(Elf64_Shdr);
	fake->header.e_shnum = 4;
	fake->sections[1] = (Elf64_Shdr){.sh_type = SHT_PROGBITS,
					 .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
					 .sh_addr = 0x1000,
					 .sh_size = 0x1000};
	fake->sections[2] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
					 .sh_offset = offsetof(struct fake, symbols),
					 .sh_size = symbols * sizeof(Elf64_Sym),
					 .sh_link = 3,
					 .sh_entsize = sizeof(Elf64_Sym)};
	fake->sections[3] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
					 .sh_offset = offsetof(struct fake, names),
					 .sh_size = sizeof(fake->names)};
	for (char c = 'a'; c <= 'z'; c++) /* 1: "a", 3: "b", ... */
		fake->names[1 + 2 * (c - 'a')] = c;
	fake->names[1 + 2 * (UNDERSCORE - 'a')] = '_';
	return fake;
}

static Elf64_Sym
symbol(char name, uint64_t start, uint64_t size, unsigned char binding, unsigned char type)
{
	return (Elf64_Sym){.st_name = (Elf64_Word)(1 + 2 * (name - 'a')),
			   .st_value = start,
			   .st_size = size,
			   .st_info = (unsigned char)ELF64_ST_INFO(binding, type),
			   .st_shndx = 1};
}

static struct symbols *
fake_open(const struct fake *fake, size_t symbols)
{
	struct elf_source *source;
	struct symbols *table = NULL;

	assert_int_equal(elf_source_open_memory(fake, sizeof(*fake) + symbols * sizeof(Elf64_Sym), &source),
			 0);
	return symbols_new(source, &table) == 0 ? table : NULL;
}

#define G STB_GLOBAL
#define W STB_WEAK
#define L STB_LOCAL
#define F STT_FUNC
#define N STT_NOTYPE

/* `expected`: one letter (or '.') for every 0x100 bytes from 0x1000 to 0x1fff. */
static void
check_map(const Elf64_Sym *list, size_t count, const char *expected)
{
	struct fake *fake = fake_new(count);
	struct symbols *symbols;
	char map[17] = {0};

	memcpy(fake->symbols, list, count * sizeof(*list));
	symbols = fake_open(fake, count);
	for (int i = 0; i < 16; i++) {
		const char *name = symbols ? symbols_find(symbols, 0x1000 + 0x100 * (uint64_t)i) : NULL;

		map[i] = name ? name[0] : '.';
	}
	assert_string_equal(map, expected);
	symbols_free(symbols);
	free(fake);
}

#define MAP(expected, ...)                          \
	check_map((const Elf64_Sym[]){__VA_ARGS__}, \
		  sizeof((const Elf64_Sym[]){__VA_ARGS__}) / sizeof(Elf64_Sym), expected)

static void
test_maps(void **state)
{
	(void)state;
	/* inside its size and nowhere else */
	MAP(".aa.............", symbol('a', 0x1100, 0x200, G, F));
	/* nested, and staggered */
	MAP("aabbaaaa........", symbol('a', 0x1000, 0x800, G, F), symbol('b', 0x1200, 0x200, L, F));
	MAP("aabbbb..........", symbol('a', 0x1000, 0x400, G, F), symbol('b', 0x1200, 0x400, L, F));
	MAP("aabccbbaa.......", symbol('a', 0x1000, 0x900, G, F), symbol('b', 0x1200, 0x500, L, F),
	    symbol('c', 0x1300, 0x200, W, F));
	/* aliases: global, weak, local, whatever their order; then without an underscore; then the first */
	MAP("aa..............", symbol('b', 0x1000, 0x200, L, F), symbol('a', 0x1000, 0x200, G, F),
	    symbol('c', 0x1000, 0x200, W, F));
	MAP("cc..............", symbol('b', 0x1000, 0x200, L, F), symbol('c', 0x1000, 0x200, W, F));
	MAP("bb..............", symbol('b', 0x1000, 0x200, G, F), symbol('a', 0x1000, 0x200, G, F));
	MAP("bb..............", symbol(UNDERSCORE, 0x1000, 0x200, G, F), symbol('b', 0x1000, 0x200, G, F),
	    symbol('a', 0x1000, 0x200, G, F));
	MAP("__..............", symbol('b', 0x1000, 0x200, W, F), symbol(UNDERSCORE, 0x1000, 0x200, G, F));
	/* a preferred alias that is shorter leaves the rest to the other */
	MAP("aabb............", symbol('b', 0x1000, 0x400, L, F), symbol('a', 0x1000, 0x200, G, F));
	/* without size: to the next symbol, or to the end of the section */
	MAP("..aaaabb........", symbol('a', 0x1200, 0, L, N), symbol('b', 0x1600, 0x200, G, F));
	MAP("..aaaabbbbbbbbbb", symbol('a', 0x1200, 0, L, N), symbol('b', 0x1600, 0, G, F));
	/* without size inside one with */
	MAP("aaaa............", symbol('a', 0x1000, 0x400, L, F), symbol('b', 0x1200, 0, G, F));
	MAP("aaaabbbbc.......", symbol('a', 0x1000, 0x400, L, F), symbol('b', 0x1400, 0, G, N),
	    symbol('c', 0x1800, 1, G, N), symbol('d', 0x1801, 1, G, F));
	/* a function before a label, at the same place */
	MAP("bbbbbbbbbbbbbbbb", symbol('a', 0x1000, 0, G, N), symbol('b', 0x1000, 0, L, F));
	/* what a size beyond the section claims is not believed; nor are data, TLS and files */
	MAP("..............aa", symbol('a', 0x1e00, UINT64_MAX, G, F));
	MAP("................", symbol('a', 0x1000, 0x100, G, STT_OBJECT),
	    symbol('b', 0x1000, 0x100, G, STT_TLS), symbol('c', 0x2000, 0x100, G, F),
	    symbol('d', 0xfff, 0x100, G, F), symbol('e', 0, 0x2000, G, F));
}

/* Many symbols, all of them overlapping: built and searched in reasonable time. */
static void
test_many_nested(void **state)
{
	enum { COUNT = 300000 };
	struct fake *fake = fake_new(COUNT);
	struct symbols *symbols;
	clock_t begin = clock();

	(void)state;
	fake->sections[1].sh_size = 1 << 24;
	for (size_t i = 0; i < COUNT; i++)
		fake->symbols[i] = symbol((char)('a' + i % 26), 0x1000 + i, (1 << 23) - 2 * i, G, F);
	symbols = fake_open(fake, COUNT);
	assert_non_null(symbols);
	for (uint64_t address = 0; address < (1 << 24); address += 3)
		symbols_find(symbols, address);
	assert_string_equal(symbols_find(symbols, 0x1000 + 27), "b");
	symbols_free(symbols);
	free(fake);
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
}

static void
test_build_id(void **state)
{
	OWNED_FD fd = open(FIXTURE, O_RDONLY | O_CLOEXEC);
	char *id = build_id_of(FIXTURE);
	struct elf_source *source;

	(void)state;
	assert_int_equal(elf_source_open(fd, &source), 0);
	assert_true(elf_source_has_build_id(source, id));
	id[strlen(id) - 1] ^= 1;
	assert_false(elf_source_has_build_id(source, id));
	assert_false(elf_source_has_build_id(source, ""));
	id[strlen(id) - 2] = '\0';
	assert_false(elf_source_has_build_id(source, id));
	elf_source_close(source);
	free(id);
}

/* As mold writes it: behind a note of 8-byte units whose name is padded to 4, and then by 4. Whether there
 * are section headers makes no difference. */
static void
test_build_id_among_notes(void **state)
{
	static const uint32_t notes[] = {4,        16,         5,
					 0x554e47, 0,          0,
					 0,        0, /* a property */
					 4,        4,          1,
					 0x554e47, 0x11111111, /* another one */
					 4,        4,          NT_GNU_BUILD_ID,
					 0x554e47, 0x44332211};
	struct fake *fake = fake_new(0);
	struct elf_source *source;

	(void)state;
	memcpy(fake->names, notes, sizeof(notes));
	fake->header.e_phoff = offsetof(struct fake, notes);
	fake->header.e_phentsize = sizeof(fake->notes);
	fake->header.e_phnum = 1;
	fake->notes = (Elf64_Phdr){.p_type = PT_NOTE,
				   .p_offset = offsetof(struct fake, names),
				   .p_filesz = sizeof(notes),
				   .p_align = 8};
	for (int is_stripped = 0; is_stripped < 2; is_stripped++) {
		assert_int_equal(elf_source_open_memory(fake, sizeof(*fake), &source), 0);
		assert_true(elf_source_has_build_id(source, "11223344"));
		elf_source_close(source);
		fake->header.e_shoff = fake->header.e_shnum = fake->header.e_shentsize = 0;
	}
	free(fake);
}

static void
test_not_elf(void **state)
{
	static const char *const paths[] = {"/dev/null", "/etc/passwd", "/proc/self/maps", "/"};
	struct elf_source *source;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		OWNED_FD fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		assert_int_equal(elf_source_open(fd, &source), -EBADMSG);
	}
	assert_int_equal(elf_source_open(-1, &source), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixture_against_nm),
		cmocka_unit_test(test_exported_only_against_nm),
		cmocka_unit_test(test_aliases_and_labels),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_many_nested),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_build_id_among_notes),
		cmocka_unit_test(test_not_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
