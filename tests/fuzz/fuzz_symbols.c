/* Symbol tables, stubs and build ids: the same from memory and from a file; every name lies in the file and
 * is the one of a range, or of what a stub leads to. Input: an address to look up, then the file. */

#include "tests/fuzz/fuzz.h"

#include "worker/base/cursor.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/plt_stubs.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOOKUPS = 64 };

static const char *
check_name(const struct symbols *symbols, uint64_t address, const uint8_t *file, size_t size)
{
	const char *name = symbols_find(symbols, address);

	if (name) {
		size_t length = strlen(name);

		CHECK(length > 0 && length <= SYMBOL_NAME_MAX);
		CHECK(memmem(file, size, name, length + 1));
	}
	return name;
}

static void
check_stubs(struct elf_source *memory, struct elf_source *file, const struct symbols *functions,
	    uint64_t address)
{
	struct plt_stubs *one = NULL, *other = NULL;
	int result = plt_stubs_open(memory, functions, &one);

	CHECK(result == 0 || result == -ENOENT);
	CHECK(plt_stubs_open(file, functions, &other) == result);
	for (unsigned i = 0; result == 0 && i < LOOKUPS; i++, address += i) {
		const char *name = plt_stubs_find(one, address), *same = plt_stubs_find(other, address);

		CHECK(!name == !same && (!name || strcmp(name, same) == 0));
		CHECK(!name || strlen(name) > strlen(PLT_STUB_ENDING));
	}
	plt_stubs_close(one);
	plt_stubs_close(other);
}

static void
check_symbols(struct elf_source *memory, struct elf_source *file, const uint8_t *bytes, size_t size,
	      uint64_t address)
{
	struct symbols *one = NULL, *other = NULL;
	int result = symbols_new(memory, &one);

	CHECK(result == 0 || result == -ENOENT || result == -EBADMSG || result == -ERANGE);
	CHECK(symbols_new(file, &other) == result);
	for (unsigned i = 0; result == 0 && i < LOOKUPS; i++, address += i * i) {
		const char *name = check_name(one, address, bytes, size);
		const char *same = check_name(other, address, bytes, size);

		CHECK(!name == !same && (!name || strcmp(name, same) == 0));
	}
	if (result == 0)
		check_stubs(memory, file, one, address);
	symbols_free(one);
	symbols_free(other);
}

static void
check_sections(struct elf_source *memory, struct elf_source *file)
{
	const struct elf_section_extent *one, *other;
	size_t count = elf_source_sections(memory, &one);

	CHECK(elf_source_sections(file, &other) == count && memcmp(one, other, count * sizeof(*one)) == 0);
	for (size_t i = 0; i < count; i++)
		CHECK(one[i].start <= one[i].limit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char id[] = "0123456789abcdef0123456789abcdef01234567";
	struct elf_source *memory = NULL, *file = NULL;
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t address = cursor_u64(&in);

	if (in.failed)
		return 0;
	size = cursor_left(&in);
	uint8_t *image = malloc(size); /* aligned, as whoever maps or reads a file has it */
	int fd = memfd_create("elf", MFD_CLOEXEC);
	if (size > 0)
		memcpy(image, in.at, size);
	CHECK(fd >= 0 && write(fd, image, size) == (ssize_t)size);

	int result = elf_source_open_memory(image, size, &memory), from_file = elf_source_open(fd, &file);
	CHECK(result == 0 || result == -EBADMSG);
	CHECK(from_file == 0 || from_file == -EBADMSG);
	if (result == 0 && from_file == 0) {
		check_sections(memory, file);
		check_stubs(memory, file, NULL, address);
		CHECK(elf_source_has_build_id(memory, id) == elf_source_has_build_id(file, id));
		CHECK(!elf_source_has_build_id(file, "x"));
		check_symbols(memory, file, image, size, address);
	} else { /* in memory, libelf wants aligned headers */
		elf_source_close(memory);
		elf_source_close(file);
	}
	close(fd);
	free(image);
	return 0;
}
