/* What is written is read again; anything else is no identity. */

#include "worker/base/file_identity.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void
test_there_and_back(void **state)
{
	static const struct file_identity cases[] = {
		{0, 0}, {4096, 1700000000123456789}, {UINT64_MAX, INT64_MAX}, {1, INT64_MIN}, {2, -1}};
	static const char *const paths[] = {"/a", "/a b/c=d ddprof.file.1=size:1", "/"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
			char text[128];
			struct file_identity read;
			const char *path;
			int length = file_identity_format(&cases[i], i, paths[j], text, sizeof(text));

			assert_int_equal(length, strlen(text));
			assert_true(file_identity_parse(text, &read, &path));
			assert_true(file_identity_equal(&read, &cases[i]));
			assert_string_equal(path, paths[j]);
			assert_int_equal(file_identity_format(&cases[i], i, paths[j], text, (size_t)length),
					 -ENOSPC);
		}
}

static void
test_others(void **state)
{
	static const char *const texts[] = {"",
					    "ddprof.samples=1",
					    "ddprof.file.1=",
					    "ddprof.file.1=size:1 modified:2",
					    "ddprof.file.1=size:1 modified:2 ",
					    "ddprof.file.1=size:1 modified:2 relative",
					    "ddprof.file.1=size:1 modified: /a",
					    "ddprof.file.1=size:x modified:2 /a",
					    "ddprof.file.=size:1 modified:2 /a",
					    "ddprof.module.1=root:1 /a"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct file_identity identity = {7, 8};
		const char *path = "kept";

		assert_false(file_identity_parse(texts[i], &identity, &path));
		assert_int_equal(identity.size_bytes, 7);
		assert_string_equal(path, "kept");
	}
}

static void
test_changes(void **state)
{
	OWNED_FD fd = file_with("text");
	struct file_identity before, after;
	struct timespec times[2];
	struct stat status;

	(void)state;
	assert_int_equal(file_identity_of(-1, &before), -EBADF);
	assert_int_equal(file_identity_of(fd, &before), 0);
	assert_int_equal(before.size_bytes, 4);
	assert_int_equal(file_identity_of(fd, &after), 0);
	assert_true(file_identity_equal(&before, &after));
	assert_int_equal(fstat(fd, &status), 0);
	times[0] = times[1] = status.st_mtim;
	times[1].tv_nsec ^= 1; /* the same length, a nanosecond apart */
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(file_identity_of(fd, &after), 0);
	assert_false(file_identity_equal(&before, &after));
	times[1] = times[0];
	assert_int_equal(pwrite(fd, "s", 1, 4), 1);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(file_identity_of(fd, &after), 0);
	assert_false(file_identity_equal(&before, &after));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
					   cmocka_unit_test(test_others), cmocka_unit_test(test_changes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
