/* What no sample shows is named right: rounding as nothing, short tasks as unsampled, the rest as the
 * kernel's; and all profiles together come to what was counted. */

#include "worker/collect/missing_time.h"

#include <linux/perf_event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS 1000000ull
#define PERIOD (10 * MS)

static struct missing_time missing;
static uint64_t now_ns;

static int
begin(void **state)
{
	(void)state;
	missing_time_init(&missing, PERIOD, /* is_kernel_sampled= */ false);
	missing_time_add_task(&missing, 1);
	missing_time_see_cpu(&missing, 0);
	missing_time_see_cpu(&missing, 1);
	missing_time_see_cpu(&missing, 1);
	missing_time_see_cpu(&missing, UINT32_MAX);
	now_ns = 1000 * MS;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	missing_time_destroy(&missing);
	return 0;
}

static void
follow(uint32_t type, uint32_t tid, uint64_t time_ns)
{
	struct sideband_record record = {.type = type};

	if (type == PERF_RECORD_COMM)
		record.comm.tid = tid;
	else
		record.task.tid = tid;
	missing_time_follow(&missing, &record, time_ns);
}

/* In ms, as everything here. */
static void
expect(struct ledger ledger, uint64_t in_kernel, uint64_t unsampled)
{
	ledger.kernel_count_ns *= MS;
	ledger.cpu_time_ns *= MS;
	missing_time_settle(&missing, &ledger, now_ns);
	assert_int_equal(ledger.in_kernel_ns, in_kernel * MS);
	assert_int_equal(ledger.unsampled_ns, unsampled * MS);
}

static void
test_one_task(void **state)
{
	(void)state;
	assert_int_equal(missing.seen_cpus, 2);
	expect((struct ledger){.kernel_count_ns = 1009, .cpu_time_ns = 1000}, 0, 0);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 1009}, 0, 0);
	/* the average of what is under way is 10 ms */
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 600}, 390, 0);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 600}, 400, 0);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 500, .lost = 20}, 300, 0);
}

/* What is counted before it is sampled does not count twice. */
static void
test_counted_before_sampled(void **state)
{
	(void)state;
	expect((struct ledger){.kernel_count_ns = 300, .cpu_time_ns = 250}, 40, 0);
	expect((struct ledger){.kernel_count_ns = 300, .cpu_time_ns = 330}, 0, 0);
	expect((struct ledger){.kernel_count_ns = 300, .cpu_time_ns = 260}, 10, 0);
}

static void
test_short_tasks(void **state)
{
	(void)state;
	for (uint32_t tid = 2; tid < 102;
	     tid++) { /* each lives 5 ms, and may be in user space all the time */
		follow(PERF_RECORD_FORK, tid, now_ns);
		now_ns += 5 * MS;
		follow(PERF_RECORD_EXIT, tid, now_ns);
	}
	expect((struct ledger){.kernel_count_ns = 480, .cpu_time_ns = 0}, 0, 480);
	expect((struct ledger){.kernel_count_ns = 480, .cpu_time_ns = 380}, 70,
	       30); /* 500, and 10 of task 1 */
	expect((struct ledger){.kernel_count_ns = 480, .cpu_time_ns = 380}, 100, 0);
	assert_int_equal(missing.ended_ns, 500 * MS);
}

/* Those that live long may lose a period on each CPU, half of it on average. */
static void
test_long_tasks(void **state)
{
	(void)state;
	for (uint32_t tid = 2; tid < 12; tid++)
		follow(PERF_RECORD_FORK, tid, now_ns);
	now_ns += 500 * MS;
	for (uint32_t tid = 2; tid < 12; tid++)
		follow(PERF_RECORD_EXIT, tid, now_ns);
	follow(PERF_RECORD_EXIT, 77, now_ns); /* whose beginning was lost */
	expect((struct ledger){.kernel_count_ns = 5000, .cpu_time_ns = 4000}, 880, 120);
}

static void
test_tasks_that_run(void **state)
{
	(void)state;
	follow(PERF_RECORD_FORK, 2, now_ns);
	now_ns += 3 * MS;
	expect((struct ledger){.kernel_count_ns = 100, .cpu_time_ns = 0}, 87, 13);
	follow(PERF_RECORD_FORK, 2, now_ns); /* its number came round again, its end was lost */
	now_ns += 4 * MS;
	expect((struct ledger){.kernel_count_ns = 100, .cpu_time_ns = 0}, 99, 0);
	missing_time_switch(&missing, now_ns);
	expect((struct ledger){.kernel_count_ns = 100, .cpu_time_ns = 0}, 86, 15);
}

/* A journal that was rewritten has names, no beginnings; what ended before belongs to other profiles. */
static void
test_after_a_restart(void **state)
{
	(void)state;
	follow(PERF_RECORD_EXIT, 5, 1);
	for (uint32_t tid = 2; tid < 6; tid++)
		follow(PERF_RECORD_COMM, tid, 0);
	missing_time_forget_ended(&missing);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 300, .restarts = 1}, 0, 700);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 900}, 50, 50);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 900}, 100, 0);
}

/* Then it is in samples, and what is missing can only be of tasks. */
static void
test_kernel_is_sampled(void **state)
{
	(void)state;
	missing.is_kernel_sampled = true;
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 995}, 0, 0);
	expect((struct ledger){.kernel_count_ns = 1000, .cpu_time_ns = 900}, 0, 105);
}

static void
test_limit(void **state)
{
	(void)state;
	for (uint32_t tid = 2; tid < MISSING_TASKS_MAX + 100; tid++)
		follow(PERF_RECORD_FORK, tid, now_ns);
	for (uint32_t tid = 2; tid < MISSING_TASKS_MAX + 100; tid++)
		follow(PERF_RECORD_EXIT, tid, now_ns + 1);
	assert_int_equal(missing.ended_ns, MISSING_TASKS_MAX - 1 + 99 * PERIOD);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_task),          TEST(test_counted_before_sampled),
		TEST(test_short_tasks),       TEST(test_long_tasks),
		TEST(test_tasks_that_run),    TEST(test_after_a_restart),
		TEST(test_kernel_is_sampled), TEST(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
