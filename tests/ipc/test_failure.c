/* Whatever number arrives, there is a sentence for it; every failure of ours has its own, and a fix. */

#include "ipc/failure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
test_every_failure_is_explained(void **state)
{
	(void)state;
	for (unsigned i = FAILURE_NONE + 1; i < FAILURE_COUNT; i++) {
		assert_true(strlen(failure_reason(i)) > 10);
		assert_true(strlen(failure_fix(i)) > 10);
		assert_string_not_equal(failure_reason(i), failure_reason(FAILURE_COUNT));
		assert_null(strchr(failure_reason(i), '\n'));
		assert_null(strchr(failure_fix(i), '\n'));
		for (unsigned other = 0; other < i; other++)
			assert_string_not_equal(failure_reason(i), failure_reason(other));
		assert_true(strlen(failure_word(i)) > 3);
		assert_null(strpbrk(failure_word(i), " \"=\n"));
	}
	assert_string_equal(failure_reason(FAILURE_NONE), "ready");
}

static void
test_unknown_numbers(void **state)
{
	static const unsigned numbers[] = {FAILURE_COUNT, FAILURE_COUNT + 1, INT32_MAX, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_string_equal(failure_word(numbers[i]), "unknown");
		assert_string_equal(failure_reason(numbers[i]), "unknown failure");
		assert_string_equal(failure_fix(numbers[i]), "report this");
	}
}

static void
test_numbers_are_said_in_their_unit(void **state)
{
	static const struct {
		enum failure failure;
		int number;
		const char *said;
	} cases[] = {
		{FAILURE_TOO_LITTLE_MEMORY, ENOMEM, "memory: Cannot allocate memory; raise"},
		{FAILURE_SETUP, 0, "profiler; look"},
		{FAILURE_POLICY_LINE, 12, "(line 12); "},
		{FAILURE_POLICY_FREQUENCY, 250, "(at most 250 Hz); "},
		{FAILURE_POLICY_STACK, 4096, "(at most 4096 bytes); "},
		{FAILURE_COUNT, 0, "unknown failure; report this"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[640];

		failure_explain(text, sizeof(text), cases[i].failure, cases[i].number);
		assert_non_null(strstr(text, cases[i].said));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_failure_is_explained),
		cmocka_unit_test(test_unknown_numbers),
		cmocka_unit_test(test_numbers_are_said_in_their_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
