#pragma once
/* From decoded records to counted stacks: follows what is mapped where, walks each sample's stack and adds it
 * to a profile. It does not care whether the records come from the kernel's rings or out of a file. */

#include "ipc/protocol.h"
#include "worker/collect/sample_walk.h"
#include "worker/process/file_endings.h"
#include "worker/process/processes.h"
#include "worker/profile/profile.h"

/* The mapping of the last frame. */
struct recent_code {
	uint64_t start, size; /* size 0: none */
	uint64_t bias;        /* from an address in the target to one of the file */
	struct code_place place;
};

struct collector {
	struct mapped_files *files;
	struct processes *processes;
	struct unwinder *unwinder;
	struct profile *profile;
	struct process *sampled; /* whose sample is being walked */
	struct recent_code recent;
	struct sample_walker walker;
	struct ledger ledger;
	struct file_endings endings; /* of the same stacks, by file */
};

/* `open_file` is asked for each file that is sampled. 0 or -ENOMEM; what was made is destroyed either way. */
int collector_init(struct collector *ret, mapped_file_open *open_file, void *context,
		   size_t profile_memory_bytes);
void collector_destroy(struct collector *collector);

/* What cannot be stored is counted in the ledger. */
void collector_add_sample(struct collector *collector, const struct sample_record *sample);

/* What the walk of such a sample asks, a code_lookup of `sampled`; for the benchmark, which walks alone. */
void collector_look_up(void *collector, uint64_t pc, struct code_place *ret);

/* One sample for everything that ledger.lost counts, under this process's name. */
void collector_add_lost(struct collector *collector, uint32_t pid, uint32_t executable, const char *name,
			uint64_t period_ns);

/* The profile as one pprof message. 0 or -errno. */
int collector_write(struct collector *collector, const struct profile_header *header, int fd);
