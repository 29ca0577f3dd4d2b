/* Sideband records in, address spaces out: fork copies, exec empties, a new mapping replaces what it covers.
 */

#include "worker/process/processes.h"

#include "worker/process/processes_state.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

struct processes *
processes_new(struct mapped_files *files)
{
	struct processes *processes = calloc(1, sizeof(*processes));

	if (processes)
		processes->files = files;
	return processes;
}

static void
forget_threads(struct process *process)
{
	struct thread *thread, *next;

	HASH_ITER(hh, process->threads, thread, next)
	{
		HASH_DEL(process->threads, thread);
		free(thread);
	}
}

static void
free_process(struct process *process)
{
	forget_threads(process);
	free(process->mappings);
	free(process);
}

void
processes_free(struct processes *processes)
{
	struct process *process, *next;

	if (!processes)
		return;
	HASH_ITER(hh, processes->by_pid, process, next)
	{
		HASH_DEL(processes->by_pid, process);
		free_process(process);
	}
	free(processes);
}

size_t
processes_count(const struct processes *processes)
{
	return HASH_COUNT(processes->by_pid);
}

struct process *
processes_get(struct processes *processes, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, processes->by_pid, &pid, sizeof(pid), process);
	if (process)
		return process;
	if (HASH_COUNT(processes->by_pid) >= PROCESSES_MAX)
		return NULL;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->space = ++processes->spaces;
	HASH_ADD(hh, processes->by_pid, pid, sizeof(pid), process);
	return process;
}

static struct thread *
find_thread(const struct process *process, uint32_t tid)
{
	struct thread *thread;

	HASH_FIND(hh, process->threads, &tid, sizeof(tid), thread);
	return thread;
}

static int
name_thread(struct process *process, uint32_t tid, const char name[NAME_BYTES])
{
	struct thread *thread = find_thread(process, tid);

	if (!thread) {
		if (HASH_COUNT(process->threads) >= PROCESS_THREADS_MAX)
			return -E2BIG;
		thread = calloc(1, sizeof(*thread));
		if (!thread)
			return -ENOMEM;
		thread->tid = tid;
		HASH_ADD(hh, process->threads, tid, sizeof(tid), thread);
	}
	memcpy(thread->name, name, NAME_BYTES);
	return 0;
}

/* Index of the first mapping that ends after `address`. */
static size_t
first_ending_after(const struct process *process, uint64_t address)
{
	size_t low = 0, high = process->mapping_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (process->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct mapping *
process_mapping_at(struct process *process, uint64_t address)
{
	struct mapping *found = process->mapping_count ? &process->mappings[process->last] : NULL;

	if (found && address >= found->start && address < found->end)
		return found;
	size_t index = first_ending_after(process, address);
	if (index == process->mapping_count || address < process->mappings[index].start)
		return NULL;
	process->last = index;
	return &process->mappings[index];
}

static int
reserve(struct process *process, size_t count)
{
	if (count > PROCESS_MAPPINGS_MAX)
		return -E2BIG;
	if (count <= process->mapping_capacity)
		return 0;

	size_t capacity = process->mapping_capacity ? process->mapping_capacity * 2 : 16;
	if (capacity < count)
		capacity = count;
	struct mapping *grown = reallocarray(process->mappings, capacity, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	process->mappings = grown;
	process->mapping_capacity = capacity;
	return 0;
}

static struct mapping
without_head(struct mapping mapping, uint64_t new_start)
{
	uint64_t cut = new_start - mapping.start;

	mapping.start = new_start;
	mapping.offset += cut;
	mapping.address += cut;
	return mapping;
}

/* Replaces whatever [start, end) covers: the kernel does not report munmap, but nothing can be mapped over
 * something that is still there.
 *
 *      before   |---- a ----|   |--b--|  |---- c ----|
 *      new               |---------------------|
 *      after    |-- a ---|---------------------|- c -|
 */
static int
insert(struct process *process, struct mapping added)
{
	size_t first = first_ending_after(process, added.start);
	size_t last = first; /* one past the covered ones */
	struct mapping pieces[3];
	size_t piece_count = 0;

	while (last < process->mapping_count && process->mappings[last].start < added.end)
		last++;
	if (last > first && process->mappings[first].start < added.start) {
		pieces[piece_count] = process->mappings[first];
		pieces[piece_count++].end = added.start;
	}
	pieces[piece_count++] = added;
	if (last > first && process->mappings[last - 1].end > added.end)
		pieces[piece_count++] = without_head(process->mappings[last - 1], added.end);

	size_t count = process->mapping_count - (last - first) + piece_count;
	int result = reserve(process, count);
	if (result < 0)
		return result;
	memmove(&process->mappings[first + piece_count], &process->mappings[last],
		(process->mapping_count - last) * sizeof(added));
	memcpy(&process->mappings[first], pieces, piece_count * sizeof(added));
	process->mapping_count = count;
	process->last = 0;
	return 0;
}

static int
apply_mmap(struct processes *processes, const struct mmap_record *record)
{
	struct process *process = processes_get(processes, record->pid);

	if (!record->is_executable)
		return 0;
	if (!process)
		return -E2BIG;
	uint32_t file = mapped_files_add(processes->files, record);
	if (file == 0)
		return -E2BIG;
	/* after an exec the kernel maps the program itself first, its interpreter later (fs/binfmt_elf.c) */
	if (process->executable == 0 && record->path[0] == '/')
		process->executable = file;
	process->space = ++processes->spaces;
	return insert(process, (struct mapping){.start = record->start,
						.end = record->start + record->length,
						.offset = record->offset,
						.file = file,
						.owner = record->pid});
}

static int
apply_comm(struct processes *processes, const struct comm_record *record)
{
	struct process *process = processes_get(processes, record->pid);

	if (!process)
		return -E2BIG;
	if (record->is_exec) { /* one thread and no mapping is left (execve(2)) */
		process->mapping_count = process->last = 0;
		process->space = ++processes->spaces;
		process->executable = 0;
		process->is_leader_gone = false;
		forget_threads(process);
	}
	return name_thread(process, record->tid, record->name);
}

static int
copy_address_space(struct process *child, const struct process *parent)
{
	int result = reserve(child, parent->mapping_count);

	if (result < 0)
		return result;
	if (parent->mapping_count > 0)
		memcpy(child->mappings, parent->mappings, parent->mapping_count * sizeof(*child->mappings));
	child->mapping_count = parent->mapping_count;
	child->last = 0;
	child->executable = parent->executable;
	return 0;
}

/* A new thread or process starts with the name of the one that made it (clone(2) copies it). */
static int
apply_fork(struct processes *processes, const struct task_record *record)
{
	struct process *child = processes_get(processes, record->pid);
	struct process *parent = processes_get(processes, record->parent_pid);
	char name[NAME_BYTES] = "";

	if (!child || !parent)
		return -E2BIG;
	const struct thread *maker = find_thread(parent, record->parent_tid);
	if (maker)
		memcpy(name, maker->name, NAME_BYTES);
	if (child != parent) {
		forget_threads(child); /* a pid may come round again */
		child->is_leader_gone = false;
		int result = copy_address_space(child, parent);
		child->space = ++processes->spaces;
		if (result < 0)
			return result;
	}
	return name_thread(child, record->tid, name);
}

/* The first thread may end before the others: the process goes with its last one. */
static void
apply_exit(struct processes *processes, const struct task_record *record)
{
	struct process *process;

	HASH_FIND(hh, processes->by_pid, &record->pid, sizeof(record->pid), process);
	if (!process)
		return;
	/* the leader's name is the process's: it stays as long as the process does */
	struct thread *leader = find_thread(process, record->pid);
	struct thread *thread = find_thread(process, record->tid);
	if (record->tid == record->pid) {
		process->is_leader_gone = true;
	} else if (thread) {
		HASH_DEL(process->threads, thread);
		free(thread);
	}
	if (process->is_leader_gone && HASH_COUNT(process->threads) == (leader != NULL)) {
		HASH_DEL(processes->by_pid, process);
		free_process(process);
	}
}

int
processes_apply(struct processes *processes, const struct sideband_record *record)
{
	switch (record->type) {
	case PERF_RECORD_MMAP2:
		return apply_mmap(processes, &record->mmap);
	case PERF_RECORD_COMM:
		return apply_comm(processes, &record->comm);
	case PERF_RECORD_FORK:
		return apply_fork(processes, &record->task);
	case PERF_RECORD_EXIT:
		apply_exit(processes, &record->task);
		return 0;
	default:
		return 0;
	}
}

uint64_t
process_space(const struct process *process)
{
	return process->space;
}

uint32_t
process_pid(const struct process *process)
{
	return process->pid;
}

uint32_t
process_executable(const struct process *process)
{
	return process->executable;
}

const char *
process_name(const struct process *process)
{
	return process_thread_name(process, process->pid);
}

const char *
process_thread_name(const struct process *process, uint32_t tid)
{
	const struct thread *thread = find_thread(process, tid);

	return thread ? thread->name : "";
}
