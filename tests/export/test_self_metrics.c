/* Every number under its name, in its unit. */

#include "worker/export/self_metrics.h"

#include "ipc/endings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct self_metrics metrics;

static const struct self_metric *
find(const char *name)
{
	for (size_t i = 0; i < metrics.count; i++)
		if (strcmp(metrics.metric[i].name, name) == 0)
			return &metrics.metric[i];
	fail_msg("no metric %s", name);
	return NULL;
}

static const struct profile_message head = {
	.start_ns = 1000000000,
	.end_ns = 61000000000,
	.ledger = {.samples = 100,
		   .lost = 3,
		   .records = 150,
		   .kernel_count_ns = 30000000000,
		   .unwind_ns = 500050,
		   .frames = 2050,
		   .stack_bytes = 819200,
		   .ending = {90, 1, 2, 3, 4, 5, 6}},
	.self = {.wall_ns = 50000000000,
		 .ring_bytes = 1000,
		 .role = {{1, 2, 3, 4, 5},
			  {500000000, 20, 30, 40, 50},
			  {100, 200, 300, 400, 500},
			  {1000, 2000, 3000, 4000, 5000}}},
};
static const struct queue_report queue = {.depth = 1,
					  .bytes = 2,
					  .oldest_age_ns = 3999999999,
					  .uploads = 4,
					  .retries = 5,
					  .refusals = 6,
					  .dropped = 7,
					  .sent_bytes = 8,
					  .statsd_failures = 9};

static void
test_values(void **state)
{
	static const struct {
		const char *name;
		int64_t value;
		bool is_comment;
	} wanted[] = {
		/* as ddprof has them */
		{"event.count", 150},
		{"event.lost", 3},
		{"sample.count", 100},
		{"target_process.cpu_usage.millicores", 500, true},
		{"unwind.avg_time_ns", 5000, true},
		{"unwind.frames", 2050},
		{"unwind.errors", 9},
		{"unwind.stack.truncated_input", 1},
		{"unwind.stack.truncated_output", 5},
		{"unwind.stack.incomplete", 16},
		{"unwind.stack.avg_size", 8192, true},
		{"unwind.stack.avg_depth", 20, true},
		{"profiler.rss", 3333, true},
		{"profiler.cpu_usage.millicores", 10, true},
		{"pprof.size", 12345},
		{"profile.duration_ms", 60000},
		/* ours */
		{"profiler.cpu_ns", 500001101, true},
		{"profiler.period_ns", 50000000000, true},
		{"profiler.rings", 1000, true},
		{"profiler.peak_memory", 6555, true},
		{"role.supervisor.cpu_ns", 1, true},
		{"role.unwinder.cpu_ns", 500000000, true},
		{"role.unwinder.cpu_millicores", 10},
		{"role.unwinder.restarts", 20, true},
		{"role.unwinder.rss", 30, true},
		{"role.unwinder.anonymous", 40, true},
		{"role.unwinder.peak_rss", 50, true},
		{"role.symbolizer.rss", 300, true},
		{"role.exporter.peak_rss", 5000, true},
		{"queue.depth", 1, true},
		{"queue.bytes", 2, true},
		{"queue.oldest_age_s", 3, true},
		{"queue.dropped", 7, true},
		{"upload.count", 4, true},
		{"upload.retries", 5, true},
		{"upload.refusals", 6, true},
		{"upload.bytes", 8, true},
		{"statsd.failures", 9, true},
	};

	(void)state;
	self_metrics_make(&head, &queue, 12345, &metrics);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct self_metric *metric = find(wanted[i].name);

		if (metric->value != wanted[i].value || metric->is_comment != wanted[i].is_comment)
			fail_msg("%s is %lld", metric->name, (long long)metric->value);
	}
	assert_int_equal(find("overhead.target_estimate_ppm")->value, overhead_target_ppm(&head.ledger));
	assert_string_equal(ending_names[1], "copy_short"); /* what the metrics of stacks rely on */
	assert_string_equal(ending_names[2], "unmapped");
	assert_string_equal(ending_names[3], "unreadable");
	assert_string_equal(ending_names[4], "bad_cfi");
}

static void
test_names(void **state)
{
	(void)state;
	self_metrics_make(&head, &queue, 12345, &metrics);
	for (size_t i = 0; i < metrics.count; i++) {
		const char *name = metrics.metric[i].name;

		assert_true(strlen(name) < sizeof(metrics.metric[i].name) - 1); /* none was cut */
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_."), strlen(name));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(name, metrics.metric[j].name);
	}
}

/* What was not measured is not said to be 0, nor is an average of nothing. */
static void
test_nothing(void **state)
{
	static const struct profile_message none;
	static const struct queue_report empty;

	(void)state;
	self_metrics_make(&none, &empty, 0, &metrics);
	assert_int_equal(find("unwind.avg_time_ns")->value, -1);
	assert_int_equal(find("unwind.stack.avg_size")->value, -1);
	assert_int_equal(find("unwind.stack.avg_depth")->value, -1);
	assert_int_equal(find("target_process.cpu_usage.millicores")->value, 0);
	for (size_t i = 0; i < metrics.count; i++) {
		assert_null(strstr(metrics.metric[i].name, "profiler."));
		assert_null(strstr(metrics.metric[i].name, "role."));
	}
}

static void
test_extremes(void **state)
{
	static struct profile_message large;
	static struct queue_report long_queue;

	(void)state;
	memset(&large, 0xff, sizeof(large));
	memset(&long_queue, 0xff, sizeof(long_queue));
	large.start_ns = INT64_MIN;
	large.end_ns = INT64_MAX;
	self_metrics_make(&large, &long_queue, UINT64_MAX, &metrics);
	for (size_t i = 0; i < metrics.count; i++)
		assert_true(metrics.metric[i].value >= 0);
	assert_true(find("queue.depth")->value == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
