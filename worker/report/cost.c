/* Anybody may have written the comments: a number is digits only, and sums stay at their limit. */

#include "worker/report/cost.h"

#include "worker/profile/decode.h"
#include "worker/report/quantity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "ddprof."

/* The account of one profile. */
struct said {
	int64_t cpu_ns, period_ns, peak_memory, slowed_ppm, target_ns;
};

static bool
parse_number(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno)
		return false;
	*ret = value;
	return true;
}

static void
read_comment(const char *comment, struct said *said)
{
	const struct {
		const char *key;
		int64_t *value;
	} known[] = {
		{"profiler.cpu_ns=", &said->cpu_ns},
		{"profiler.period_ns=", &said->period_ns},
		{"profiler.peak_memory=", &said->peak_memory},
		{"overhead.target_estimate_ppm=", &said->slowed_ppm},
		{"kernel_count_ns=", &said->target_ns},
	};

	if (strncmp(comment, PREFIX, strlen(PREFIX)) != 0)
		return;
	comment += strlen(PREFIX);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(comment, known[i].key, strlen(known[i].key)) == 0)
			(void)parse_number(comment + strlen(known[i].key), known[i].value);
}

static void
add(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = INT64_MAX;
}

void
profile_cost_add(struct profile_cost *cost, const Perftools__Profiles__Profile *profile)
{
	struct said said = {0};

	for (size_t i = 0; i < profile->n_comment; i++)
		read_comment(pprof_string(profile, profile->comment[i]), &said);
	if (said.period_ns == 0)
		return;
	add(&cost->cpu_ns, said.cpu_ns);
	add(&cost->period_ns, said.period_ns);
	if (said.peak_memory > cost->peak_memory)
		cost->peak_memory = said.peak_memory;
	cost->slowed_ns += (double)said.slowed_ppm / 1e6 * (double)said.target_ns;
	cost->target_ns += (double)said.target_ns;
}

void
profile_cost_format(char ret[static PROFILE_COST_TEXT], const struct profile_cost *cost)
{
	char cpu[QUANTITY_SIZE], percent[QUANTITY_SIZE], memory[QUANTITY_SIZE];
	int used;

	ret[0] = '\0';
	if (cost->period_ns == 0)
		return;
	quantity_format(cpu, cost->cpu_ns, "nanoseconds");
	quantity_percent(percent, cost->cpu_ns, cost->period_ns);
	quantity_format(memory, cost->peak_memory, "bytes");
	used = snprintf(ret, PROFILE_COST_TEXT, "%s of CPU (%s), %s", cpu, percent, memory);
	if (cost->target_ns > 0)
		snprintf(ret + used, (size_t)(PROFILE_COST_TEXT - used), "; target slowed by about %.2f%%",
			 100 * cost->slowed_ns / cost->target_ns);
}
