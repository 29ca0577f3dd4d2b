/* The levels as a const table, and what a level means for an event. */

#include "policy/levels.h"

#include "policy/limits.h"

#include <stddef.h>

static const struct level_policy levels[LEVEL_COUNT] = {
	[LEVEL_CHAIN] = {"chain", STACK_MIN_BYTES, "where programs keep frame pointers"},
	[LEVEL_SMALL] = {"small", 8192, "where stacks are shallow"},
	[LEVEL_NORMAL] = {"normal", STACK_DEFAULT_BYTES, "what sampling begins with"},
	[LEVEL_LARGE] = {"large", STACK_MAX_BYTES, "where stacks are cut"},
};

const struct level_policy *
level_policy(enum sampling_level level)
{
	return (unsigned)level < LEVEL_COUNT ? &levels[level] : NULL;
}

enum sampling_level
level_first(uint32_t set)
{
	for (int level = LEVEL_NORMAL; level >= 0; level--)
		if (set & LEVEL_BIT(level))
			return (enum sampling_level)level;
	return LEVEL_LARGE;
}

uint32_t
level_stack_bytes(enum sampling_level level, uint32_t instead)
{
	return instead > 0 ? instead : levels[level].stack_bytes;
}

uint32_t
levels_within(uint32_t set, uint32_t instead, uint32_t max_stack_bytes)
{
	for (int level = 0; level < LEVEL_COUNT; level++)
		if (level_stack_bytes((enum sampling_level)level, instead) > max_stack_bytes)
			set &= ~LEVEL_BIT(level);
	return set;
}

void
level_apply(enum sampling_level level, uint32_t instead, struct perf_event_attr *attributes)
{
	attributes->sample_stack_user = level_stack_bytes(level, instead);
	attributes->exclude_callchain_user = level != LEVEL_CHAIN;
}
