#pragma once
/* Inside of processes.c, shared with snapshot.c only. */

#include "worker/process/processes.h"

#include <uthash.h>

#define NAME_BYTES 16 /* TASK_COMM_LEN, with the NUL */

struct thread {
	uint32_t tid;
	char name[NAME_BYTES];
	UT_hash_handle hh;
};

struct process {
	uint32_t pid;
	uint32_t executable;
	uint64_t space;
	bool is_leader_gone;      /* its first thread ended, others run on */
	struct mapping *mappings; /* sorted, disjoint */
	size_t mapping_count, mapping_capacity;
	size_t last; /* index of the last hit: consecutive lookups mostly stay in one file */
	struct thread *threads;
	UT_hash_handle hh;
};

struct processes {
	struct mapped_files *files;
	struct process *by_pid;
	uint64_t spaces; /* given out so far */
};
