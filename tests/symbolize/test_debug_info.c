/* Chains and lines of a real program (DWARF 4 and 5, plain and compressed), and of files that lie: mutated
 * thousands of times, cut, inflated without end. Wrong answers are allowed there; faults, hangs and more work
 * than the budget has are not. */
#include "ipc/fd.h"
#include "tests/symbolize/debug_builder.h"
#include "tests/symbolize/support.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/inflate.h"
#include "worker/symbolize/source_batch.h"
#include "worker/symbolize/symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2
#endif

static const char *const programs[] = {DWARF4, DWARF5, DWARF4 "-zlib", DWARF5 "-zlib"};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

static const struct module_files no_files = MODULE_FILES_NONE;

/* Where the function with this linkage name is. */
static void
find_function(int fd, const char *name, uint64_t *ret_start, uint64_t *ret_limit)
{
	struct elf_source *source;
	struct symbols *symbols;

	*ret_start = *ret_limit = 0;
	assert_int_equal(elf_source_open(fd, &source), 0);
	assert_int_equal(symbols_new(source, &symbols), 0);
	for (uint64_t address = 0; address < 0x10000; address++) {
		const char *found = symbols_find(symbols, address);

		if (!found || strcmp(found, name) != 0)
			continue;
		*ret_start = *ret_start ? *ret_start : address;
		*ret_limit = address + 1;
	}
	symbols_free(symbols);
	assert_true(*ret_start > 0);
}

static uint64_t *
range(uint64_t start, uint64_t limit)
{
	uint64_t *addresses = calloc(limit - start, sizeof(*addresses));

	/* backwards, and the last one twice: order and repeats are the batch's business */
	for (uint64_t i = start; i < limit; i++)
		addresses[i - start] = limit - 1 - (i - start);
	return addresses;
}

static void
assert_ends_with(const char *text, const char *end)
{
	assert_non_null(text);
	assert_true(strlen(text) >= strlen(end));
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void
test_chains(void **state)
{
	static const char *const chain[] = {"_ZNK4shop6Basket5countEm", "_ZN4shop5totalINS_6BasketEEEmRKT_m",
					    "_ZN4shop8checkoutEm"};

	(void)state;
	for (size_t i = 0; i < PROGRAMS; i++) {
		struct debug_budget budget = {.work_left = 1 << 26, .inflated_left = 1 << 24};
		struct source_batch batch;
		uint64_t start, limit;
		size_t whole = 0, function = 0;
		OWNED_FD fd = open(programs[i], O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		find_function(fd, chain[2], &start, &limit);
		source_batch_find(&batch, fd, &no_files, &budget, range(start, limit), limit - start);
		assert_false(budget.is_exceeded);
		assert_int_equal(budget.inflated_left, 1 << 24);
		for (uint64_t address = start; address < limit; address++) {
			const struct source_location *found = source_batch_at(&batch, address);

			assert_non_null(found);
			assert_in_range(found->count, 1, 3);
			for (size_t f = 0; f < found->count; f++) {
				assert_string_equal(found->frames[f].function, chain[3 - found->count + f]);
				assert_ends_with(found->frames[f].file, "/inlined.cc");
				assert_int_equal(found->frames[f].file[0], '/');
				assert_in_range(found->frames[f].line, 10, 40);
			}
			whole += found->count == 3;
			function += found->count == 1;
		}
		assert_true(whole > 4);
		assert_true(function > 0);
		assert_null(source_batch_at(&batch, start - 1));
		source_batch_destroy(&batch);
	}
}

static void
test_small_budgets(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROGRAMS; i++) {
		OWNED_FD fd = open(programs[i], O_RDONLY | O_CLOEXEC);
		uint64_t start, limit, needed;
		struct source_batch batch;

		find_function(fd, "_ZN4shop8checkoutEm", &start, &limit);
		struct debug_budget budget = {.work_left = 1 << 26, .inflated_left = 1 << 24};
		source_batch_find(&batch, fd, &no_files, &budget, range(start, limit), limit - start);
		source_batch_destroy(&batch);
		needed = (1 << 26) - budget.work_left;
		for (uint64_t work = 0; work < needed; work += 1 + needed / 50) {
			budget = (struct debug_budget){.work_left = work, .inflated_left = 1 << 24};
			source_batch_find(&batch, fd, &no_files, &budget, range(start, limit), limit - start);
			assert_true(budget.is_exceeded);
			source_batch_destroy(&batch);
		}
		budget = (struct debug_budget){.work_left = needed, .inflated_left = 100};
		source_batch_find(&batch, fd, &no_files, &budget, range(start, limit), limit - start);
		assert_int_equal(budget.is_exceeded, strstr(programs[i], "-zlib") != NULL);
		assert_int_equal(source_batch_at(&batch, start) == NULL, budget.is_exceeded);
		source_batch_destroy(&batch);
	}
}

/* Where debug sections, and their headers, are in the file. */
struct place {
	uint64_t offset, size;
};

static size_t
find_places(const uint8_t *file, struct place *places, size_t room)
{
	Elf64_Ehdr elf;
	Elf64_Shdr names, section;
	size_t count = 0;

	memcpy(&elf, file, sizeof(elf));
	memcpy(&names, file + elf.e_shoff + elf.e_shstrndx * sizeof(names), sizeof(names));
	for (size_t i = 0; i < elf.e_shnum && count + 1 < room; i++) {
		memcpy(&section, file + elf.e_shoff + i * sizeof(section), sizeof(section));
		const char *name = (const char *)file + names.sh_offset + section.sh_name;

		if (strncmp(name, ".debug_", 7) != 0 || section.sh_size < 8 || strstr(name, "loclist"))
			continue;
		places[count++] = (struct place){section.sh_offset, section.sh_size};
		if (i % 4 == 0)
			places[count++] = (struct place){elf.e_shoff + i * sizeof(section), sizeof(section)};
	}
	return count;
}

static uint32_t
next_random(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 4;
}

static void
mutate(uint8_t *file, const struct place *places, size_t count, uint32_t *random)
{
	static const uint8_t nasty[] = {0, 1, 0x7f, 0x80, 0xff};

	for (unsigned changes = 1 + next_random(random) % 4; changes > 0; changes--) {
		const struct place *place = &places[next_random(random) % count];
		uint64_t at = place->offset + next_random(random) % (place->size - 8);
		size_t width = (size_t)1 << next_random(random) % 4;

		if (next_random(random) % 2)
			memset(file + at, nasty[next_random(random) % sizeof(nasty)], width);
		else
			file[at] = (uint8_t)next_random(random);
	}
}

static void
test_mutations(void **state)
{
	enum { ROUNDS = 1500, WORK = 1 << 24 };
	uint32_t random = 4711;

	(void)state;
	for (size_t i = 0; i < PROGRAMS; i++) {
		struct place places[32];
		uint64_t start, limit;
		size_t size, known = 0;
		uint8_t *file = read_file(programs[i], &size), *copy = malloc(size);
		size_t count = find_places(file, places, 32);
		OWNED_FD original = open(programs[i], O_RDONLY | O_CLOEXEC);

		find_function(original, "_ZN4shop8checkoutEm", &start, &limit);
		for (unsigned round = 0; round < ROUNDS; round++) {
			struct debug_budget budget = {.work_left = WORK, .inflated_left = 1 << 20};
			struct source_batch batch;
			OWNED_FD fd = memfd_create("mutated", MFD_CLOEXEC);

			memcpy(copy, file, size);
			mutate(copy, places, count, &random);
			size_t cut = round % 5 ? size : next_random(&random) % size;
			assert_int_equal(write(fd, copy, cut), cut);
			source_batch_find(&batch, fd, &no_files, &budget, range(start, limit), limit - start);
			for (uint64_t address = start; address < limit; address++) {
				const struct source_location *found = source_batch_at(&batch, address);

				known += found && found->frames[0].line;
			}
			assert_true(budget.inflated_left == 1 << 20);
			source_batch_destroy(&batch);
		}
		assert_true(known > 0); /* the mutations are not all fatal */
		free(copy);
		free(file);
	}
}

static size_t
pack_section(uint32_t type, const void *bytes, size_t size, uint64_t claimed, uint8_t *ret, size_t room)
{
	Elf64_Chdr header = {.ch_type = type, .ch_size = claimed, .ch_addralign = 1};
	uLongf packed = room - sizeof(header);

	memcpy(ret, &header, sizeof(header));
	if (type == ELFCOMPRESS_ZSTD)
		packed = ZSTD_compress(ret + sizeof(header), packed, bytes, size, 3);
	else
		assert_int_equal(compress2(ret + sizeof(header), &packed, bytes, size, 9), Z_OK);
	return sizeof(header) + packed;
}

static void
test_inflate(void **state)
{
	enum { SIZE = 1 << 20 };
	static const uint32_t types[] = {ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
	uint8_t *in = malloc(SIZE), *packed = malloc(2 * SIZE), *out = malloc(SIZE + 1);

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		in[i] = (uint8_t)(i * i >> 7);
	for (size_t i = 0; i < 2; i++) {
		OWNED_FD fd = memfd_create("packed", MFD_CLOEXEC);
		size_t size = pack_section(types[i], in, SIZE, SIZE, packed, 2 * SIZE);

		assert_int_equal(pwrite(fd, packed, size, 100), size);
		assert_int_equal(inflate_file(fd, 100, size, out, SIZE), 0);
		assert_memory_equal(in, out, SIZE);
		/* cut; not what the header says; a header that says another size than the stream has */
		assert_int_equal(inflate_file(fd, 100, size - 1, out, SIZE), -EBADMSG);
		assert_int_equal(inflate_file(fd, 100, size / 2, out, SIZE), -EBADMSG);
		assert_int_equal(inflate_file(fd, 100, size, out, SIZE - 1), -EBADMSG);
		assert_int_equal(inflate_file(fd, 100, sizeof(Elf64_Chdr) - 1, out, SIZE), -EBADMSG);
		for (int more = -1; more <= 1; more += 2) {
			size = pack_section(types[i], in, SIZE, (uint64_t)(SIZE + more), packed, 2 * SIZE);
			assert_int_equal(pwrite(fd, packed, size, 100), size);
			assert_int_equal(inflate_file(fd, 100, size, out, (size_t)(SIZE + more)), -EBADMSG);
		}
		packed[0] = 99;
		assert_int_equal(pwrite(fd, packed, size, 100), size);
		assert_int_equal(inflate_file(fd, 100, size, out, SIZE + 1), -ENOTSUP);
	}
	free(in);
	free(packed);
	free(out);
}

/* A kilobyte that would become 2^60 bytes: nothing is even allocated. */
static void
test_bomb(void **state)
{
	uint8_t packed[4096];
	size_t size = pack_section(ELFCOMPRESS_ZLIB, "x", 1, (uint64_t)1 << 60, packed, sizeof(packed));
	struct built_section section = {".debug_info", packed, size, SHF_COMPRESSED};
	struct debug_budget budget = {.work_left = UINT64_MAX, .inflated_left = (size_t)160 << 20};
	struct source_batch batch;
	OWNED_FD fd = build_debug_file(&section, 1);

	(void)state;
	source_batch_find(&batch, fd, &no_files, &budget, range(1, 10), 9);
	assert_null(source_batch_at(&batch, 5));
	assert_true(budget.is_exceeded);
	source_batch_destroy(&batch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),    cmocka_unit_test(test_small_budgets),
		cmocka_unit_test(test_inflate),   cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
