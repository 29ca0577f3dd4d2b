/* ENABLE and DISABLE of events, CPU by CPU, and nothing else. */

#include "worker/perf/sampling.h"

#include "policy/events.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>

static bool
is_of(const struct ring_description *about, const struct ring_description *cpu, enum sampling_level level)
{
	return about->event != EVENT_SIDEBAND && about->cpu == cpu->cpu && about->level == level;
}

static void
request(const struct ring_set *events, const struct ring_description *cpu, enum sampling_level level,
	unsigned long what)
{
	for (uint32_t i = 0; i < events->count; i++)
		if (is_of(&events->about[i], cpu, level))
			(void)ioctl(events->fd[i], what, 0); /* can only fail when its tasks are gone */
}

/* DISABLE first: CPU time that is counted twice would never add up; what nobody counts in between is
 * microseconds. An event that is in its state already costs the call only. */
static void
apply(const struct sampling *sampling)
{
	const struct ring_set *events = sampling->events;

	for (uint32_t i = 0; i < events->ring_count; i++) {
		if (events->about[i].event == EVENT_SIDEBAND)
			continue;
		for (int level = 0; level < LEVEL_COUNT; level++)
			if (level != (int)sampling->level)
				request(events, &events->about[i], level, PERF_EVENT_IOC_DISABLE);
		request(events, &events->about[i], sampling->level, PERF_EVENT_IOC_ENABLE);
	}
}

static bool
is_everywhere(const struct ring_set *events, enum sampling_level level)
{
	for (uint32_t i = 0; i < events->ring_count; i++) {
		bool is_there = events->about[i].event == EVENT_SIDEBAND;

		for (uint32_t j = 0; j < events->count; j++)
			is_there |= is_of(&events->about[j], &events->about[i], level);
		if (!is_there)
			return false;
	}
	return true;
}

/* What the events with rings were opened for: sampling began with it. */
static enum sampling_level
opened_level(const struct ring_set *events)
{
	for (uint32_t i = 0; i < events->ring_count; i++)
		if (events->about[i].event != EVENT_SIDEBAND && events->about[i].level < LEVEL_COUNT)
			return events->about[i].level;
	return LEVEL_NORMAL;
}

void
sampling_init(struct sampling *ret, const struct ring_set *events, uint32_t in_force)
{
	*ret = (struct sampling){.events = events, .level = opened_level(events), .is_settled = true};
	if (events->count > events->ring_count)
		for (int level = 0; level < LEVEL_COUNT; level++)
			if (is_everywhere(events, level))
				ret->available |= LEVEL_BIT(level);
	ret->available |= LEVEL_BIT(ret->level);
	if (in_force < LEVEL_COUNT && ret->available & LEVEL_BIT(in_force))
		sampling_switch(ret, in_force);
}

void
sampling_switch(struct sampling *sampling, enum sampling_level level)
{
	sampling->level = level;
	sampling->is_settled = false;
	apply(sampling);
}

void
sampling_settle(struct sampling *sampling)
{
	if (sampling->is_settled)
		return;
	sampling->is_settled = true;
	apply(sampling);
}
