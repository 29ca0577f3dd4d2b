/* Debug files that were fetched are found again until room is needed, and missing ones are not asked for
 * twice. */

#include "worker/supervisor/fetched_files.h"

#include "tests/support/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct fetched_files *files;
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	files = fetched_files_new();
	return files ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	fetched_files_free(files);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static int
put(const char *build_id, uint64_t size)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	fetched_files_put(files, build_id, fd, size);
	return fd;
}

static void
test_found_again(void **state)
{
	(void)state;
	assert_int_equal(fetched_files_find(files, "aa01", 0), -EAGAIN);
	int fd = put("aa01", 10);
	assert_int_equal(fetched_files_find(files, "aa01", 0), fd);
	assert_int_equal(fetched_files_find(files, "aa02", 0), -EAGAIN);
	fd = put("aa01", 20); /* once more: the old one is closed */
	assert_int_equal(fetched_files_find(files, "aa01", 0), fd);
}

static void
test_missing_for_a_while(void **state)
{
	char build_id[16];

	(void)state;
	fetched_files_put_missing(files, "bb01", 1000);
	assert_int_equal(fetched_files_find(files, "bb01", 999), -ENOENT);
	assert_int_equal(fetched_files_find(files, "bb01", 1000), -EAGAIN);
	fetched_files_put_missing(files, "bb01", 2000); /* the same entry */
	assert_int_equal(fetched_files_find(files, "bb01", 1500), -ENOENT);
	for (int i = 0; i < FETCHED_MISSING_MAX - 1; i++) {
		snprintf(build_id, sizeof(build_id), "cc%04x", i);
		fetched_files_put_missing(files, build_id, 5000);
	}
	assert_int_equal(fetched_files_find(files, "bb01", 1500), -ENOENT);
	fetched_files_put_missing(files, "dd01", 5000); /* the oldest makes room */
	assert_int_equal(fetched_files_find(files, "bb01", 1500), -EAGAIN);
	assert_int_equal(fetched_files_find(files, "cc0000", 1500), -ENOENT);
}

static void
test_bytes_are_bounded(void **state)
{
	(void)state;
	put("01", FETCHED_BYTES_MAX / 2);
	put("02", FETCHED_BYTES_MAX / 2);
	assert_true(fetched_files_find(files, "01", 0) >= 0); /* used: the other one is older now */
	put("03", 1);
	assert_int_equal(fetched_files_find(files, "02", 0), -EAGAIN);
	assert_true(fetched_files_find(files, "01", 0) >= 0);
	put("04", FETCHED_BYTES_MAX);
	assert_int_equal(fetched_files_find(files, "01", 0), -EAGAIN);
	assert_int_equal(fetched_files_find(files, "03", 0), -EAGAIN);
	assert_true(fetched_files_find(files, "04", 0) >= 0);
}

static void
test_number_is_bounded(void **state)
{
	char build_id[16];

	(void)state;
	for (int i = 0; i <= FETCHED_FILES_MAX; i++) {
		snprintf(build_id, sizeof(build_id), "%04x", i);
		put(build_id, 1);
	}
	assert_int_equal(fetched_files_find(files, "0000", 0), -EAGAIN);
	assert_true(fetched_files_find(files, "0001", 0) >= 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_again, start, finish),
		cmocka_unit_test_setup_teardown(test_missing_for_a_while, start, finish),
		cmocka_unit_test_setup_teardown(test_bytes_are_bounded, start, finish),
		cmocka_unit_test_setup_teardown(test_number_is_bounded, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
