/* Says in one line what was sampled, how much of it can be trusted, and where it is; who wants to know more
 * is told which code the stacks that were cut ended in. */

#include "ipc/summary.h"

#include "ipc/endings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static double
percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100.0;
}

static void
log_profiles(const struct log *log, const struct summary_message *summary, const char *output,
	     const char *counts)
{
	const char *slash = output[0] && output[strlen(output) - 1] == '/' ? "" : "/";

	if (summary->profiles == 1)
		log_line(log, LOG_LEVEL_NOTICE, "%s; profile: %s%s%s", counts, output, slash,
			 summary->last_name);
	else
		log_line(log, LOG_LEVEL_NOTICE, "%s; %" PRIu64 " profiles in %s, the last: %s", counts,
			 summary->profiles, output, summary->last_name);
}

static void
log_endings(const struct log *log, const struct summary_message *summary)
{
	char text[ENDINGS_TEXT_MAX];

	if (summary->ledger.samples == 0)
		return;
	endings_format(summary->ledger.ending, text);
	log_line(log, LOG_LEVEL_INFORMATIONAL, "stacks ended: %s", text);
	for (size_t i = 0; i < ENDING_MODULES && summary->module[i].name[0]; i++) {
		if (endings_short_of_root(summary->module[i].ending) == 0)
			continue;
		endings_format(summary->module[i].ending, text);
		log_line(log, LOG_LEVEL_INFORMATIONAL, "stacks that ended in %s: %s", summary->module[i].name,
			 text);
	}
}

/* "; profiler used 18 ms of CPU (0.31%) and 6.8 MB, target slowed by about 0.21%" */
static void
format_cost(const struct summary_message *summary, char *ret, size_t capacity)
{
	const struct self_report *self = &summary->self;
	const struct self_role_report total = self_report_total(self);
	double cpu_ms = (double)total.cpu_ns / 1e6;
	size_t used;

	if (self->wall_ns == 0)
		return;
	used = (size_t)snprintf(ret, capacity, "; profiler used %.*f %s of CPU (%.2f%%) and %.1f MB",
				cpu_ms < 10 ? 1 : 0, cpu_ms < 10000 ? cpu_ms : cpu_ms / 1000,
				cpu_ms < 10000 ? "ms" : "s", 1e8 * cpu_ms / (double)self->wall_ns,
				(double)(total.peak_rss + self->ring_bytes) / 1e6);
	if (summary->ledger.kernel_count_ns > 0 && used < capacity)
		snprintf(ret + used, capacity - used, ", target slowed by about %.2f%%",
			 (double)overhead_target_ppm(&summary->ledger) / 1e4);
}

void
summary_log(const struct log *log, const struct summary_message *summary, const char *output)
{
	const struct ledger *ledger = &summary->ledger;
	uint64_t rooted = ledger->ending[ENDING_ROOT] + ledger->ending[ENDING_DEPTH];
	char counts[480];

	log_endings(log, summary);
	if (ledger->samples == 0 && ledger->lost == 0 && !summary->unwinder_stopped)
		snprintf(counts, sizeof(counts), "no samples (less CPU time than one sampling period)");
	else
		snprintf(counts, sizeof(counts),
			 "%" PRIu64 " samples, %" PRIu64 " lost, %.1f%% of stacks reached the root%s%s",
			 ledger->samples, ledger->lost, percent(rooted, ledger->samples),
			 ledger->restarts ? ", incomplete (the unwinder was restarted)" : "",
			 summary->unwinder_stopped ? ", ended early (the unwinder kept failing)" : "");
	format_cost(summary, counts + strlen(counts), sizeof(counts) - strlen(counts));
	if (summary->profiles > 0)
		log_profiles(log, summary, output, counts);
	if (summary->failed_writes > 0)
		log_line(log, LOG_LEVEL_ERROR, "%" PRIu64 " profiles could not be written to %s: %s",
			 summary->failed_writes, output, strerror(summary->write_error));
	else if (summary->profiles == 0)
		log_line(log, LOG_LEVEL_ERROR, "%s; no profile was written", counts);
}
