/* Sums over the roles, and the estimate of what sampling costs the target. */

#include "ipc/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
test_total(void **state)
{
	struct self_report report = {0};

	(void)state;
	for (uint64_t i = 0; i < SELF_ROLES; i++)
		report.role[i] = (struct self_role_report){
			.cpu_ns = 1 << i,
			.restarts = 10 + i,
			.rss = 100 << i,
			.anonymous = 1000 << i,
			.peak_rss = 10000 << i,
		};
	const struct self_role_report total = self_report_total(&report);
	assert_int_equal(total.cpu_ns, 15);
	assert_int_equal(total.restarts, 46);
	assert_int_equal(total.rss, 1500);
	assert_int_equal(total.anonymous, 15000);
	assert_int_equal(total.peak_rss, 150000);
	for (int i = 0; i < SELF_ROLES; i++)
		assert_non_null(self_role_names[i]);
}

static void
test_millicores(void **state)
{
	(void)state;
	assert_int_equal(millicores(0, 0), 0);
	assert_int_equal(millicores(5, 0), 0);
	assert_int_equal(millicores(500000000, 1000000000), 500);
	assert_int_equal(millicores(3000000000, 1000000000), 3000);
	assert_true(millicores(UINT64_MAX, UINT64_MAX) == 1000);
	assert_true(millicores(UINT64_MAX, 1) == UINT64_MAX);
}

/* What docs/overhead.md has measured, per sample, within a third. */
static void
test_estimate(void **state)
{
	static const struct {
		struct ledger ledger;
		double measured_us; /* per sample */
	} cases[] = {
		{{.samples = 1000, .stack_bytes = 1000ull * 1024, .frames = 32000, .level = {[1] = 1000}},
		 16.5},
		{{.samples = 1000, .stack_bytes = 1000ull * 8192, .frames = 32000, .level = {[1] = 1000}},
		 18.1},
		{{.samples = 1000, .stack_bytes = 1000ull * 17920, .frames = 32000, .level = {[2] = 1000}},
		 21.1},
		{{.samples = 1000, .stack_bytes = 1000ull * 1024, .frames = 110000, .level = {[0] = 1000}},
		 28.1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double us = (double)overhead_target_ns(&cases[i].ledger) / 1000 / 1000;

		if (us < cases[i].measured_us * 2 / 3 || us > cases[i].measured_us * 4 / 3)
			fail_msg("case %zu: %.1f us, measured %.1f us", i, us, cases[i].measured_us);
	}
}

static void
test_estimate_of_nothing(void **state)
{
	const struct ledger none = {0}, lost = {.lost = 10}, strange = {.level = {[0] = 5}, .frames = 7};

	(void)state;
	assert_int_equal(overhead_target_ns(&none), 0);
	assert_int_equal(overhead_target_ppm(&none), 0);
	assert_true(overhead_target_ns(&lost) > 100000); /* the target was interrupted all the same */
	assert_int_equal(overhead_target_ns(&strange), 0);
}

static void
test_share(void **state)
{
	struct ledger ledger = {.samples = 99, .kernel_count_ns = 1000000000};

	(void)state;
	uint64_t ppm = overhead_target_ppm(&ledger);
	assert_in_range(ppm, 1000, 3000);
	ledger.kernel_count_ns *= 2;
	assert_in_range(overhead_target_ppm(&ledger), ppm / 2 - 1, ppm / 2 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_total),    cmocka_unit_test(test_millicores),
		cmocka_unit_test(test_estimate), cmocka_unit_test(test_estimate_of_nothing),
		cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
