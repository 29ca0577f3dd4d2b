#pragma once
/* Aggregates unwound samples and writes them as one uncompressed pprof message (profile.proto).
 * Identical stacks of one thread become one pprof Sample. Knows nothing of ELF or perf: files are
 * numbers that the caller describes when the profile is written. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mapping != 0: code at an ELF virtual address in a file the caller numbered.
 * mapping == 0: a pseudo-frame; address is what profile_pseudo_frame() returned (any other value, such as
 * the 0 it returns when out of memory, leaves the frame out). */
struct profile_frame {
	uint32_t mapping;
	uint64_t address;
};

struct profile_sample {
	const struct profile_frame *frames; /* leaf first */
	size_t frame_count;
	uint32_t pid, tid;
	const char *process_name, *thread_name; /* copied; NULL or "": no such label */
	int64_t cpu_time_ns; /* summed per stack and thread; a sum that would overflow stays at its limit */
	int64_t count;
};

/* One executable segment of one file, in ELF virtual addresses. memory_limit is exclusive. An address
 * outside of it is still reported, as a location without mapping that is named "basename+0xADDRESS". */
struct profile_mapping {
	uint64_t memory_start, memory_limit, file_offset;
	const char *path;     /* absolute; borrowed until profile_write returns */
	const char *build_id; /* lower-case hex, "" when unknown */
};

struct profile_header {
	int64_t time_ns; /* start, CLOCK_REALTIME */
	int64_t duration_ns;
	int64_t period_ns;           /* nanoseconds of CPU per sample */
	const char *container_id;    /* label on every sample; NULL or "": none */
	const char *const *comments; /* ledger lines, NULL-terminated; NULL: none */
};

struct profile;

/* `memory_limit_bytes` bounds what aggregation may allocate; beyond it profile_add returns -ENOSPC. Tables
 * grow by doubling, so that may come when a third of it is filled. NULL: out of memory. */
struct profile *profile_new(size_t memory_limit_bytes);
void profile_free(struct profile *profile);
void profile_clear(struct profile *profile); /* next period: forgets samples, keeps pseudo-frame ids */

/* A named frame without code: the executable root frame, "[incomplete]" and so on. Same arguments, same
 * id, for the life of the profile. Strings are copied. 0 when out of memory. */
uint64_t profile_pseudo_frame(struct profile *profile, const char *function, const char *filename);

/* 0, -ENOSPC, -ENOMEM; on failure nothing is counted. */
int profile_add(struct profile *profile, const struct profile_sample *sample);
size_t profile_sample_count(const struct profile *profile); /* sum of `count`s added since clear */

/* Writes the whole message to fd. `describe` is asked once for every mapping number used (false: unknown,
 * the location then has no mapping). Strings that are not printable UTF-8 are escaped on the way. Works
 * beyond the memory limit: a full profile can be written. 0 or -errno; what was written of a failed
 * message is of no use. */
int profile_write(struct profile *profile, const struct profile_header *header,
		  bool (*describe)(void *context, uint32_t mapping, struct profile_mapping *ret),
		  void *context, int fd);
