/* The block cache gives a file's bytes: across blocks, after eviction, up to its end and not beyond. */

#include "worker/elf/block_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_SIZE (12u << 20) /* three times the cache */

static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 56);
}

static int
open_file(size_t size)
{
	int fd = memfd_create("blocks", MFD_CLOEXEC);
	uint8_t *bytes = malloc(size);

	assert_true(fd >= 0);
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(i);
	assert_int_equal(write(fd, bytes, size), size);
	free(bytes);
	return fd;
}

static void
test_random_reads(void **state)
{
	int fd = open_file(FILE_SIZE);
	uint64_t file = block_cache_new_file(), random = 1;
	uint8_t bytes[9000];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t offset, size;

		random = random * 6364136223846793005u + 1442695040888963407u;
		size = random >> 40 & (i % 16 ? 63 : 8191);
		offset = (random >> 20) % (FILE_SIZE - size);
		assert_int_equal(block_cache_read(fd, file, offset, bytes, size), 0);
		for (uint64_t k = 0; k < size; k++)
			assert_int_equal(bytes[k], byte_at(offset + k));
	}
	close(fd);
}

static void
test_ends(void **state)
{
	static const struct {
		uint64_t offset;
		size_t size;
		int result;
	} reads[] = {
		{0, 5000, 0},
		{4999, 1, 0},
		{5000, 0, 0},
		{0, 5001, -ERANGE},
		{4990, 11, -ERANGE},
		{5000, 1, -ERANGE},
		{8192, 1, -ERANGE},
		{1 << 30, 1, -ERANGE},
		{INT64_MAX, 1, -ERANGE},
		{UINT64_MAX, 1, -ERANGE},
		{UINT64_MAX - 3, 8, -ERANGE},
		{1, SIZE_MAX, -ERANGE},
	};
	int fd = open_file(5000);
	uint64_t file = block_cache_new_file();
	uint8_t bytes[6000];

	(void)state;
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		assert_int_equal(block_cache_read(fd, file, reads[i].offset, bytes, reads[i].size),
				 reads[i].result);
	close(fd);
}

/* Two files with equal offsets must never see each other's blocks. */
static void
test_files_are_apart(void **state)
{
	int fd = open_file(8192), other = open_file(8192);
	uint64_t file = block_cache_new_file(), other_file = block_cache_new_file();
	uint8_t byte;

	(void)state;
	assert_int_not_equal(file, other_file);
	assert_int_equal(pwrite(other, "x", 1, 100), 1);
	assert_int_equal(block_cache_read(fd, file, 100, &byte, 1), 0);
	assert_int_equal(byte, byte_at(100));
	assert_int_equal(block_cache_read(other, other_file, 100, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	close(fd);
	close(other);
}

static void
test_shrinking_file(void **state)
{
	int fd = open_file(5 * 4096);
	uint64_t file = block_cache_new_file();
	uint8_t bytes[8];

	(void)state;
	assert_int_equal(block_cache_read(fd, file, 0, bytes, 8), 0);
	assert_int_equal(ftruncate(fd, 4100), 0);
	assert_int_equal(block_cache_read(fd, file, 4096, bytes, 4), 0);
	assert_int_equal(block_cache_read(fd, file, 4096, bytes, 8), -ERANGE);
	assert_int_equal(block_cache_read(fd, file, 3 * 4096, bytes, 1), -ERANGE);
	close(fd);
}

static void
test_read_error(void **state)
{
	uint64_t file = block_cache_new_file();
	uint8_t bytes[8];
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(block_cache_read(-1, file, 0, bytes, 8), -EBADF);
	assert_int_equal(block_cache_read(fd, file, 0, bytes, 8), -EISDIR);
	close(fd);
	fd = open_file(100); /* the failures left nothing behind */
	assert_int_equal(block_cache_read(fd, file, 0, bytes, 8), 0);
	assert_int_equal(bytes[7], byte_at(7));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_reads),    cmocka_unit_test(test_ends),
		cmocka_unit_test(test_files_are_apart), cmocka_unit_test(test_shrinking_file),
		cmocka_unit_test(test_read_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
