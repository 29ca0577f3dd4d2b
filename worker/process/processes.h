#pragma once
/* The processes of the target's tree as the sideband describes them: what is mapped where, what they are
 * called. Applying the same records again gives the same state, which is how a restarted unwinder recovers.
 */

#include "worker/process/mapped_files.h"

struct journal;

struct mapping {
	uint64_t start, end, offset; /* of the target's memory; offset into the file */
	uint32_t file;               /* number in mapped_files */
	uint32_t owner; /* PID of the process that mapped it: this one, or one it descends from by fork */
	bool is_located;
	uint64_t address; /* ELF virtual address of `start`, once is_located */
};

struct process;
struct processes;

#define PROCESSES_MAX 32768
#define PROCESS_MAPPINGS_MAX 65536
#define PROCESS_THREADS_MAX 65536

struct processes *processes_new(struct mapped_files *files); /* borrows files; NULL: out of memory */
void processes_free(struct processes *processes);

/* Follows one sideband record. 0, -ENOMEM or -E2BIG (a limit above was reached; the record is not known). */
int processes_apply(struct processes *processes, const struct sideband_record *record);

/* Appends records that, replayed, give the present state. 0 or -errno. */
int processes_write_to(const struct processes *processes, struct journal *journal);

/* The process, created empty when no record spoke of it yet; NULL: out of memory or limits. */
struct process *processes_get(struct processes *processes, uint32_t pid);
size_t processes_count(const struct processes *processes);

/* The mapping at an address, borrowed until the next processes_apply(); NULL: none known. */
struct mapping *process_mapping_at(struct process *process, uint64_t address);

/* Stands for what is mapped now: another number after each change, never one of another process; not 0. */
uint64_t process_space(const struct process *process);

uint32_t process_pid(const struct process *process);
uint32_t process_executable(const struct process *process); /* file number; 0: unknown */
const char *process_name(const struct process *process);    /* "" until known */
const char *process_thread_name(const struct process *process, uint32_t tid);
