/* ELF headers, notes and sections: the same whether read from memory or through the block cache, and inside
 * the file. Input: four bytes that choose where to read, then the file. */

#include "tests/fuzz/fuzz.h"

#include "worker/base/cursor.h"
#include "worker/elf/image.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void
check_read(struct elf_image *memory, struct elf_image *file, const uint8_t *bytes, size_t size, uint64_t at,
	   size_t count)
{
	uint8_t one[512], other[512];
	int result = elf_image_read(memory, at, one, count);

	CHECK(result == (at <= size && count <= size - at ? 0 : -ERANGE));
	CHECK(elf_image_read(file, at, other, count) == result);
	if (result == 0)
		CHECK(memcmp(one, bytes + at, count) == 0 && memcmp(other, bytes + at, count) == 0);
}

static void
check_read_address(struct elf_image *memory, struct elf_image *file, uint64_t address, size_t count)
{
	uint8_t one[512], other[512];
	int result = elf_image_read_address(memory, address, one, count);

	CHECK(result == 0 || result == -ERANGE);
	CHECK(elf_image_read_address(file, address, other, count) == result);
	if (result == 0)
		CHECK(memcmp(one, other, count) == 0);
}

static void
check_address_of(struct elf_image *image, uint64_t offset)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);
	uint64_t address = 0;
	bool is_executable = false;

	if (!elf_image_address_of_offset(image, offset, &address))
		return;
	for (size_t i = 0; i < count; i++)
		is_executable |= segments[i].executable &&
				 address - segments[i].address == offset - segments[i].offset;
	CHECK(is_executable);
}

static void
check_segments(struct elf_image *memory, struct elf_image *file, size_t size, uint16_t count_read)
{
	const struct elf_segment *one, *other;
	size_t count = elf_image_segments(memory, &one);

	CHECK(elf_image_segments(file, &other) == count && memcmp(one, other, count * sizeof(*one)) == 0);
	for (size_t i = 0; i < count; i++) {
		CHECK(one[i].file_size <= one[i].memory_size);
		CHECK(one[i].address + one[i].memory_size >= one[i].address);
		CHECK(one[i].offset + one[i].file_size >= one[i].offset);
		check_read_address(memory, file, one[i].address, count_read);
		check_read_address(memory, file, one[i].address + one[i].file_size - count_read, count_read);
		check_read_address(memory, file, one[i].address + one[i].file_size, 1);
		check_address_of(memory, one[i].offset);
		check_address_of(memory, one[i].offset + one[i].file_size);
	}
	check_address_of(memory, size / 2);
}

/* A segment may lie where the section is read; then the segment is. */
static bool
is_shadowed(struct elf_image *image, uint64_t address)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);

	for (size_t i = 0; i < count; i++)
		if (segments[i].address + segments[i].memory_size >= address)
			return true;
	return false;
}

static void
check_section(struct elf_image *memory, struct elf_image *file, const char *name)
{
	uint64_t address = 0, size = 0, same_address = 0, same_size = 0;
	uint8_t bytes[16];
	bool is_there = elf_image_section(memory, name, &address, &size);

	CHECK(elf_image_section(file, name, &same_address, &same_size) == is_there);
	CHECK(address == same_address && size == same_size && address + size >= address);
	is_there = elf_image_unloaded_section(memory, name, &address, &size);
	CHECK(elf_image_unloaded_section(file, name, &same_address, &same_size) == is_there);
	if (!is_there || is_shadowed(memory, address))
		return;
	check_read_address(memory, file, address, size < sizeof(bytes) ? size + 1 : sizeof(bytes));
	CHECK(elf_image_read_address(memory, address + size, bytes, 1) == -ERANGE);
	CHECK(elf_image_read_address(file, address + size - 1, bytes, 2) == -ERANGE);
}

static void
check_images(struct elf_image *memory, struct elf_image *file, const uint8_t *bytes, size_t size,
	     struct cursor in)
{
	uint16_t at = cursor_u16(&in), count = 1 + cursor_u16(&in) % 511;
	uint8_t one[ELF_BUILD_ID_MAX], other[ELF_BUILD_ID_MAX];
	size_t id_size = elf_image_build_id(memory, one);
	uint64_t address, header_size;

	CHECK(id_size <= ELF_BUILD_ID_MAX && elf_image_build_id(file, other) == id_size);
	CHECK(memcmp(one, other, id_size) == 0);
	check_read(memory, file, bytes, size, at, count);
	check_read(memory, file, bytes, size, size - count, count);
	check_read(memory, file, bytes, size, UINT64_MAX - at, count);
	check_segments(memory, file, size, count);
	if (elf_image_eh_frame_hdr(memory, &address, &header_size))
		CHECK(address + header_size >= address);
	check_section(memory, file, ".eh_frame");
	check_section(memory, file, ".debug_frame");
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct elf_image *memory = NULL, *file = NULL;
	int fd = memfd_create("elf", MFD_CLOEXEC);

	if (size < 4) {
		close(fd);
		return 0;
	}
	CHECK(fd >= 0 && write(fd, bytes + 4, size - 4) == (ssize_t)size - 4);
	int result = elf_image_open_memory(bytes + 4, size - 4, &memory);
	CHECK(result == 0 || result == -EBADMSG);
	CHECK(elf_image_open(fd, &file) == result);
	if (result == 0)
		check_images(memory, file, bytes + 4, size - 4, cursor_over(bytes, 4));
	elf_image_free(memory);
	elf_image_free(file);
	close(fd);
	return 0;
}
