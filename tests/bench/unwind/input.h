#pragma once
/* What every engine is given: the samples of the busiest process of a recording, copied into memory, and what
 * it had mapped. */

#include "worker/process/processes.h"

struct bench_module {
	uint64_t start, end; /* of the mapping */
	uint64_t bias;       /* to add to the file's own addresses */
	const char *path;
	int fd; /* borrowed from the mapped file */
};

struct bench_input {
	struct sample_record *samples;
	size_t sample_count;
	struct bench_module *modules; /* in the order they were mapped */
	size_t module_count;
	uint32_t pid;
	struct mapped_files *files;
	struct processes *processes;
	struct process *process;
};

#define BENCH_FRAMES_MAX 512
#define BENCH_TOGETHER 16

struct engine {
	const char *name;
	int (*prepare)(const struct bench_input *input);
	/* Absolute addresses, leaf first; return addresses minus one. Room for BENCH_FRAMES_MAX; NULL: only
	 * their number is wanted. Returns how many. */
	size_t (*walk)(const struct sample_record *sample, uint64_t *ret_pc);
	/* Up to BENCH_TOGETHER of them; NULL: it walks one at a time. The number of frames in all. */
	size_t (*walk_together)(const struct sample_record *const *samples, size_t count);
};

extern const struct engine engine_ours, engine_dwfl, engine_libunwind;

/* Exits with a message when there is nothing to measure with. */
void bench_input_read(const char *path, size_t samples_max, struct bench_input *ret);
