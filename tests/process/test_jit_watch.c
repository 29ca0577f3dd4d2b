/* Who is asked for, when, and when no more. */

#include "worker/process/jit_watch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((int64_t)1000000000)

static struct jit_watch watch;
static struct {
	uint32_t pid[1000];
	size_t count;
	int answer;
} asked;

static int
hold(void *context, uint32_t pid)
{
	assert_ptr_equal(context, &asked);
	asked.pid[asked.count++] = pid;
	return asked.answer;
}

static size_t
ask(int64_t now_ns)
{
	asked.count = 0;
	jit_watch_ask(&watch, now_ns, hold, &asked);
	return asked.count;
}

static int
start(void **state)
{
	(void)state;
	memset(&watch, 0, sizeof(watch));
	memset(&asked, 0, sizeof(asked));
	return 0;
}

static void
test_until_it_is_held(void **state)
{
	(void)state;
	asked.answer = -ENOENT;
	jit_watch_add(&watch, 7);
	jit_watch_add(&watch, 7);
	assert_int_equal(ask(SECOND), 1);
	assert_int_equal(asked.pid[0], 7);
	assert_int_equal(ask(SECOND), 0);
	asked.answer = 0;
	assert_int_equal(ask(2 * SECOND), 1);
	assert_int_equal(ask(1000 * SECOND), 0);
	jit_watch_add(&watch, 7); /* more memory: the same map */
	assert_int_equal(ask(2000 * SECOND), 0);
}

/* Soon at first, later every five seconds; never in a hurry. */
static void
test_ever_less_often(void **state)
{
	size_t count = 0;

	(void)state;
	asked.answer = -ENOENT;
	jit_watch_add(&watch, 7);
	for (int64_t now = 0; now < 60 * SECOND; now += SECOND / 100)
		count += ask(now);
	assert_in_range(count, 15, 25);
	for (int64_t now = 60 * SECOND; now < 120 * SECOND; now += SECOND / 100)
		count += ask(now);
	assert_in_range(count, 26, 38);
}

static void
test_end(void **state)
{
	(void)state;
	asked.answer = -ENOENT;
	jit_watch_add(&watch, 7); /* it lived between two looks */
	jit_watch_end(&watch, 7);
	assert_int_equal(ask(0), 1);
	assert_int_equal(ask(1000 * SECOND), 0);
	jit_watch_add(&watch, 7);
	assert_int_equal(ask(0), 1);
	jit_watch_end(&watch, 7);
	assert_int_equal(ask(1), 1); /* now or never */
	jit_watch_add(&watch, 8);
	asked.answer = 0;
	assert_int_equal(ask(0), 1);
	jit_watch_end(&watch, 8);
	assert_int_equal(ask(0), 0); /* its map is held already */
	jit_watch_end(&watch, 9);    /* nobody */
	assert_int_equal(ask(0), 0);
	assert_int_equal(watch.count, 0);
}

/* exec: another program with this PID, perhaps another user's, with another map. */
static void
test_again(void **state)
{
	(void)state;
	jit_watch_add(&watch, 7);
	assert_int_equal(ask(0), 1);
	jit_watch_end(&watch, 7);
	jit_watch_add(&watch, 7);
	assert_int_equal(ask(0), 1);
	assert_int_equal(ask(1000 * SECOND), 0);
	assert_int_equal(watch.count, 1);
}

static void
test_bounded(void **state)
{
	(void)state;
	asked.answer = -ENOENT;
	for (uint32_t pid = 1; pid <= 10 * JIT_WATCH_MAX; pid++)
		jit_watch_add(&watch, pid);
	assert_int_equal(ask(0), JIT_WATCH_MAX);
	assert_int_equal(asked.pid[0], 9 * JIT_WATCH_MAX + 1);
	assert_int_equal(asked.pid[JIT_WATCH_MAX - 1], 10 * JIT_WATCH_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_until_it_is_held, start),
		cmocka_unit_test_setup(test_ever_less_often, start),
		cmocka_unit_test_setup(test_end, start),
		cmocka_unit_test_setup(test_again, start),
		cmocka_unit_test_setup(test_bounded, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
