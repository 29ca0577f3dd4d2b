#pragma once
/* Decodes the perf records we asked for (policy/events.c fixes their layout). One decoder per kind, one
 * verdict at the end: a record that has not exactly the expected layout is -EBADMSG and costs only itself. */

#include "ipc/protocol.h"
#include "worker/perf/ring.h"
#include "worker/unwind/unwind.h"

/* The kernel's walks end here as well (kernel.perf_event_max_stack, by default). */
#define SAMPLE_CHAIN_MAX 127

/* A sample; `stack` points into the ring and is valid until the ring is released past the record.
 * Not to be copied: `chain` may point into it. */
struct sample_record {
	uint32_t pid, tid;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t period_ns;
	bool has_registers; /* false: a kernel thread's moment, or a 32-bit process */
	struct user_registers registers;
	struct stack_view stack;
	uint32_t stack_requested;              /* bytes; of the stack fewer may have been copied */
	const uint64_t *chain;                 /* the kernel's own walk in user space, leaf first */
	size_t chain_count;                    /* 0: it was not asked for one, or there is none */
	bool in_kernel;                        /* interrupted there, and makes one frame */
	uint64_t chain_copy[SAMPLE_CHAIN_MAX]; /* what `chain` points to in samples from a ring */
	size_t kernel_chain_count; /* of a sample in the kernel, if its addresses were asked for */
	uint64_t kernel_chain[SAMPLE_CHAIN_MAX]; /* leaf first: where it was, then where its callers go on */
};
int record_decode_sample(const struct ring_record *record, struct sample_record *ret);

/* DWARF's number of a bit of perf's register mask; -1: flags, segments, what no walk needs. */
int record_dwarf_register(unsigned perf_bit);

/* Sideband records, copied out of the ring. */
struct mmap_record {
	uint32_t pid, tid;
	uint64_t start, length, offset; /* bytes; offset into the file */
	uint32_t device_major, device_minor;
	uint64_t inode;
	uint8_t build_id[MAX_BUILD_ID];
	uint32_t build_id_size; /* 0: device and inode are set instead */
	bool is_executable;
	uint64_t time_ns; /* CLOCK_MONOTONIC; 0: unknown; for the reader of the ring to set */
	const char *path; /* terminated, inside `struct sideband_record` */
};
struct comm_record {
	uint32_t pid, tid;
	bool is_exec;
	char name[16];
};
struct task_record { /* FORK and EXIT */
	uint32_t pid, parent_pid, tid, parent_tid;
};
struct lost_record {
	uint64_t count;
};

struct sideband_record {
	uint32_t type; /* PERF_RECORD_MMAP2, _COMM, _FORK, _EXIT, _LOST; others: nothing decoded */
	union {
		struct mmap_record mmap;
		struct comm_record comm;
		struct task_record task;
		struct lost_record lost;
	};
};

/* Largest sideband record: MMAP2 with a path of PATH_MAX. */
#define SIDEBAND_MAX_BYTES (MAX_PATH_BYTES + 256)

/* `bytes` is one whole record, header first; strings in *ret point into it. 0 or -EBADMSG. */
int record_decode_sideband(const uint8_t *bytes, size_t size, struct sideband_record *ret);

/* The same for the body alone, without header and trailer: for recordings whose trailer is another. */
int record_decode_sideband_body(const struct perf_event_header *header, const uint8_t *bytes, size_t size,
				struct sideband_record *ret);

/* The time of any record of ours; false when it is too short to have one. */
bool record_time(const struct ring_record *record, uint64_t *ret_time_ns);
