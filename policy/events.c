/* What may be opened: a const table. Everything a hostile caller could ask perf for beyond it (groups,
 * sigtrap, filters, text_poke, kernel registers, raw data) cannot be expressed. */

#include "policy/events.h"

#include "policy/limits.h"

#include <stddef.h>
#include <time.h>

/* Common to all: only the caller's own user-space (but for event_include_kernel()), only while it runs under
 * us, on one clock that user space can read too (records of all CPUs are merged by it). */
#define COMMON_ATTRIBUTES                                                                                \
	.size = sizeof(struct perf_event_attr), .type = PERF_TYPE_SOFTWARE, .disabled = 1, .inherit = 1, \
	.enable_on_exec = 1, .exclude_kernel = 1, .exclude_hv = 1, .exclude_guest = 1,                   \
	.exclude_callchain_kernel = 1, .use_clockid = 1, .clockid = CLOCK_MONOTONIC, .sample_id_all = 1, \
	.watermark = 1

static const struct event_policy events[EVENT_COUNT] = {
	[EVENT_SIDEBAND] =
		{
			.name = "sideband",
			.attributes =
				{
					COMMON_ATTRIBUTES,
					.config = PERF_COUNT_SW_DUMMY,
					.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
					.mmap = 1,
					.mmap2 = 1,
					.build_id = 1,
					.comm = 1,
					.comm_exec = 1,
					.task = 1,
					.wakeup_watermark = SIDEBAND_RING_BYTES / 4,
				},
			.reason = "mappings, names, forks and exits: what an address means",
		},
	[EVENT_SCPU] =
		{
			.name = "sCPU",
			.attributes =
				{
					COMMON_ATTRIBUTES,
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.freq = 1,
					.read_format = PERF_FORMAT_LOST,
					.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
						       PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN |
						       PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
					.sample_regs_user = SAMPLE_REGISTERS_MASK,
					.exclude_callchain_user = 1,
				},
			.reason = "CPU time: user registers and the top of the user stack",
		},
};

const struct event_policy *
event_policy(enum event_id id)
{
	return (unsigned)id < EVENT_COUNT ? &events[id] : NULL;
}

void
event_include_kernel(enum kernel_frames frames, struct perf_event_attr *attributes)
{
	attributes->exclude_kernel = frames == KERNEL_FRAMES_NONE;
	attributes->exclude_callchain_kernel = frames != KERNEL_FRAMES_NAMED;
}
