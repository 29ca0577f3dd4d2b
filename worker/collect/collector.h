#pragma once
/* From decoded records to counted stacks: follows what is mapped where, walks each sample's stack and adds it
 * to a profile. It does not care whether the records come from the kernel's rings or out of a file. */

#include "ipc/protocol.h"
#include "worker/collect/jit_spaces.h"
#include "worker/collect/sample_walk.h"
#include "worker/process/file_endings.h"
#include "worker/process/processes.h"
#include "worker/profile/profile.h"
#include "worker/unwind/unwind.h"

/* A frame's `file` names the file and, in the lowest bits, its executable segment. */
#define COLLECTOR_SEGMENT_BITS 4
#define COLLECTOR_SEGMENT_MASK ((1u << COLLECTOR_SEGMENT_BITS) - 1)

/* Mappings with numbers above those of files are jit_spaces. */
#define COLLECTOR_JIT_MAPPINGS ((MAPPED_FILES_MAX + 1u) << COLLECTOR_SEGMENT_BITS)

/* Pseudo-frames that many stacks have, by the profile's number. */
struct known_pseudo_frames {
	uint64_t anonymous, unknown_mapping, kernel, end[UNWIND_END_COUNT];
	struct {
		uint32_t file; /* 0: empty */
		uint64_t frame;
	} executable[16]; /* by file number */
};

struct collector {
	struct mapped_files *files;
	struct processes *processes;
	struct unwinder *unwinder;
	struct profile *profile;
	struct known_pseudo_frames known;
	bool keeps_jit_addresses; /* for somebody who can name them; else such code is "[anonymous]" */
	uint64_t kernel_offset;   /* added to addresses of the kernel's; 0: nobody can name them */
	struct jit_spaces jit_spaces;
	struct sample_walker walker;
	struct ledger ledger;
	struct file_endings endings; /* of the same stacks, by file */
};

/* `open_file` is asked for each file that is sampled. 0 or -ENOMEM; what was made is destroyed either way. */
int collector_init(struct collector *ret, mapped_file_open *open_file, void *context,
		   size_t profile_memory_bytes);
void collector_destroy(struct collector *collector);

/* Up to COLLECTOR_SAMPLES_MAX, between which nothing was mapped; together they cost less than one by one.
 * What cannot be stored is counted in the ledger. */
#define COLLECTOR_SAMPLES_MAX UNWIND_JOBS_MAX
void collector_add_samples(struct collector *collector, const struct sample_record *samples, size_t count);

/* What the walk of such a sample asks: a code_lookup, given one of these; for the benchmark, which walks
 * alone. */
struct sampled_process {
	struct collector *collector;
	struct process *process;
};
void collector_look_up(void *sampled_process, uint64_t pc, struct code_place *ret);

/* Who has what no stack tells the owner of. */
struct session_target {
	uint32_t pid, executable; /* file number */
	char name[16];
};

/* One sample for each kind of time that the ledger has without stacks: "[lost]", "[kernel]", "[unsampled]".
 */
void collector_add_without_stacks(struct collector *collector, const struct session_target *target,
				  uint64_t period_ns);

/* The profile as one pprof message. 0 or -errno. */
int collector_write(struct collector *collector, const struct profile_header *header, int fd);

/* The next period: processes and files stay. */
void collector_clear(struct collector *collector);
