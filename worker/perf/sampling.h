#pragma once
/* Which level of sampling is in force: of the events that one CPU's samples come from, exactly one is
 * enabled, on the whole tree of the target (children inherit the events, and ENABLE and DISABLE reach them
 * all). */

#include "ipc/rings.h"
#include "policy/levels.h"

#include <stdbool.h>

struct sampling {
	const struct ring_set *events; /* borrowed */
	uint32_t available;            /* levels that have an event on every CPU */
	enum sampling_level level;     /* in force */
	bool is_settled;               /* false: a task that was being forked may have missed the switch */
};

/* in_force: LEVEL_COUNT says that nothing was switched yet; otherwise what a predecessor of this process was
 * about to switch to, and the events are put into that state. */
void sampling_init(struct sampling *ret, const struct ring_set *events, uint32_t in_force);

/* Enables the events of one available level, and disables all others. */
void sampling_switch(struct sampling *sampling, enum sampling_level level);

/* To be called some milliseconds after a switch, and cheap otherwise. */
void sampling_settle(struct sampling *sampling);
