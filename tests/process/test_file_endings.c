/* Which files lost most stacks: exact counts, the worst first, never more than asked for. */

#include "worker/process/file_endings.h"

#include "ipc/endings.h"
#include "worker/process/mapped_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t
add_file(struct mapped_files *files, const char *path)
{
	struct mmap_record record = {.path = path};

	return mapped_files_add(files, &record);
}

static void
count(struct file_endings *endings, uint32_t file, enum unwind_end end, unsigned times)
{
	while (times-- > 0)
		file_endings_add(endings, file, end);
}

static void
test_worst(void **state)
{
	struct mapped_files *files = mapped_files_new(NULL, NULL);
	struct file_endings endings = {0};
	struct module_endings worst[ENDING_MODULES];
	uint32_t good = add_file(files, "/good"), cut = add_file(files, "/cut");
	uint32_t jit = add_file(files, "//anon"), busy = add_file(files, "/busy");

	(void)state;
	(void)add_file(files, "/never");
	count(&endings, good, END_ROOT, 4);
	count(&endings, good, END_DEPTH, 1);
	count(&endings, busy, END_ROOT, 500);
	count(&endings, cut, END_ROOT, 1);
	count(&endings, cut, END_COPY_SHORT, 3);
	count(&endings, jit, END_BAD_CFI, 2);
	count(&endings, 0, END_UNMAPPED, 1);
	file_endings_worst(&endings, files, worst, ENDING_MODULES);
	assert_string_equal(worst[0].name, "/cut");
	assert_int_equal(worst[0].ending[END_ROOT], 1);
	assert_int_equal(worst[0].ending[END_COPY_SHORT], 3);
	assert_string_equal(worst[1].name, "[anonymous]");
	assert_string_equal(worst[2].name, "[unknown mapping]");
	assert_string_equal(worst[3].name, "/busy");
	assert_string_equal(worst[4].name, "/good");
	assert_int_equal(worst[4].ending[END_DEPTH], 1);
	assert_string_equal(worst[5].name, "");

	file_endings_clear(&endings);
	file_endings_worst(&endings, files, worst, ENDING_MODULES);
	assert_string_equal(worst[0].name, "");
	mapped_files_free(files);
}

static void
test_many(void **state)
{
	struct mapped_files *files = mapped_files_new(NULL, NULL);
	struct file_endings endings = {0};
	struct module_endings worst[ENDING_MODULES + 1];
	char path[512];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		/* a long path keeps its end */
		snprintf(path, sizeof(path), "/%0300u", i);
		count(&endings, add_file(files, path), END_BAD_CFI, 1 + i * 7 % 300);
	}
	file_endings_add(&endings, UINT32_MAX, END_ROOT); /* no such file */
	memset(worst, 'x', sizeof(worst));
	file_endings_worst(&endings, files, worst, ENDING_MODULES);
	for (unsigned i = 0; i < ENDING_MODULES; i++) {
		assert_int_equal(worst[i].ending[END_BAD_CFI], 300 - i);
		assert_int_equal(strlen(worst[i].name), MODULE_NAME_MAX - 1);
	}
	assert_string_equal(worst[0].name + MODULE_NAME_MAX - 4, "257"); /* 257 * 7 % 300 = 299 */
	assert_int_equal(worst[ENDING_MODULES].name[0], 'x');
	file_endings_clear(&endings);
	mapped_files_free(files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_worst), cmocka_unit_test(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
