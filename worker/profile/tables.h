#pragma once
/* What profile.c collects and encode.c writes. A stack is a node of a tree that shares the outer frames:
 *
 *     location 3  main      node 1 ──┬── node 2 (location 5, work)
 *     location 5  work               └── node 3 (location 8, idle) ── node 4 (location 5, work)
 *
 * Node numbers count from 1; caller 0 is the empty stack. So a stack of 100 frames whose callers were
 * seen before costs 24 bytes and its index entry, and two stacks are equal exactly when their nodes are. */

#include "worker/profile/profile.h"
#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"

/* A location; location numbers are 0-based, pprof ids are 1 more. */
struct location_record {
	uint64_t address;
	uint32_t mapping, zero; /* no padding in a key */
};

struct node_record {
	uint64_t address; /* the frame itself, so that a known one needs no look at the locations */
	uint32_t mapping;
	uint32_t caller; /* node number, 0: outermost; key until here */
	uint32_t location, depth;
};

struct sample_record {
	uint32_t node, pid, tid;
	uint32_t process_name, thread_name, zero; /* string numbers; key until here */
	int64_t cpu_time_ns, count;
};
#define SAMPLE_KEY_SIZE offsetof(struct sample_record, cpu_time_ns)

struct pseudo_record {
	uint32_t function, filename; /* string numbers */
};

/* The stack added last, from its root: the next one mostly begins with the same frames, whose nodes then need
 * not be looked for. */
#define RECENT_DEPTH 512
struct recent_stack {
	size_t depth;
	struct profile_frame frames[RECENT_DEPTH];
	uint32_t nodes[RECENT_DEPTH];
};

struct profile {
	struct budget budget;
	struct string_table strings; /* names of processes and threads; encode.c adds its own */
	struct record_table locations, nodes, samples;
	struct recent_stack recent;
	uint32_t depth_max;
	int64_t sample_count;
	/* kept by profile_clear */
	struct string_table pseudo_strings;
	struct record_table pseudo_frames; /* the id is the number plus 1 */
};
