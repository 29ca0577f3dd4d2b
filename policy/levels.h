#pragma once
/* The levels of sampling. A session has an event for several of them on each CPU, of which exactly one is
 * enabled at a time: how much a sample copies can follow what stacks need, without opening anything anew. */

#include <linux/perf_event.h>
#include <stdint.h>

enum sampling_level {
	LEVEL_CHAIN, /* the kernel follows the frame pointers; the stack is enough to mend the leaf's caller
		      */
	LEVEL_SMALL,
	LEVEL_NORMAL,
	LEVEL_LARGE,
	LEVEL_COUNT,
};

/* What the caller asked for: decide by what samples show, unwind by tables only, or by frame pointers. */
enum unwind_method { UNWIND_AUTO, UNWIND_DWARF, UNWIND_FP };

#define LEVEL_BIT(level) (1u << (level)) /* in a set of levels */
#define LEVELS_ALL (LEVEL_BIT(LEVEL_COUNT) - 1)

struct level_policy {
	const char *name;
	uint32_t stack_bytes; /* copied with each sample */
	const char *reason;
};

const struct level_policy *level_policy(enum sampling_level level); /* NULL: no such level */

/* The one of a set that sampling begins with: the normal one or the largest below it. */
enum sampling_level level_first(uint32_t levels);

/* `instead`, of these: 0, or the stack that is copied instead of the level's own. */
uint32_t level_stack_bytes(enum sampling_level level, uint32_t instead);
/* Those of a set that copy no more than the maximum. */
uint32_t levels_within(uint32_t levels, uint32_t instead, uint32_t max_stack_bytes);
/* Makes a sample event of policy/events.c the one of this level. All levels have records of one layout. */
void level_apply(enum sampling_level level, uint32_t instead, struct perf_event_attr *attributes);
