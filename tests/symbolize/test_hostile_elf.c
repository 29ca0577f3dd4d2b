/* A real ELF file, mutated thousands of times where it hurts (headers, section table, symbols, strings,
 * notes) and cut short: an error or names, never a fault, a hang or a balloon. */
#include "ipc/fd.h"
#include "tests/symbolize/support.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/symbols.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

static uint32_t
next_random(uint32_t *random)
{
	return *random = *random * 1664525 + 1013904223;
}

/* Byte ranges worth changing. */
struct place {
	uint64_t offset, size;
};

static size_t
find_places(const uint8_t *file, struct place *places)
{
	Elf64_Ehdr header;
	size_t count = 0;

	memcpy(&header, file, sizeof(header));
	places[count++] = (struct place){0, sizeof(header)};
	places[count++] = (struct place){header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr)};
	places[count++] = (struct place){header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr)};
	for (size_t i = 0; i < header.e_shnum; i++) {
		Elf64_Shdr section;

		memcpy(&section, file + header.e_shoff + i * sizeof(section), sizeof(section));
		if (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_NOTE ||
		    section.sh_type == SHT_STRTAB) {
			places[count++] = (struct place){section.sh_offset, section.sh_size};
			/* its own header, where a wrong size or offset does most */
			places[count++] =
				(struct place){header.e_shoff + i * sizeof(section), sizeof(section)};
		}
		if (count > 12)
			break;
	}
	return count;
}

/* Values that break arithmetic, and plain noise. */
static void
mutate(uint8_t *file, const struct place *places, size_t count, uint32_t *random)
{
	static const uint64_t nasty[] = {0,
					 1,
					 0x7fffffff,
					 0x80000000,
					 0xffffffff,
					 0x7fffffffffffffff,
					 0x8000000000000000,
					 0xffffffffffffffff,
					 0xfffffffffffffff8,
					 0x1000000000,
					 1 << 26};
	const struct place *place = &places[next_random(random) % count];
	uint64_t width = 1u << (next_random(random) >> 30);
	uint64_t at;

	if (place->size < width)
		return;
	at = place->offset + (next_random(random) >> 4) % (place->size - width + 1) / width * width;
	if (next_random(random) >> 31)
		memcpy(file + at, &nasty[(next_random(random) >> 8) % (sizeof(nasty) / sizeof(nasty[0]))],
		       width);
	else
		file[at] = (uint8_t)(next_random(random) >> 16);
}

/* Returns whether symbols came out. */
static bool
read_everything(int fd)
{
	struct elf_source *source;
	struct symbols *symbols;
	size_t length = 0;

	if (elf_source_open(fd, &source) != 0)
		return false;
	(void)elf_source_has_build_id(source, "00112233445566778899aabbccddeeff00112233");
	if (symbols_new(source, &symbols) != 0)
		return false;
	for (uint64_t address = 0; address < 0x8000; address += 13) {
		const char *name = symbols_find(symbols, address);

		length += name ? strlen(name) : 0;
	}
	symbols_free(symbols);
	return length > 0;
}

static int
file_with(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	return fd;
}

static void
test_mutations(void **state)
{
	enum { ROUNDS = 6000 };
	struct place places[16];
	size_t size, readable = 0, place_count;
	uint8_t *original = read_file(FIXTURE, &size), *copy = malloc(size);
	uint32_t random = 2024;

	(void)state;
	place_count = find_places(original, places);
	for (int round = 0; round < ROUNDS; round++) {
		memcpy(copy, original, size);
		for (int i = 0; i < 1 + round % 3; i++)
			mutate(copy, places, place_count, &random);
		OWNED_FD fd = file_with(copy, size);

		readable += read_everything(fd);
		/* and as an image in memory, where libelf reads in place */
		if (round % 4 == 0) {
			struct elf_source *source;
			struct symbols *symbols;

			if (elf_source_open_memory(copy, size, &source) == 0 &&
			    symbols_new(source, &symbols) == 0)
				symbols_free(symbols);
		}
	}
	/* Both outcomes happen, so the loop tests something. */
	assert_in_range(readable, ROUNDS / 10, ROUNDS * 99 / 100);
	free(original);
	free(copy);
}

static void
test_cut_files(void **state)
{
	size_t size, readable = 0;
	uint8_t *original = read_file(FIXTURE, &size);

	(void)state;
	for (size_t cut = 0; cut < size; cut += cut < 200 ? 1 : 97) {
		OWNED_FD fd = file_with(original, cut);

		readable += read_everything(fd);
	}
	assert_int_equal(readable, 0); /* the section table is at the end */
	free(original);
}

/* The file shrinks between opening and reading, as when it is truncated in place. */
static void
test_shrinking_file(void **state)
{
	size_t size;
	uint8_t *original = read_file(FIXTURE, &size);

	(void)state;
	for (size_t left = 0; left < size; left += 1009) {
		OWNED_FD fd = file_with(original, size);
		struct elf_source *source;
		struct symbols *symbols;

		assert_int_equal(elf_source_open(fd, &source), 0);
		assert_int_equal(ftruncate(fd, (off_t)left), 0);
		if (symbols_new(source, &symbols) == 0)
			symbols_free(symbols);
	}
	free(original);
}

/* A sparse terabyte whose tables claim a gigabyte each, all of it there, costs an error, not the memory. */
static void
test_sparse_giant(void **state)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Shdr sections[3];
	} file = {0};
	OWNED_FD fd = memfd_create("giant", MFD_CLOEXEC);
	struct rusage before, after;

	(void)state;
	memcpy(file.header.e_ident, ELFMAG, SELFMAG);
	file.header.e_ident[EI_CLASS] = ELFCLASS64;
	file.header.e_ident[EI_DATA] = ELFDATA2LSB;
	file.header.e_ident[EI_VERSION] = EV_CURRENT;
	file.header.e_type = ET_DYN;
	file.header.e_version = EV_CURRENT;
	file.header.e_ehsize = sizeof(file.header);
	file.header.e_shoff = sizeof(file.header);
	file.header.e_shentsize = sizeof(Elf64_Shdr);
	file.header.e_shnum = 3;
	for (int i = 1; i < 3; i++)
		file.sections[i] = (Elf64_Shdr){.sh_type = i == 1 ? SHT_SYMTAB : SHT_STRTAB,
						.sh_link = 2,
						.sh_offset = 4096,
						.sh_size = 24u * (40 << 20),
						.sh_entsize = 24};
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	getrusage(RUSAGE_SELF, &before);
	assert_false(read_everything(fd));
	/* The escape for very many sections: their number is in the first one. */
	file.header.e_shnum = 0;
	file.sections[0].sh_size = 1 << 22;
	assert_int_equal(pwrite(fd, &file, sizeof(file), 0), sizeof(file));
	assert_false(read_everything(fd));
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_giant), /* first: it compares the peak of memory */
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_cut_files),
		cmocka_unit_test(test_shrinking_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
