#pragma once
/* CPU time, spent where the caller says: everything here is inlined, so samples land in the function that
 * burns. */

#include <stdint.h>
#include <time.h>

#define BURN_STEPS_PER_SLICE 20000 /* some tens of microseconds */

static inline uint64_t
burn_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One xorshift step a turn: a dependency chain the compiler cannot shorten, and no memory traffic. */
static inline __attribute__((always_inline)) uint64_t
burn_steps(uint64_t seed, uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
	}
	return seed;
}

/* Until the calling thread has used duration_ns more of CPU time. */
static inline __attribute__((always_inline)) uint64_t
burn_thread_cpu(uint64_t duration_ns)
{
	uint64_t end_ns = burn_clock_ns(CLOCK_THREAD_CPUTIME_ID) + duration_ns;
	uint64_t value = end_ns | 1;

	while (burn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		value = burn_steps(value, BURN_STEPS_PER_SLICE);
	return value;
}
