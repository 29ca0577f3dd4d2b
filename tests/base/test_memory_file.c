/* The whole file or an error: not a part of it. */

#include "worker/base/memory_file.h"

#include "tests/support/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static void
test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 4096, 3000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *written = malloc(sizes[i] + 1), *read = NULL;
		size_t size = 99;
		int fd = file_with("");

		assert_non_null(written);
		for (size_t k = 0; k < sizes[i]; k++)
			written[k] = (uint8_t)(k * 7 + k / 256);
		assert_int_equal(memory_file_write(fd, written, sizes[i]), 0);
		/* reads from the start, wherever the position is, and does not move it */
		assert_int_equal(memory_file_read(fd, &read, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_memory_equal(read, written, size);
		free(read);
		free(written);
		close(fd);
	}
}

static void
test_size_limit(void **state)
{
	uint8_t *bytes = NULL;
	size_t size = 99;
	int fd = file_with("");

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)MEMORY_FILE_MAX + 1), 0); /* a hole: no memory behind it */
	assert_int_equal(memory_file_read(fd, &bytes, &size), -EFBIG);
	assert_null(bytes);
	assert_int_equal(size, 99);
	close(fd);
}

static void
test_bad_descriptors(void **state)
{
	uint8_t *bytes = NULL;
	size_t size = 99;
	int pipes[2], folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC),
	    full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(memory_file_read(-1, &bytes, &size), -EBADF);
	assert_int_equal(memory_file_read(pipes[0], &bytes, &size), -ESPIPE);
	assert_true(memory_file_read(folder, &bytes, &size) < 0);
	assert_null(bytes);
	assert_int_equal(size, 99);
	assert_int_equal(memory_file_write(-1, (const uint8_t *)"x", 1), -EBADF);
	assert_int_equal(memory_file_write(full, (const uint8_t *)"x", 1), -ENOSPC);
	assert_int_equal(memory_file_write(-1, (const uint8_t *)"", 0), 0); /* nothing to write */
	close(pipes[0]);
	close(pipes[1]);
	close(folder);
	close(write_only);
	close(full);
}

/* A file that cannot grow takes a part and then no more. */
static void
test_short_write(void **state)
{
	struct rlimit before, small;
	int fd = file_with("");

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 5;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int result = memory_file_write(fd, (const uint8_t *)"0123456789", 10);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(result, -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 5);
	close(fd);
}

static void *
read_slowly(void *pipe_end)
{
	static uint8_t bytes[1 << 20];
	size_t got = 0;

	for (;;) {
		ssize_t n = read(*(int *)pipe_end, bytes + got, 1000);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got == sizeof(bytes) ? bytes : NULL;
}

/* A pipe takes what fits: many short writes make one whole. */
static void
test_write_goes_on(void **state)
{
	static uint8_t bytes[1 << 20];
	pthread_t reader;
	int pipes[2];
	void *received;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 13 + i / 1000);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &pipes[0]), 0);
	assert_int_equal(memory_file_write(pipes[1], bytes, sizeof(bytes)), 0);
	close(pipes[1]);
	assert_int_equal(pthread_join(reader, &received), 0);
	assert_non_null(received);
	assert_memory_equal(received, bytes, sizeof(bytes));
	close(pipes[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_bad_descriptors), cmocka_unit_test(test_short_write),
		cmocka_unit_test(test_write_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
