/* One mapping for each process, as wide as what was seen of it. */

#include "worker/collect/jit_spaces.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_spaces(void **state)
{
	static const struct {
		uint32_t pid, number;
		uint64_t address, start, limit;
	} puts[] = {
		{7, 0, 0x5000, 0x5000, 0x5001},           {8, 1, 0x5000, 0x5000, 0x5001},
		{7, 0, 0x6000, 0x5000, 0x6001},           {7, 0, 0x4000, 0x4000, 0x6001},
		{7, 0, 0x5555, 0x4000, 0x6001},           {8, 1, 0x5000, 0x5000, 0x5001},
		{0, 2, INT64_MAX, INT64_MAX, 1ull << 63},
	};
	struct jit_spaces spaces;
	uint32_t number;

	(void)state;
	jit_spaces_init(&spaces);
	assert_null(jit_spaces_get(&spaces, 0));
	for (size_t i = 0; i < sizeof(puts) / sizeof(puts[0]); i++) {
		assert_int_equal(jit_spaces_put(&spaces, puts[i].pid, puts[i].address, &number), 0);
		assert_int_equal(number, puts[i].number);
		const struct jit_space *space = jit_spaces_get(&spaces, number);
		assert_int_equal(space->pid, puts[i].pid);
		assert_int_equal(space->start, puts[i].start);
		assert_int_equal(space->limit, puts[i].limit);
	}
	assert_string_equal(jit_spaces_get(&spaces, 1)->name, "[jit:8]");
	assert_int_equal(jit_spaces_put(&spaces, 7, 1ull << 63, &number), -EINVAL);
	assert_null(jit_spaces_get(&spaces, 3));
	jit_spaces_clear(&spaces);
	assert_null(jit_spaces_get(&spaces, 0));
	assert_int_equal(spaces.budget.used, 0);
	assert_int_equal(jit_spaces_put(&spaces, 8, 1, &number), 0);
	assert_int_equal(number, 0);
	jit_spaces_clear(&spaces);
}

static void
test_bounded(void **state)
{
	struct jit_spaces spaces;
	uint32_t number, pid = 0;

	(void)state;
	jit_spaces_init(&spaces);
	while (pid < 10000000 && jit_spaces_put(&spaces, pid, 1, &number) == 0)
		pid++;
	assert_in_range(pid, 10000, 100000);
	assert_in_range(spaces.budget.used, 1, JIT_SPACES_BYTES_MAX);
	assert_int_equal(jit_spaces_put(&spaces, pid, 1, &number), -ENOSPC);
	assert_int_equal(jit_spaces_put(&spaces, pid - 1, 1, &number), 0);
	jit_spaces_clear(&spaces);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_spaces), cmocka_unit_test(test_bounded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
