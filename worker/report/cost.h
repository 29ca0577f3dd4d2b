#pragma once
/* What profiling cost, by the profiles' own account (comments "ddprof.*"; docs/overhead.md). */

#include <profile.pb-c.h>
#include <stddef.h>
#include <stdint.h>

struct profile_cost {
	int64_t cpu_ns, period_ns;   /* sums; period 0: no profile has an account */
	int64_t peak_memory;         /* bytes, the highest */
	double slowed_ns, target_ns; /* sums: estimated, and the target's CPU time it was estimated for */
};

/* Adds what a profile says. What it does not say, or not in numbers, counts nothing. */
void profile_cost_add(struct profile_cost *cost, const Perftools__Profiles__Profile *profile);

/* "39.6ms of CPU (2.50%), 16.0MiB; target slowed by about 0.23%", or "" for no account. */
#define PROFILE_COST_TEXT 160
void profile_cost_format(char ret[static PROFILE_COST_TEXT], const struct profile_cost *cost);
