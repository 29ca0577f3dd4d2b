/* Endings in words, and the bounded table of modules. */

#include "ipc/endings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_text(void **state)
{
	uint64_t none[ENDINGS] = {0}, some[ENDINGS] = {7, 0, 0, 2, 0, 1}, most[ENDINGS];
	char text[ENDINGS_TEXT_MAX];

	(void)state;
	endings_format(none, text);
	assert_string_equal(text, "");
	endings_format(some, text);
	assert_string_equal(text, "root:7 unreadable:2 depth:1");
	assert_int_equal(endings_short_of_root(some), 2);
	memset(most, 0xff, sizeof(most));
	endings_format(most, text);
	assert_string_equal(text, "root:18446744073709551615 copy_short:18446744073709551615 "
				  "unmapped:18446744073709551615 unreadable:18446744073709551615 "
				  "bad_cfi:18446744073709551615 depth:18446744073709551615 "
				  "other_stack:18446744073709551615");
}

static void
add(struct module_endings *table, const char *name, uint64_t root, uint64_t bad)
{
	struct module_endings module = {.ending = {root, bad}};

	snprintf(module.name, sizeof(module.name), "%s", name);
	endings_add_module(table, &module);
}

static void
expect(const struct module_endings *module, const char *name, uint64_t root, uint64_t bad)
{
	assert_string_equal(module->name, name);
	assert_int_equal(module->ending[0], root);
	assert_int_equal(module->ending[1], bad);
}

static void
test_table(void **state)
{
	struct module_endings table[ENDING_MODULES] = {0};
	char name[2] = "a";

	(void)state;
	for (; name[0] < 'a' + ENDING_MODULES; name[0]++)
		add(table, name, 1, (uint64_t)(name[0] == 'c' ? 3 : 10));
	add(table, "b", 5, 5); /* one that is there */
	expect(&table[1], "b", 6, 15);
	add(table, "new", 1000, 3); /* no worse than the least */
	expect(&table[2], "c", 1, 3);
	add(table, "new", 1000, 4);
	expect(&table[2], "new", 1000, 4);
	expect(&table[0], "a", 1, 10);
	expect(&table[ENDING_MODULES - 1], "h", 1, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_table)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
