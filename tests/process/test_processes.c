/* Address spaces as the sideband describes them, against a model that is too simple to be wrong: an array of
 * pages per process. */

#include "worker/process/processes.h"

#include "tests/support/descriptors.h"
#include "tests/support/random.h"
#include "worker/process/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 4096ull

static struct mapped_files *files;
static struct processes *processes;

static int
refuse_to_open(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	(void)context;
	(void)ret_candidate;
	(void)request;
	fail_msg("nothing here needs a file's content");
	return -ENOENT;
}

static int
start(void **state)
{
	(void)state;
	files = mapped_files_new(refuse_to_open, NULL);
	processes = processes_new(files);
	return files && processes ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	processes_free(processes);
	mapped_files_free(files);
	return 0;
}

/* ---- records ---- */

static int
apply_mmap(uint32_t pid, uint64_t address, uint64_t length, uint64_t offset, unsigned file)
{
	char path[32];
	struct sideband_record record = {.type = PERF_RECORD_MMAP2};

	snprintf(path, sizeof(path), "/file%u", file);
	record.mmap = (struct mmap_record){
		.pid = pid,
		.tid = pid,
		.start = address,
		.length = length,
		.offset = offset,
		.inode = file,
		.is_executable = true,
		.path = path,
	};
	return processes_apply(processes, &record);
}

static int
apply_comm(uint32_t pid, uint32_t tid, const char *name, bool is_exec)
{
	struct sideband_record record = {.type = PERF_RECORD_COMM,
					 .comm = {.pid = pid, .tid = tid, .is_exec = is_exec}};

	strncpy(record.comm.name, name, sizeof(record.comm.name) - 1);
	return processes_apply(processes, &record);
}

static int
apply_task(uint32_t type, uint32_t pid, uint32_t tid, uint32_t parent_pid, uint32_t parent_tid)
{
	struct sideband_record record = {
		.type = type,
		.task = {.pid = pid, .tid = tid, .parent_pid = parent_pid, .parent_tid = parent_tid}};

	return processes_apply(processes, &record);
}

static void
fork_process(uint32_t pid, uint32_t parent)
{
	assert_int_equal(apply_task(PERF_RECORD_FORK, pid, pid, parent, parent), 0);
}

static void
start_thread(uint32_t pid, uint32_t tid, uint32_t maker)
{
	assert_int_equal(apply_task(PERF_RECORD_FORK, pid, tid, pid, maker), 0);
}

static void
end_thread(uint32_t pid, uint32_t tid)
{
	assert_int_equal(apply_task(PERF_RECORD_EXIT, pid, tid, pid, tid), 0);
}

/* ---- the model ---- */

#define MODEL_PAGES 128
#define MODEL_PROCESSES 12
#define MODEL_THREADS 4 /* besides the first */

struct model_page {
	unsigned file; /* 0: nothing */
	uint64_t offset;
};

struct model_process {
	bool is_alive, leader_is_gone;
	bool has_thread[MODEL_THREADS];
	char name[16], thread_name[MODEL_THREADS][16];
	unsigned executable;
	struct model_page page[MODEL_PAGES];
};

static struct model_process model[MODEL_PROCESSES];

static uint32_t
pid_of(unsigned process)
{
	return 1000 + 100 * process;
}

static uint32_t
tid_of(unsigned process, unsigned thread)
{
	return pid_of(process) + 1 + thread;
}

/* Where the test pretends each file is linked: once located, a piece of a mapping must stay right. */
static uint64_t
link_address(uint32_t file, uint64_t offset)
{
	return file * 0x10000000ull + offset;
}

static void
check_process(unsigned index, uint64_t *seed)
{
	struct process *process = processes_get(processes, pid_of(index));
	struct model_process *expected = &model[index];

	assert_string_equal(process_name(process), expected->name);
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		assert_string_equal(process_thread_name(process, tid_of(index, t)),
				    expected->has_thread[t] ? expected->thread_name[t] : "");
	const struct mapped_file *executable = mapped_files_get(files, process_executable(process));
	assert_int_equal(executable ? executable->inode : 0, expected->executable);
	for (unsigned n = 0; n < MODEL_PAGES; n++) {
		unsigned page = (unsigned)random_below(seed, MODEL_PAGES);
		uint64_t address = page * PAGE + random_below(seed, PAGE);
		struct mapping *found = process_mapping_at(process, address);

		if (expected->page[page].file == 0) {
			assert_null(found);
			continue;
		}
		assert_non_null(found);
		assert_true(found->start <= address && address < found->end);
		assert_int_equal(mapped_files_get(files, found->file)->inode, expected->page[page].file);
		assert_int_equal(found->offset + (address - found->start),
				 expected->page[page].offset + address % PAGE);
		if (found->is_located)
			assert_int_equal(found->address, link_address(found->file, found->offset));
		found->is_located = true;
		found->address = link_address(found->file, found->offset);
	}
	assert_null(process_mapping_at(process, MODEL_PAGES * PAGE));
	assert_null(process_mapping_at(process, UINT64_MAX));
}

static unsigned
pick(uint64_t *seed, bool is_alive)
{
	for (;;) {
		unsigned index = (unsigned)random_below(seed, MODEL_PROCESSES);
		if (model[index].is_alive == is_alive)
			return index;
	}
}

static unsigned
count_alive(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MODEL_PROCESSES; i++)
		count += model[i].is_alive;
	return count;
}

static void
do_mmap(uint64_t *seed)
{
	unsigned index = pick(seed, true);
	unsigned first = (unsigned)random_below(seed, MODEL_PAGES);
	unsigned count = 1 + (unsigned)random_below(seed, random_below(seed, 3) ? 8 : MODEL_PAGES);
	unsigned file = 1 + (unsigned)random_below(seed, 5);
	uint64_t offset = random_below(seed, 64) * PAGE;

	if (count > MODEL_PAGES - first)
		count = MODEL_PAGES - first;
	assert_int_equal(apply_mmap(pid_of(index), first * PAGE, count * PAGE, offset, file), 0);
	for (unsigned i = 0; i < count; i++)
		model[index].page[first + i] = (struct model_page){file, offset + i * PAGE};
	if (model[index].executable == 0)
		model[index].executable = file;
}

static void
do_fork(uint64_t *seed)
{
	if (count_alive() == MODEL_PROCESSES)
		return;
	unsigned parent = pick(seed, true), child = pick(seed, false);
	unsigned maker = (unsigned)random_below(seed, MODEL_THREADS);

	/* the forking thread may be any that lives; the child starts with its name */
	bool by_thread = model[parent].has_thread[maker];
	if (!by_thread && model[parent].leader_is_gone)
		return;
	model[child] = model[parent];
	if (by_thread)
		strcpy(model[child].name, model[parent].thread_name[maker]);
	memset(model[child].has_thread, 0, sizeof(model[child].has_thread));
	model[child].leader_is_gone = false;
	assert_int_equal(apply_task(PERF_RECORD_FORK, pid_of(child), pid_of(child), pid_of(parent),
				    by_thread ? tid_of(parent, maker) : pid_of(parent)),
			 0);
}

static void
do_thread(uint64_t *seed)
{
	unsigned index = pick(seed, true), thread = (unsigned)random_below(seed, MODEL_THREADS);

	if (model[index].has_thread[thread] || model[index].leader_is_gone)
		return;
	model[index].has_thread[thread] = true;
	strcpy(model[index].thread_name[thread], model[index].name);
	start_thread(pid_of(index), tid_of(index, thread), pid_of(index));
	if (random_below(seed, 2)) {
		sprintf(model[index].thread_name[thread], "thread %u", (unsigned)random_below(seed, 1000));
		assert_int_equal(apply_comm(pid_of(index), tid_of(index, thread),
					    model[index].thread_name[thread], false),
				 0);
	}
}

static void
do_exit(uint64_t *seed)
{
	unsigned index = pick(seed, true), threads = 0;
	unsigned thread = (unsigned)random_below(seed, MODEL_THREADS + 1);

	if (count_alive() == 1)
		return;
	if (thread == MODEL_THREADS && !model[index].leader_is_gone) {
		model[index].leader_is_gone = true;
		end_thread(pid_of(index), pid_of(index));
	} else if (thread < MODEL_THREADS && model[index].has_thread[thread]) {
		model[index].has_thread[thread] = false;
		end_thread(pid_of(index), tid_of(index, thread));
	}
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		threads += model[index].has_thread[t];
	model[index].is_alive = !model[index].leader_is_gone || threads > 0;
}

/* All other threads end first, the leader too when another thread calls exec: that one gets its pid. */
static void
do_exec(uint64_t *seed)
{
	unsigned index = pick(seed, true);
	unsigned caller = (unsigned)random_below(seed, MODEL_THREADS);
	struct model_process *process = &model[index];

	if (!process->has_thread[caller] && process->leader_is_gone)
		return;
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		if (process->has_thread[t] && t != caller)
			end_thread(pid_of(index), tid_of(index, t));
	if (process->has_thread[caller] && !process->leader_is_gone)
		end_thread(pid_of(index), pid_of(index));
	memset(process, 0, sizeof(*process));
	process->is_alive = true;
	sprintf(process->name, "exec %u", (unsigned)random_below(seed, 1000));
	assert_int_equal(apply_comm(pid_of(index), pid_of(index), process->name, true), 0);
}

static void
replay_one(void *context, const uint8_t *bytes, size_t size)
{
	struct sideband_record record;

	(void)context;
	assert_int_equal(record_decode_sideband(bytes, size, &record), 0);
	assert_int_equal(processes_apply(processes, &record), 0);
}

/* A compacted journal and a successor that knows nothing but it. */
static void
restart_from_journal(void)
{
	struct journal journal;

	assert_int_equal(journal_open(file_with(""), &journal), 0);
	assert_int_equal(processes_write_to(processes, &journal), 0);
	finish(NULL);
	start(NULL);
	assert_int_equal(journal_replay(journal.fd, replay_one, NULL), 0);
	journal_close(&journal);
	/* an executable of which nothing is mapped any more is not in it: the lowest mapping takes its place
	 */
	for (unsigned i = 0; i < MODEL_PROCESSES; i++) {
		unsigned lowest = 0;
		bool is_mapped = false;

		for (unsigned page = MODEL_PAGES; page-- > 0;) {
			is_mapped |= model[i].page[page].file == model[i].executable;
			lowest = model[i].page[page].file ? model[i].page[page].file : lowest;
		}
		if (!is_mapped)
			model[i].executable = lowest;
	}
}

static void
run_against_the_model(unsigned restart_each)
{
	for (uint64_t run = 1; run <= 12; run++) {
		uint64_t seed = run;

		memset(model, 0, sizeof(model));
		model[0].is_alive = true;
		strcpy(model[0].name, "first");
		assert_int_equal(apply_comm(pid_of(0), pid_of(0), "first", true), 0);
		for (unsigned step = 0; step < 1500; step++) {
			uint64_t what = random_below(&seed, 100);

			if (what < 60)
				do_mmap(&seed);
			else if (what < 70)
				do_fork(&seed);
			else if (what < 80)
				do_thread(&seed);
			else if (what < 97)
				do_exit(&seed);
			else
				do_exec(&seed);
			if (restart_each && step % restart_each == 0)
				restart_from_journal();
			assert_int_equal(processes_count(processes), count_alive());
			check_process(pick(&seed, true), &seed);
		}
		finish(NULL);
		start(NULL);
	}
}

static void
test_against_the_model(void **state)
{
	(void)state;
	run_against_the_model(0);
}

static void
test_restarted_from_a_compacted_journal(void **state)
{
	(void)state;
	run_against_the_model(50);
}

/* ---- single stories ---- */

static void
test_leader_exits_first(void **state)
{
	(void)state;
	assert_int_equal(apply_comm(10, 10, "leader", true), 0);
	assert_int_equal(apply_mmap(10, 0x1000, 0x1000, 0, 1), 0);
	start_thread(10, 11, 10);
	start_thread(10, 12, 11);
	end_thread(10, 10);
	assert_int_equal(processes_count(processes), 1);
	assert_non_null(process_mapping_at(processes_get(processes, 10), 0x1000));
	assert_string_equal(process_name(processes_get(processes, 10)),
			    "leader"); /* its threads' samples need it */
	end_thread(10, 12);
	assert_int_equal(processes_count(processes), 1);
	end_thread(10, 11);
	assert_int_equal(processes_count(processes), 0);
}

static void
test_exit_of_the_unknown(void **state)
{
	(void)state;
	end_thread(10, 10);
	assert_int_equal(processes_count(processes), 0);
	assert_int_equal(apply_comm(10, 10, "known", true), 0);
	end_thread(10, 99); /* a thread nobody spoke of: the process is still there */
	assert_int_equal(processes_count(processes), 1);
	end_thread(10, 10);
	assert_int_equal(processes_count(processes), 0);
}

/* A pid that comes round again is another process, even when the end of the first was lost. */
static void
test_pid_reuse(void **state)
{
	(void)state;
	assert_int_equal(apply_comm(1, 1, "parent", true), 0);
	assert_int_equal(apply_mmap(1, 0x1000, 0x1000, 0, 1), 0);
	fork_process(10, 1);
	assert_int_equal(apply_comm(10, 10, "first", true), 0);
	assert_int_equal(apply_mmap(10, 0x8000, 0x1000, 0, 2), 0);
	start_thread(10, 11, 10);
	end_thread(10, 10); /* its last thread's record is lost */

	fork_process(10, 1);
	struct process *process = processes_get(processes, 10);
	assert_null(process_mapping_at(process, 0x8000));
	assert_int_equal(mapped_files_get(files, process_mapping_at(process, 0x1000)->file)->inode, 1);
	assert_int_equal(mapped_files_get(files, process_executable(process))->inode, 1);
	assert_string_equal(process_name(process), "parent");
	assert_string_equal(process_thread_name(process, 11), "");
	assert_int_equal(processes_count(processes), 2);
	end_thread(10, 10);
	assert_int_equal(processes_count(processes), 1);
}

/* Code without a file is named by who mapped it: a child has its parent's, until it maps some itself. */
static void
test_owner(void **state)
{
	(void)state;
	assert_int_equal(apply_mmap(1, 0x1000, 0x3000, 0, 1), 0);
	fork_process(10, 1);
	fork_process(20, 10);
	assert_int_equal(apply_mmap(10, 0x2000, 0x1000, 0, 2), 0);
	struct process *child = processes_get(processes, 10);
	assert_int_equal(process_mapping_at(child, 0x1000)->owner, 1);
	assert_int_equal(process_mapping_at(child, 0x2000)->owner, 10);
	assert_int_equal(process_mapping_at(child, 0x3000)->owner, 1);
	assert_int_equal(process_mapping_at(processes_get(processes, 20), 0x2000)->owner, 1);
	assert_int_equal(process_mapping_at(processes_get(processes, 1), 0x2000)->owner, 1);
}

static uint64_t
space_of(uint32_t pid)
{
	return process_space(processes_get(processes, pid));
}

/* What was found in an address space before is looked for under a number that is gone. */
static void
test_space_changes_with_mappings(void **state)
{
	uint64_t seen[6];

	(void)state;
	seen[0] = space_of(10);
	assert_int_equal(apply_mmap(10, 0x10000, PAGE, 0, 1), 0);
	seen[1] = space_of(10);
	assert_int_equal(apply_mmap(10, 0x10000, PAGE, 0, 2), 0); /* over the other */
	seen[2] = space_of(10);
	fork_process(20, 10);
	seen[3] = space_of(20);
	assert_int_equal(apply_comm(20, 20, "other", /* is_exec= */ true), 0);
	seen[4] = space_of(20);
	end_thread(20, 20);
	seen[5] = space_of(20); /* the pid again */
	assert_int_equal(space_of(10), seen[2]);
	start_thread(10, 11, 10);
	assert_int_equal(space_of(10), seen[2]);
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j] && seen[i] != 0);
}

static void
test_executable(void **state)
{
	struct sideband_record vdso = {.type = PERF_RECORD_MMAP2,
				       .mmap = {.pid = 5,
						.start = 0x7000,
						.length = 0x1000,
						.is_executable = true,
						.path = "[vdso]"}};

	(void)state;
	assert_int_equal(process_executable(processes_get(processes, 5)), 0);
	assert_int_equal(processes_apply(processes, &vdso), 0);
	assert_int_equal(process_executable(processes_get(processes, 5)), 0);
	assert_int_equal(apply_mmap(5, 0x1000, 0x1000, 0, 1), 0);
	assert_int_equal(apply_mmap(5, 0x2000, 0x1000, 0, 2), 0); /* its interpreter */
	assert_int_equal(mapped_files_get(files, process_executable(processes_get(processes, 5)))->inode, 1);
	assert_int_equal(apply_comm(5, 5, "again", true), 0);
	assert_int_equal(process_executable(processes_get(processes, 5)), 0);
	assert_int_equal(apply_mmap(5, 0x1000, 0x1000, 0, 2), 0);
	assert_int_equal(mapped_files_get(files, process_executable(processes_get(processes, 5)))->inode, 2);
}

/* Data is none of our business, and neither are records of other kinds. */
static void
test_ignored(void **state)
{
	struct sideband_record data = {
		.type = PERF_RECORD_MMAP2,
		.mmap = {.pid = 5, .start = 0x1000, .length = 0x1000, .path = "/file1"}};
	struct sideband_record lost = {.type = PERF_RECORD_LOST, .lost = {.count = 7}};

	(void)state;
	assert_int_equal(processes_apply(processes, &data), 0);
	assert_null(process_mapping_at(processes_get(processes, 5), 0x1000));
	assert_int_equal(processes_apply(processes, &lost), 0);
	assert_int_equal(processes_count(processes), 1);
}

static void
test_limit_of_processes(void **state)
{
	(void)state;
	for (uint32_t pid = 1; pid <= PROCESSES_MAX; pid++)
		assert_int_equal(apply_comm(pid, pid, "x", true), 0);
	assert_null(processes_get(processes, PROCESSES_MAX + 1));
	assert_int_equal(apply_comm(PROCESSES_MAX + 1, PROCESSES_MAX + 1, "x", false), -E2BIG);
	assert_int_equal(apply_mmap(PROCESSES_MAX + 1, 0x1000, 0x1000, 0, 1), -E2BIG);
	assert_int_equal(apply_task(PERF_RECORD_FORK, PROCESSES_MAX + 1, PROCESSES_MAX + 1, 1, 1), -E2BIG);
	assert_int_equal(apply_mmap(1, 0x1000, 0x1000, 0, 1), 0); /* the known ones go on */
	end_thread(7, 7);
	assert_int_equal(apply_comm(PROCESSES_MAX + 1, PROCESSES_MAX + 1, "x", false), 0);
}

static void
fill_mappings(uint32_t pid, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		assert_int_equal(apply_mmap(pid, 2 * i * PAGE, PAGE, 0, 1), 0);
}

/* The limit is the limit, however the table grew: record by record, or at once by fork. */
static void
test_limit_of_mappings(void **state)
{
	(void)state;
	fill_mappings(1, 0, 40000);
	fork_process(2, 1);
	for (uint32_t pid = 1; pid <= 2; pid++) {
		fill_mappings(pid, 40000, PROCESS_MAPPINGS_MAX);
		assert_int_equal(apply_mmap(pid, 2ull * PROCESS_MAPPINGS_MAX * PAGE, PAGE, 0, 1), -E2BIG);
		assert_null(process_mapping_at(processes_get(processes, pid),
					       2ull * PROCESS_MAPPINGS_MAX * PAGE));
		assert_int_equal(apply_mmap(pid, 6 * PAGE, PAGE, 0, 2), 0); /* in place of another */
		assert_non_null(process_mapping_at(processes_get(processes, pid), 8 * PAGE));
	}
}

static void
test_limit_of_threads(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PROCESS_THREADS_MAX; i++)
		assert_int_equal(apply_comm(1, 1 + i, "x", false), 0);
	assert_int_equal(apply_comm(1, 1 + PROCESS_THREADS_MAX, "x", false), -E2BIG);
	assert_int_equal(apply_comm(1, 5, "y", false), 0);
	assert_string_equal(process_thread_name(processes_get(processes, 1), 5), "y");
}

static void
test_limit_of_files(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= MAPPED_FILES_MAX; i++)
		assert_int_equal(apply_mmap(1, 0x1000, PAGE, 0, i), 0);
	assert_int_equal(apply_mmap(1, 0x1000, PAGE, 0, MAPPED_FILES_MAX + 1), -E2BIG);
	assert_int_equal(apply_mmap(1, 0x1000, PAGE, 0, 1), 0); /* a known one */
	assert_null(mapped_files_get(files, MAPPED_FILES_MAX + 1));
}

#define PROCESS_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROCESS_TEST(test_against_the_model),
		PROCESS_TEST(test_restarted_from_a_compacted_journal),
		PROCESS_TEST(test_leader_exits_first),
		PROCESS_TEST(test_exit_of_the_unknown),
		PROCESS_TEST(test_pid_reuse),
		PROCESS_TEST(test_owner),
		PROCESS_TEST(test_space_changes_with_mappings),
		PROCESS_TEST(test_executable),
		PROCESS_TEST(test_ignored),
		PROCESS_TEST(test_limit_of_processes),
		PROCESS_TEST(test_limit_of_mappings),
		PROCESS_TEST(test_limit_of_threads),
		PROCESS_TEST(test_limit_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
