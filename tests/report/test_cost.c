/* What profiles say of their own cost, added up; and what does not count. */

#include "worker/report/cost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COMMENTS_MAX 8

static void
add(struct profile_cost *cost, const char *const comments[COMMENTS_MAX])
{
	Perftools__Profiles__Profile profile;
	char *strings[COMMENTS_MAX + 1] = {(char *)(uintptr_t) ""};
	int64_t numbers[COMMENTS_MAX];
	size_t count = 0;

	perftools__profiles__profile__init(&profile);
	for (; count < COMMENTS_MAX && comments[count]; count++) {
		strings[1 + count] = (char *)(uintptr_t)comments[count];
		numbers[count] = (int64_t)(1 + count);
	}
	profile.string_table = strings;
	profile.n_string_table = 1 + count;
	profile.comment = numbers;
	profile.n_comment = count;
	profile_cost_add(cost, &profile);
}

static void
expect(const struct profile_cost *cost, const char *wanted)
{
	char text[PROFILE_COST_TEXT];

	profile_cost_format(text, cost);
	assert_string_equal(text, wanted);
}

static void
test_sums(void **state)
{
	static const char *const one[COMMENTS_MAX] = {
		"ddprof.profiler.cpu_ns=30000000", "ddprof.profiler.period_ns=1000000000",
		"ddprof.profiler.peak_memory=2097152", "ddprof.overhead.target_estimate_ppm=1000",
		"ddprof.kernel_count_ns=1000000000"};
	static const char *const two[COMMENTS_MAX] = {
		"ddprof.profiler.cpu_ns=10000000", "ddprof.profiler.period_ns=1000000000",
		"ddprof.profiler.peak_memory=1048576", "ddprof.overhead.target_estimate_ppm=4000",
		"ddprof.kernel_count_ns=2000000000"};
	struct profile_cost cost = {0};

	(void)state;
	expect(&cost, "");
	add(&cost, one);
	expect(&cost, "30.0ms of CPU (3.00%), 2.00MiB; target slowed by about 0.10%");
	add(&cost, two); /* by CPU time of the target: two thirds of it at 0.4 % */
	expect(&cost, "40.0ms of CPU (2.00%), 2.00MiB; target slowed by about 0.30%");
}

static void
test_not_said(void **state)
{
	static const char *const cases[][COMMENTS_MAX] = {
		{NULL},
		{"ddprof.profiler.cpu_ns=5"}, /* in which time? */
		{"profiler.period_ns=7", "ddprof.profiler.period_ns",
		 "ddprof.profiler.period_ns=", "ddprof.profiler.period_ns=-5", "ddprof.profiler.period_ns=5x",
		 "ddprof.profiler.period_ns= 5", "ddprof.profiler.period_ns=99999999999999999999", "ddprof."},
	};
	struct profile_cost cost = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		add(&cost, cases[i]);
	expect(&cost, "");
}

static void
test_limits(void **state)
{
	static const char *const large[COMMENTS_MAX] = {
		"ddprof.profiler.cpu_ns=9223372036854775807", "ddprof.profiler.period_ns=9223372036854775807",
		"ddprof.profiler.peak_memory=9223372036854775807",
		"ddprof.overhead.target_estimate_ppm=9223372036854775807",
		"ddprof.kernel_count_ns=9223372036854775807"};
	struct profile_cost cost = {0};
	char text[PROFILE_COST_TEXT];

	(void)state;
	for (int i = 0; i < 3; i++)
		add(&cost, large);
	profile_cost_format(text, &cost);
	assert_non_null(strstr(text, "(100%)"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_not_said),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
