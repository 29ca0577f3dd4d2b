#pragma once
/* Where the CPU time is that the kernel counted and no sample shows. Three things hide it:
 *
 *   lost samples        known: as many periods as samples were lost
 *   tasks that ended    the kernel begins anew for each task and each CPU: what a task ran there after its
 *                       last whole period has no sample, and of a shorter one nothing has
 *   the kernel          a sample that would fall into it is dropped (exclude_kernel), but it is counted
 *
 * The kernel tells none of them apart. The second is estimated, from how long tasks lived and how many CPUs
 * the session was seen on; the kernel gets what is then left. So time is said to be the kernel's only where
 * short tasks cannot explain it.
 *
 * All is kept over the whole session of an unwinder: what one profile counts may be sampled in the next. */

#include "ipc/protocol.h"
#include "worker/perf/record.h"

struct missing_time {
	uint64_t period_ns;
	bool is_kernel_sampled; /* none of it is missing */
	bool is_seen[MAX_CPUS];
	uint32_t seen_cpus;
	struct task *tasks;            /* that run, by tid */
	uint64_t ended_ns;             /* estimated of tasks that ended */
	int64_t unexplained_ns;        /* counted, and neither sampled nor lost nor said to be the kernel's */
	int64_t explained_by_tasks_ns; /* of that, what profiles show as unsampled */
};

#define MISSING_TASKS_MAX 65536 /* what is beyond counts when it ends */

void missing_time_init(struct missing_time *ret, uint64_t period_ns, bool is_kernel_sampled);
void missing_time_destroy(struct missing_time *missing);

/* A task whose beginning no record tells: it may have run for ever. */
void missing_time_add_task(struct missing_time *missing, uint32_t tid);

/* Any record, in order, with its time. */
void missing_time_follow(struct missing_time *missing, const struct sideband_record *record,
			 uint64_t time_ns);

/* Tasks of the session run on that CPU; numbers from 0. */
void missing_time_see_cpu(struct missing_time *missing, uint32_t cpu);

/* Forgets those that ended: their time was before anything that is still to be settled. */
void missing_time_forget_ended(struct missing_time *missing);

/* Other events sample from now on: they begin anew, and what was left of the others is as if tasks ended. */
void missing_time_switch(struct missing_time *missing, uint64_t now_ns);

/* Sets ledger's in_kernel_ns and unsampled_ns, so that with what was sampled, lost and not stored they come
 * to what the kernel counted, up to a period. Time that is neither's own (an unwinder died
 * with samples it had read) is unsampled. */
void missing_time_settle(struct missing_time *missing, struct ledger *ledger, uint64_t now_ns);
