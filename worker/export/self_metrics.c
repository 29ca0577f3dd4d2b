/* One table: first what Datadog's ddprof reports under the same names, where we have it, then ours. */

#include "worker/export/self_metrics.h"

#include "ipc/endings.h"

#include <assert.h>
#include <stdio.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define NO_SAMPLES (-1) /* ddprof's word for an average of nothing */

static int64_t
clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void
add(struct self_metrics *metrics, const char *prefix, const char *name, int64_t value, bool is_comment)
{
	struct self_metric *metric = &metrics->metric[metrics->count];

	assert(metrics->count < SELF_METRICS_MAX);
	snprintf(metric->name, sizeof(metric->name), "%s%s", prefix, name);
	metric->value = value;
	metric->is_comment = is_comment;
	metrics->count++;
}

struct entry {
	const char *name;
	uint64_t value;
	bool is_comment;
};

static void
add_all(struct self_metrics *metrics, const char *prefix, const struct entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(metrics, prefix, entries[i].name, clamp(entries[i].value), entries[i].is_comment);
}
#define ADD_ALL(metrics, prefix, entries) \
	add_all(metrics, prefix, entries, sizeof(entries) / sizeof((entries)[0]))

static void
add_averages(struct self_metrics *metrics, const struct ledger *ledger)
{
	const struct entry sums[] = {
		{"unwind.avg_time_ns", ledger->unwind_ns},
		{"unwind.stack.avg_size", ledger->stack_bytes},
		{"unwind.stack.avg_depth", ledger->frames},
	};

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
		add(metrics, "", sums[i].name,
		    ledger->samples ? clamp(sums[i].value / ledger->samples) : NO_SAMPLES, true);
}

/* Numbers as in enum unwind_end. */
enum { COPY_SHORT = 1, UNMAPPED, UNREADABLE, BAD_CFI };

static void
add_sampling(struct self_metrics *metrics, const struct profile_message *head, uint64_t pprof_size)
{
	const struct ledger *ledger = &head->ledger;
	const uint64_t *ending = ledger->ending;
	uint64_t duration_ns =
		head->end_ns > head->start_ns ? (uint64_t)head->end_ns - (uint64_t)head->start_ns : 0;
	const struct entry entries[] = {
		{"event.count", ledger->records},
		{"event.lost", ledger->lost},
		{"sample.count", ledger->samples},
		{"target_process.cpu_usage.millicores", millicores(ledger->kernel_count_ns, duration_ns),
		 true},
		{"unwind.frames", ledger->frames},
		{"unwind.errors", ending[UNMAPPED] + ending[UNREADABLE] + ending[BAD_CFI]},
		{"unwind.stack.truncated_input", ending[COPY_SHORT]},
		{"unwind.stack.truncated_output", ending[ENDING_DEPTH]},
		{"unwind.stack.incomplete", endings_short_of_root(ending)},
		{"pprof.size", pprof_size},
		{"profile.duration_ms", duration_ns / NS_PER_MS},
		{"overhead.target_estimate_ppm", overhead_target_ppm(ledger), true},
	};

	ADD_ALL(metrics, "", entries);
	add_averages(metrics, ledger);
}

static void
add_role(struct self_metrics *metrics, const char *name, const struct self_role_report *role,
	 uint64_t wall_ns)
{
	const struct entry entries[] = {
		{"cpu_ns", role->cpu_ns, true},     {"cpu_millicores", millicores(role->cpu_ns, wall_ns)},
		{"rss", role->rss, true},           {"anonymous", role->anonymous, true},
		{"peak_rss", role->peak_rss, true}, {"restarts", role->restarts, true},
	};
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "role.%s.", name);
	ADD_ALL(metrics, prefix, entries);
}

static void
add_profiler(struct self_metrics *metrics, const struct self_report *self)
{
	const struct self_role_report total = self_report_total(self);
	const struct entry entries[] = {
		{"rss", total.rss, true},
		{"cpu_usage.millicores", millicores(total.cpu_ns, self->wall_ns), true},
		{"cpu_ns", total.cpu_ns, true},
		{"period_ns", self->wall_ns, true},
		{"rings", self->ring_bytes, true},
		{"peak_memory", total.peak_rss + self->ring_bytes, true},
	};

	if (self->wall_ns == 0)
		return; /* not measured */
	ADD_ALL(metrics, "profiler.", entries);
	for (size_t i = 0; i < SELF_ROLES; i++)
		add_role(metrics, self_role_names[i], &self->role[i], self->wall_ns);
}

static void
add_queue(struct self_metrics *metrics, const struct queue_report *queue)
{
	const struct entry entries[] = {
		{"queue.depth", queue->depth, true},
		{"queue.bytes", queue->bytes, true},
		{"queue.oldest_age_s", queue->oldest_age_ns / NS_PER_S, true},
		{"queue.dropped", queue->dropped, true},
		{"upload.count", queue->uploads, true},
		{"upload.retries", queue->retries, true},
		{"upload.refusals", queue->refusals, true},
		{"upload.bytes", queue->sent_bytes, true},
		{"statsd.failures", queue->statsd_failures, true},
	};

	ADD_ALL(metrics, "", entries);
}

void
self_metrics_make(const struct profile_message *head, const struct queue_report *queue, uint64_t pprof_size,
		  struct self_metrics *ret)
{
	ret->count = 0;
	add_sampling(ret, head, pprof_size);
	add_profiler(ret, &head->self);
	add_queue(ret, queue);
}
