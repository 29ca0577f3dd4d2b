/* When a role that died is started again: soon, less and less often, and for the exporter for ever. */

#include "worker/supervisor/role_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct role_process
running(enum role role)
{
	return (struct role_process){.role = role, .pid = 1, .control = -1, .broker = -1, .is_ready = true};
}

static void
dies(struct role_process *process, int64_t lived_ms, int64_t *now_ms)
{
	process->started_ms = *now_ms = process->next_start_ms > *now_ms ? process->next_start_ms : *now_ms;
	process->is_ready = true;
	*now_ms += lived_ms;
	role_process_buried(process, *now_ms);
	assert_int_equal(process->pid, 0);
	assert_false(process->is_ready);
}

static void
test_others_are_given_up(void **state)
{
	static const enum role roles[] = {ROLE_UNWINDER, ROLE_SYMBOLIZER};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct role_process process = running(roles[i]);
		int64_t now = 0;

		dies(&process, 10, &now);
		assert_int_equal(process.next_start_ms, now); /* a ring waits */
		for (unsigned deaths = 2; deaths <= ROLE_MAX_DEATHS; deaths++) {
			assert_false(process.is_given_up);
			dies(&process, 100000, &now);
			assert_true(process.next_start_ms > now);
		}
		assert_true(process.is_given_up);
	}
}

static void
test_exporter_is_never_given_up(void **state)
{
	struct role_process process = running(ROLE_EXPORTER);
	int64_t now = 0, before = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		dies(&process, 10, &now);
		assert_false(process.is_given_up);
		int64_t wait = process.next_start_ms - now;
		assert_true(wait >= before && wait <= 30000);
		before = wait;
	}
	assert_int_equal(before, 30000);
	dies(&process, 60000, &now); /* it was well: what ended it is another matter */
	assert_int_equal(process.deaths, 1);
	assert_int_equal(process.next_start_ms, now);
}

/* Asks to begin anew: at once, but not in a loop; no death. */
static void
test_leaving(void **state)
{
	struct role_process process = running(ROLE_EXPORTER);

	(void)state;
	process.started_ms = 5000;
	role_process_left(&process, 5010);
	assert_int_equal(process.pid, 0);
	assert_int_equal(process.deaths, 0);
	assert_int_equal(process.next_start_ms, 6000);
	process = running(ROLE_EXPORTER);
	process.started_ms = 5000;
	role_process_left(&process, 60000);
	assert_int_equal(process.next_start_ms, 60000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_are_given_up),
		cmocka_unit_test(test_exporter_is_never_given_up),
		cmocka_unit_test(test_leaving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
