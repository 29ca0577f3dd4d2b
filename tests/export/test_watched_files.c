/* A file is another one, or has other bytes, or neither. */

#include "worker/export/watched_files.h"

#include "tests/support/folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_folder folder;
static char path[200];
static struct watched_file for_replacement, for_change;

static int
start(void **state)
{
	(void)state;
	test_folder_make(&folder);
	test_folder_put(&folder, "file", "first");
	snprintf(path, sizeof(path), "%s/file", folder.path);
	for_replacement = watched_file_now(path, WATCHED_FOR_REPLACEMENT);
	for_change = watched_file_now(path, WATCHED_FOR_CHANGE);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return 0;
}

static void
expect(bool is_replaced, bool is_changed)
{
	assert_int_equal(watched_file_is_outdated(&for_replacement), is_replaced);
	assert_int_equal(watched_file_is_outdated(&for_change), is_changed);
}

static void
write_in_place(const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
test_changes(void **state)
{
	struct stat before;
	struct timespec times[2];

	(void)state;
	expect(false, false);
	assert_int_equal(stat(path, &before), 0);
	write_in_place("a longer one");
	times[0] = before.st_atim;
	times[1] = before.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	expect(false, true); /* by its size alone */
	write_in_place("fresh");
	times[1].tv_sec++;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	expect(false, true); /* by its time alone */
}

static void
test_replaced(void **state)
{
	(void)state;
	test_folder_put(&folder, "other", "first");
	assert_int_equal(renameat(folder.fd, "other", folder.fd, "file"), 0);
	expect(true, true);
}

static void
test_gone(void **state)
{
	(void)state;
	assert_int_equal(unlink(path), 0);
	expect(true, true);
	struct watched_file none = watched_file_now(path, WATCHED_FOR_CHANGE);
	assert_false(watched_file_is_outdated(&none));
	test_folder_put(&folder, "file", "first");
	assert_true(watched_file_is_outdated(&none));
}

static void
test_link(void **state)
{
	char link[220];

	(void)state;
	snprintf(link, sizeof(link), "%s/link", folder.path);
	assert_int_equal(symlink(path, link), 0);
	for_replacement = watched_file_now(link, WATCHED_FOR_REPLACEMENT);
	expect(false, false);
	test_replaced(state);
}

static void
test_long_path(void **state)
{
	char name[2 * WATCHED_PATH_MAX];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for_change = watched_file_now(name, WATCHED_FOR_CHANGE);
	assert_false(watched_file_is_outdated(&for_change));
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_changes), FILE_TEST(test_replaced),  FILE_TEST(test_gone),
		FILE_TEST(test_link),    FILE_TEST(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
