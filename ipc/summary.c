/* Says in one line what was sampled, how much of it can be trusted, and where it is; who wants to know more
 * is told which code the stacks that were cut ended in. */

#include "ipc/summary.h"

#include "ipc/delivery.h"
#include "ipc/endings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static double
percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100.0;
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

/* ---- where the profiles are ---- */

struct closing {
	char text[800];
	size_t used;
	enum log_level level;
};

static void __attribute__((format(printf, 2, 3))) add(struct closing *closing, const char *format, ...)
{
	size_t left = sizeof(closing->text) - closing->used;
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(closing->text + closing->used, left, format, arguments);
	va_end(arguments);
	if (length > 0)
		closing->used += (size_t)length < left ? (size_t)length : left - 1;
}

static const char *
plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void
add_folder(struct closing *closing, const struct summary_destination *destination,
	   const struct summary_message *summary, const char *output)
{
	const char *slash = output[0] && output[strlen(output) - 1] == '/' ? "" : "/";

	if (destination->delivered == 1)
		add(closing, "; profile: %s%s%s", output, slash, summary->last_name);
	else if (destination->delivered > 1)
		add(closing, "; %" PRIu64 " profiles in %s, the last: %s", destination->delivered, output,
		    summary->last_name);
}

static void
add_delivered(struct closing *closing, const struct summary_destination *destination)
{
	if (destination->delivered > 0)
		add(closing, "; %" PRIu64 " profile%s delivered to %s", destination->delivered,
		    plural(destination->delivered), destination->name);
	if (destination->earlier > 0)
		add(closing, "%s%" PRIu64 " of earlier runs%s%s", destination->delivered > 0 ? " and " : "; ",
		    destination->earlier, destination->delivered > 0 ? "" : " delivered to ",
		    destination->delivered > 0 ? "" : destination->name);
}

/* What is in the spool is not lost; what is lost could have been there. */
static void
add_missing(struct closing *closing, const struct summary_destination *destination,
	    const struct summary_message *summary, const char *spool)
{
	uint64_t missing =
		summary->profiles > destination->delivered ? summary->profiles - destination->delivered : 0;
	uint64_t kept = missing < summary->spooled ? missing : summary->spooled;
	uint64_t lost = missing - kept < summary->dropped ? missing - kept : summary->dropped;
	const char *why = destination->problem[0] ? destination->problem : "there was no time";

	if (kept > 0)
		add(closing, "; %" PRIu64 " not delivered (%s: %s), kept in %s for the next run", kept,
		    destination->name, why, spool);
	if (lost > 0)
		add(closing, "; %" PRIu64 " lost (%s: %s), %s", lost, destination->name, why,
		    spool[0] ? "the spool had no room for them"
			     : "--spool DIR would keep them for the next run");
	if (missing > kept + lost) /* found in the spool that they share */
		add(closing, "; %" PRIu64 " taken over by another run", missing - kept - lost);
	if (lost > 0)
		closing->level = LOG_LEVEL_ERROR;
	else if (kept > 0 && closing->level < LOG_LEVEL_WARN)
		closing->level = LOG_LEVEL_WARN;
}

/* A line of its own: the folder is what most have, and it is the disk that is to be looked at. */
static void
log_unwritten(const struct log *log, const struct summary_message *summary, const char *output,
	      const char *spool)
{
	for (uint32_t i = 0; i < summary->destinations && i < SUMMARY_DESTINATIONS; i++) {
		const struct summary_destination *destination = &summary->destination[i];

		if (destination->kind != DESTINATION_FOLDER || destination->delivered >= summary->profiles)
			continue;
		uint64_t missing = summary->profiles - destination->delivered;
		uint64_t kept = missing < summary->spooled ? missing : summary->spooled;
		const char *why = destination->problem[0] ? destination->problem : "there was no time";
		if (kept > 0)
			log_line(log, LOG_LEVEL_ERROR,
				 "%" PRIu64 " profiles could not be written to %s: %s; %" PRIu64
				 " are kept in %s for the next run",
				 missing, output, why, kept, spool);
		else
			log_line(log, LOG_LEVEL_ERROR, "%" PRIu64 " profiles could not be written to %s: %s",
				 missing, output, why);
	}
}

static void
add_counts(struct closing *closing, const struct summary_message *summary)
{
	const struct ledger *ledger = &summary->ledger;
	uint64_t rooted = ledger->ending[ENDING_ROOT] + ledger->ending[ENDING_DEPTH];
	uint64_t without_samples_ns = ledger->in_kernel_ns + ledger->unsampled_ns;

	if (ledger->samples == 0 && ledger->lost == 0 && without_samples_ns > 0)
		add(closing,
		    "no samples (%.2f s of CPU time in the kernel or in tasks shorter than one sampling "
		    "period)",
		    (double)without_samples_ns / 1e9);
	else if (ledger->samples == 0 && ledger->lost == 0 && !summary->unwinder_stopped)
		add(closing, "no samples (less CPU time than one sampling period)");
	else
		add(closing, "%" PRIu64 " samples, %" PRIu64 " lost, %.1f%% of stacks reached the root%s%s",
		    ledger->samples, ledger->lost, percent(rooted, ledger->samples),
		    ledger->restarts ? ", incomplete (the unwinder was restarted)" : "",
		    summary->unwinder_stopped ? ", ended early (the unwinder kept failing)" : "");
}

/* "; profiler used 18 ms of CPU (0.31%) and 6.8 MB, target slowed by about 0.21%" */
static void
add_cost(struct closing *closing, const struct summary_message *summary)
{
	const struct self_report *self = &summary->self;
	const struct self_role_report total = self_report_total(self);
	double cpu_ms = (double)total.cpu_ns / 1e6;

	if (self->wall_ns == 0)
		return;
	add(closing, "; profiler used %.*f %s of CPU (%.2f%%) and %.1f MB", cpu_ms < 10 ? 1 : 0,
	    cpu_ms < 10000 ? cpu_ms : cpu_ms / 1000, cpu_ms < 10000 ? "ms" : "s",
	    1e8 * cpu_ms / (double)self->wall_ns, (double)(total.peak_rss + self->ring_bytes) / 1e6);
	if (summary->ledger.kernel_count_ns > 0)
		add(closing, ", target slowed by about %.2f%%",
		    (double)overhead_target_ppm(&summary->ledger) / 1e4);
}

void
summary_log(const struct log *log, const struct summary_message *summary, const char *output,
	    const char *spool)
{
	struct closing closing = {.level = LOG_LEVEL_NOTICE};

	log_endings(log, summary);
	add_counts(&closing, summary);
	add_cost(&closing, summary);
	size_t counts = closing.used;
	for (uint32_t i = 0; i < summary->destinations && i < SUMMARY_DESTINATIONS; i++) {
		const struct summary_destination *destination = &summary->destination[i];

		if (destination->kind == DESTINATION_FOLDER) {
			add_folder(&closing, destination, summary, output);
			continue;
		}
		add_delivered(&closing, destination);
		add_missing(&closing, destination, summary, spool);
	}
	if (summary->profiles == 0 && closing.used == counts) {
		add(&closing, "; no profile was written");
		closing.level = LOG_LEVEL_ERROR;
	} else if (summary->destinations == 0) { /* nobody ever introduced them */
		add(&closing, "; %" PRIu64 " profile%s lost: the exporter could not be started",
		    summary->profiles, plural(summary->profiles));
		closing.level = LOG_LEVEL_ERROR;
	}
	if (closing.used > counts)
		log_line(log, closing.level, "%s", closing.text);
	log_unwritten(log, summary, output, spool);
}
