/* ELF images: what is there is found, what lies is refused, and nothing is read outside the file. */

#include "worker/elf/image.h"

#include "tests/elf/elf_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t build_id[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

/* The usual shape, plus lld's habit: the file page at 0x2000 belongs to two PT_LOADs.
 *   0x0000-0x2800  R    at 0x0       0x2800-0x4800  RX  at 0x3800      0x4800-0x5000  RW  at 0x6800 */
static void
build_usual(struct elf_builder *b)
{
	uint8_t page[4096];
	size_t note;

	elf_builder_init(b);
	for (unsigned i = 0; i < 5; i++) {
		memset(page, (int)(0xa0 + i), sizeof(page));
		elf_builder_put(b, i * sizeof(page), page, sizeof(page));
	}
	elf_builder_add(b, PT_LOAD, PF_R, 0, 0, 0x2800);
	elf_builder_add(b, PT_LOAD, PF_R | PF_X, 0x2800, 0x3800, 0x2000);
	elf_builder_add(b, PT_LOAD, PF_R | PF_W, 0x4800, 0x6800, 0x800)->p_memsz = 0x10000;
	elf_builder_add(b, PT_GNU_EH_FRAME, PF_R, 0x1000, 0x1000, 0x234);
	note = elf_builder_put_build_id(b, 0x400, build_id, sizeof(build_id));
	elf_builder_add(b, PT_NOTE, PF_R, 0x400, 0x400, note);
	elf_builder_add_section(b, 0x800, ".eh_frame", 0x1234, 0x1234, 0x100);
	elf_builder_finish(b);
}

static struct elf_image *
open_builder(struct elf_builder *b, int *ret_fd)
{
	struct elf_image *image = NULL;

	*ret_fd = elf_builder_file(b);
	assert_int_equal(elf_image_open(*ret_fd, &image), 0);
	return image;
}

static void
test_usual(void **state)
{
	static struct elf_builder b;
	const struct elf_segment *segments;
	uint8_t id[ELF_BUILD_ID_MAX];
	uint64_t address, size;
	struct elf_image *image;
	int fd;

	(void)state;
	build_usual(&b);
	image = open_builder(&b, &fd);
	assert_int_equal(elf_image_segments(image, &segments), 3);
	assert_false(segments[0].executable);
	assert_true(segments[1].executable);
	assert_int_equal(segments[2].memory_size, 0x10000);
	assert_int_equal(elf_image_build_id(image, id), sizeof(build_id));
	assert_memory_equal(id, build_id, sizeof(build_id));
	assert_true(elf_image_eh_frame_hdr(image, &address, &size));
	assert_int_equal(address, 0x1000);
	assert_int_equal(size, 0x234);
	assert_true(elf_image_section(image, ".eh_frame", &address, &size));
	assert_int_equal(address, 0x1234);
	assert_int_equal(size, 0x100);
	assert_false(elf_image_section(image, ".eh_fram", &address, &size));
	assert_false(elf_image_section(image, ".text", &address, &size));
	elf_image_free(image);
	close(fd);
}

/* What is in the file only can be read at an address that no segment has; one section at a time. */
static void
test_unloaded_section(void **state)
{
	static struct elf_builder b;
	static Elf64_Shdr header;
	uint64_t address, size;
	struct elf_image *image;
	uint8_t bytes[4];
	const uint64_t flags[] = {0, SHF_ALLOC, SHF_COMPRESSED};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		build_usual(&b);
		elf_builder_add_section(&b, 0x800, ".debug_frame", 0, 0x1ffe, 0x100);
		memcpy(&header, b.bytes + 0x800 + sizeof(header), sizeof(header));
		header.sh_flags = flags[i];
		elf_builder_put(&b, 0x800 + sizeof(header), &header, sizeof(header));
		elf_builder_finish(&b);
		assert_int_equal(elf_image_open_memory(b.bytes, b.size, &image), 0);
		assert_int_equal(elf_image_unloaded_section(image, ".debug_frame", &address, &size), i == 0);
		if (i == 0) {
			assert_int_equal(size, 0x100);
			assert_int_equal(elf_image_read_address(image, address, bytes, 4), 0);
			assert_memory_equal(bytes, "\xa1\xa1\xa2\xa2", 4);
			assert_int_equal(elf_image_read_address(image, address + 0xfc, bytes, 4), 0);
			assert_int_equal(elf_image_read_address(image, address + 0xfd, bytes, 4), -ERANGE);
			assert_int_equal(elf_image_read_address(image, address + 0x101, bytes, 0), -ERANGE);
			assert_int_equal(elf_image_read_address(image, address - 1, bytes, 4), -ERANGE);
			assert_int_equal(elf_image_read_address(image, UINT64_MAX, bytes, 4), -ERANGE);
		}
		elf_image_free(image);
	}
}

static void
test_address_of_offset(void **state)
{
	static const struct {
		uint64_t offset;
		bool found;
		uint64_t address;
	} cases[] = {
		{0x2800, true, 0x3800}, {0x3000, true, 0x4000},
		{0x2000, true, 0x3000}, /* the mapping starts a page early and shows the R segment's tail */
		{0x27ff, true, 0x37ff}, {0x4800, true, 0x5800}, /* behind the segment, in its last page */
		{0x4fff, true, 0x5fff}, {0x1fff, false, 0},
		{0x5000, false, 0},     {UINT64_MAX, false, 0},
	};
	static struct elf_builder b;
	struct elf_image *image;
	uint64_t address;
	int fd;

	(void)state;
	build_usual(&b);
	image = open_builder(&b, &fd);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		address = 0;
		assert_int_equal(elf_image_address_of_offset(image, cases[i].offset, &address),
				 cases[i].found);
		assert_int_equal(address, cases[i].address);
	}
	elf_image_free(image);
	close(fd);
}

static void
test_reads(void **state)
{
	static const struct {
		uint64_t address;
		size_t size;
		int result;
		uint8_t first;
	} cases[] = {
		{0x1000, 16, 0, 0xa1},    {0x3800, 16, 0, 0xa2},       /* file offset 0x2800 */
		{0x27f0, 16, 0, 0xa2},    {0x27f8, 16, -ERANGE, 0},    /* leaves the first segment */
		{0x57ff, 1, 0, 0xa4},     {0x5800, 1, -ERANGE, 0},     /* between segments */
		{0x6800, 0x800, 0, 0xa4}, {0x6800, 0x801, -ERANGE, 0}, /* .bss is not in the file */
		{0x7000, 1, -ERANGE, 0},  {UINT64_MAX, 1, -ERANGE, 0},
	};
	static struct elf_builder b;
	uint8_t bytes[4096];
	struct elf_image *images[2];
	int fd;

	(void)state;
	build_usual(&b);
	images[0] = open_builder(&b, &fd);
	assert_int_equal(elf_image_open_memory(b.bytes, b.size, &images[1]), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int k = 0; k < 2; k++) {
			assert_int_equal(
				elf_image_read_address(images[k], cases[i].address, bytes, cases[i].size),
				cases[i].result);
			if (cases[i].result == 0)
				assert_int_equal(bytes[0], cases[i].first);
		}
	}
	for (int k = 0; k < 2; k++) {
		assert_int_equal(elf_image_read(images[k], 0x5000 - 1, bytes, 1), 0);
		assert_int_equal(elf_image_read(images[k], 0x5000 - 1, bytes, 2), -ERANGE);
		assert_int_equal(elf_image_read(images[k], UINT64_MAX, bytes, 2), -ERANGE);
		elf_image_free(images[k]);
	}
	close(fd);
}

/* One field of the usual file overwritten. */
static void
test_refused(void **state)
{
	enum { PROGRAM = sizeof(Elf64_Ehdr) };
	static const struct {
		const char *what;
		size_t offset, size;
		uint64_t value;
	} cases[] = {
		{"magic", 0, 1, 'F'},
		{"32 bits", EI_CLASS, 1, ELFCLASS32},
		{"big endian", EI_DATA, 1, ELFDATA2MSB},
		{"version", EI_VERSION, 1, 2},
		{"other machine", offsetof(Elf64_Ehdr, e_machine), 2, EM_AARCH64},
		{"object file", offsetof(Elf64_Ehdr, e_type), 2, ET_REL},
		{"core file", offsetof(Elf64_Ehdr, e_type), 2, ET_CORE},
		{"header size", offsetof(Elf64_Ehdr, e_phentsize), 2, 32},
		{"too many headers", offsetof(Elf64_Ehdr, e_phnum), 2, 0xffff},
		{"headers beyond the file", offsetof(Elf64_Ehdr, e_phoff), 8, 0x4ff0},
		{"headers wrap", offsetof(Elf64_Ehdr, e_phoff), 8, UINT64_MAX - 8},
		{"offset wraps", PROGRAM + offsetof(Elf64_Phdr, p_offset), 8, UINT64_MAX - 16},
		{"address wraps", PROGRAM + offsetof(Elf64_Phdr, p_vaddr), 8, UINT64_MAX - 16},
		{"file size above memory size", PROGRAM + offsetof(Elf64_Phdr, p_filesz), 8, 0x2801},
		{"file size wraps", PROGRAM + offsetof(Elf64_Phdr, p_memsz), 8, UINT64_MAX},
	};
	static struct elf_builder b;
	struct elf_image *image = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build_usual(&b);
		memcpy(b.bytes + cases[i].offset, &cases[i].value, cases[i].size);
		if (elf_image_open_memory(b.bytes, b.size, &image) != -EBADMSG)
			fail_msg("accepted: %s", cases[i].what);
	}
	assert_null(image);
	for (size_t size = 0; size < sizeof(Elf64_Ehdr); size++)
		assert_int_equal(elf_image_open_memory(b.bytes, size, &image), -EBADMSG);
	assert_int_equal(elf_image_open(-1, &image), -EBADF);
}

static void
test_notes(void **state)
{
	static struct elf_builder b;
	uint8_t id[ELF_BUILD_ID_MAX], other[100] = {7};
	struct elf_image *image;
	size_t size;

	(void)state;
	/* found behind another note; name padding counts */
	elf_builder_init(&b);
	elf_builder_put(&b, 0x400, &(Elf64_Nhdr){.n_namesz = 6, .n_descsz = 3, .n_type = 9},
			sizeof(Elf64_Nhdr));
	size = 12 + 8 + 4;
	size += elf_builder_put_build_id(&b, 0x400 + size, build_id, sizeof(build_id));
	elf_builder_add(&b, PT_NOTE, PF_R, 0x400, 0x400, size);
	elf_builder_finish(&b);
	assert_int_equal(elf_image_open_memory(b.bytes, b.size, &image), 0);
	assert_int_equal(elf_image_build_id(image, id), sizeof(build_id));
	elf_image_free(image);

	/* padded to 4 bytes, in a segment of 8, too */
	elf_builder_init(&b);
	elf_builder_put(&b, 0x400, &(Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 9},
			sizeof(Elf64_Nhdr));
	size = 12 + 4 + 4;
	size += elf_builder_put_build_id(&b, 0x400 + size, build_id, sizeof(build_id));
	elf_builder_add(&b, PT_NOTE, PF_R, 0x400, 0x400, size)->p_align = 8;
	elf_builder_finish(&b);
	assert_int_equal(elf_image_open_memory(b.bytes, b.size, &image), 0);
	assert_int_equal(elf_image_build_id(image, id), sizeof(build_id));
	elf_image_free(image);

	/* one that is too long, one that leaves its segment: no id, and no harm */
	for (int longer = 0; longer < 2; longer++) {
		elf_builder_init(&b);
		size = elf_builder_put_build_id(&b, 0x400, other, longer ? sizeof(other) : 20);
		elf_builder_add(&b, PT_NOTE, PF_R, 0x400, 0x400, longer ? size : size - 1);
		elf_builder_finish(&b);
		assert_int_equal(elf_image_open_memory(b.bytes, b.size, &image), 0);
		assert_int_equal(elf_image_build_id(image, id), 0);
		elf_image_free(image);
	}
}

static size_t
memory_size_of(const void *start)
{
	char line[512];
	unsigned long from, to, size = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == (uintptr_t)start)
			size = to - from;
	if (maps)
		fclose(maps);
	return size;
}

static void
test_vdso(void **state)
{
	const void *vdso = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_image *image;
	uint64_t address, size;

	(void)state;
	assert_non_null(vdso);
	assert_int_equal(elf_image_open_memory(vdso, memory_size_of(vdso), &image), 0);
	assert_int_equal(elf_image_build_id(image, id), 20);
	assert_true(elf_image_eh_frame_hdr(image, &address, &size));
	assert_true(elf_image_address_of_offset(image, 0, &address));
	elf_image_free(image);
}

/* Any bytes may change: whatever opens must stay within its bounds (the sanitizers watch). */
static void
test_mutated_headers(void **state)
{
	static struct elf_builder b;
	struct elf_image *image;
	uint64_t random = 42, address, size;
	uint8_t id[ELF_BUILD_ID_MAX], bytes[64];
	unsigned opened = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		build_usual(&b);
		for (int k = 0; k < 1 + i % 5; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			b.bytes[(random >> 33) % 0x900] = (uint8_t)(random >> 25);
		}
		if (elf_image_open_memory(b.bytes, b.size - random % 16, &image))
			continue;
		opened++;
		assert_true(elf_image_build_id(image, id) <= ELF_BUILD_ID_MAX);
		(void)elf_image_section(image, ".eh_frame", &address, &size);
		if (elf_image_unloaded_section(image, ".eh_frame", &address, &size))
			(void)elf_image_read_address(image, address + random % 0x200, bytes, sizeof(bytes));
		(void)elf_image_address_of_offset(image, random >> 40, &address);
		(void)elf_image_read_address(image, random >> 48, bytes, sizeof(bytes));
		elf_image_free(image);
	}
	assert_true(opened > 1000 && opened < 50000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual),           cmocka_unit_test(test_address_of_offset),
		cmocka_unit_test(test_reads),           cmocka_unit_test(test_refused),
		cmocka_unit_test(test_notes),           cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_mutated_headers), cmocka_unit_test(test_unloaded_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
