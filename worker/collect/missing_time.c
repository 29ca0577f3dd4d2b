/* Estimates are averages: half a period for each CPU a task may have run on, never more than it lived. */

#include "worker/collect/missing_time.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct task {
	uint32_t tid;
	uint64_t start_ns; /* 0: unknown */
	UT_hash_handle hh;
};

void
missing_time_init(struct missing_time *ret, uint64_t period_ns, bool is_kernel_sampled)
{
	*ret = (struct missing_time){.period_ns = period_ns, .is_kernel_sampled = is_kernel_sampled};
}

static void
forget(struct missing_time *missing, struct task *task)
{
	HASH_DEL(missing->tasks, task);
	free(task);
}

void
missing_time_destroy(struct missing_time *missing)
{
	struct task *task, *next;

	HASH_ITER(hh, missing->tasks, task, next)
	forget(missing, task);
}

static uint64_t
estimate(const struct missing_time *missing, uint64_t start_ns, uint64_t end_ns)
{
	uint32_t cpus = missing->seen_cpus > 0 ? missing->seen_cpus : 1;
	uint64_t average_ns = cpus * missing->period_ns / 2;
	bool is_start_known = start_ns > 0 && start_ns <= end_ns;

	return is_start_known && end_ns - start_ns < average_ns ? end_ns - start_ns : average_ns;
}

static struct task *
find_task(const struct missing_time *missing, uint32_t tid)
{
	struct task *task;

	HASH_FIND(hh, missing->tasks, &tid, sizeof(tid), task);
	return task;
}

static void
begin_task(struct missing_time *missing, uint32_t tid, uint64_t start_ns)
{
	struct task *task = find_task(missing, tid);

	if (!task && HASH_COUNT(missing->tasks) < MISSING_TASKS_MAX) {
		task = calloc(1, sizeof(*task));
		if (!task)
			return;
		task->tid = tid;
		HASH_ADD(hh, missing->tasks, tid, sizeof(tid), task);
	}
	if (task) /* a number may come round again */
		task->start_ns = start_ns;
}

static void
end_task(struct missing_time *missing, uint32_t tid, uint64_t end_ns)
{
	struct task *task = find_task(missing, tid);

	missing->ended_ns += estimate(missing, task ? task->start_ns : 0, end_ns);
	if (task)
		forget(missing, task);
}

void
missing_time_add_task(struct missing_time *missing, uint32_t tid)
{
	begin_task(missing, tid, 0);
}

void
missing_time_follow(struct missing_time *missing, const struct sideband_record *record, uint64_t time_ns)
{
	if (record->type == PERF_RECORD_FORK)
		begin_task(missing, record->task.tid, time_ns);
	else if (record->type == PERF_RECORD_COMM && !find_task(missing, record->comm.tid))
		begin_task(missing, record->comm.tid, 0); /* a journal that was rewritten has no FORK */
	else if (record->type == PERF_RECORD_EXIT)
		end_task(missing, record->task.tid, time_ns);
}

void
missing_time_see_cpu(struct missing_time *missing, uint32_t cpu)
{
	if (cpu >= MAX_CPUS || missing->is_seen[cpu])
		return;
	missing->is_seen[cpu] = true;
	missing->seen_cpus++;
}

void
missing_time_forget_ended(struct missing_time *missing)
{
	missing->ended_ns = 0;
}

static uint64_t
estimate_of_running(const struct missing_time *missing, uint64_t now_ns)
{
	uint64_t sum = 0;

	for (const struct task *task = missing->tasks; task; task = task->hh.next)
		sum += estimate(missing, task->start_ns, now_ns);
	return sum;
}

void
missing_time_switch(struct missing_time *missing, uint64_t now_ns)
{
	missing->ended_ns += estimate_of_running(missing, now_ns);
}

/* Of `rest_ns`, what short tasks cannot explain. */
static int64_t
kernel_part(const struct missing_time *missing, const struct ledger *ledger, int64_t rest_ns, uint64_t now_ns)
{
	int64_t by_tasks_ns = (int64_t)(missing->ended_ns + estimate_of_running(missing, now_ns));
	int64_t kernel_ns = missing->unexplained_ns - by_tasks_ns;

	if (missing->is_kernel_sampled || ledger->restarts > 0 || kernel_ns < (int64_t)missing->period_ns)
		return 0;
	return kernel_ns < rest_ns ? kernel_ns : rest_ns;
}

void
missing_time_settle(struct missing_time *missing, struct ledger *ledger, uint64_t now_ns)
{
	int64_t period_ns = (int64_t)missing->period_ns, rest_ns, kernel_ns;

	ledger->in_kernel_ns = ledger->unsampled_ns = 0;
	missing->unexplained_ns +=
		(int64_t)(ledger->kernel_count_ns - ledger->cpu_time_ns - ledger->lost * missing->period_ns);
	rest_ns = missing->unexplained_ns - missing->explained_by_tasks_ns;
	if (rest_ns < period_ns)
		return; /* rounding; or more was sampled than counted, which an earlier profile has already */
	kernel_ns = kernel_part(missing, ledger, rest_ns, now_ns);
	ledger->in_kernel_ns = (uint64_t)kernel_ns;
	missing->unexplained_ns -= kernel_ns;
	rest_ns -= kernel_ns;
	if (rest_ns <= period_ns) /* of one task on two CPUs that is all: not worth a line */
		return;
	ledger->unsampled_ns = (uint64_t)rest_ns;
	if (ledger->restarts > 0) /* not tasks explain it, but samples that nobody will see */
		missing->unexplained_ns -= rest_ns;
	else
		missing->explained_by_tasks_ns += rest_ns;
}
