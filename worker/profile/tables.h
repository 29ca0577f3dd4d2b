#pragma once
/* What profile.c collects and encode.c writes: each stack once, and a sample for each thread that was seen in
 * it. */

#include "worker/profile/profile.h"
#include "worker/profile/record_table.h"
#include "worker/profile/stack_table.h"
#include "worker/profile/string_table.h"

/* A frame in eight bytes: its mapping above its address; or, with the highest bit set, the number of one in
 * `wide` that does not fit. */
#define FRAME_ADDRESS_BITS 42
#define FRAME_MAPPING_BITS 21
#define FRAME_IS_WIDE (1ull << 63)
_Static_assert(FRAME_ADDRESS_BITS + FRAME_MAPPING_BITS == 63, "and one bit");

struct location_record {
	uint64_t address;
	uint32_t mapping, zero; /* no padding in a key */
};

struct sample_record {
	uint32_t stack, pid, tid;
	uint32_t process_name, thread_name, zero; /* string numbers; key until here */
	int64_t cpu_time_ns, count;
};
#define SAMPLE_KEY_SIZE offsetof(struct sample_record, cpu_time_ns)

struct pseudo_record {
	uint32_t function, filename; /* string numbers */
};

/* The names of a thread's last sample: mostly those of its next one, too. */
#define KNOWN_NAME_BYTES 16
struct known_names {
	char process[KNOWN_NAME_BYTES], thread[KNOWN_NAME_BYTES];
	uint32_t process_name, thread_name; /* string numbers; process_name 0: empty */
};
#define KNOWN_NAMES 64 /* by tid */

struct profile {
	struct budget budget;
	struct string_table strings; /* names of processes and threads; encode.c adds its own */
	struct known_names known_names[KNOWN_NAMES];
	struct stack_table stacks;
	struct record_table wide; /* struct location_record */
	struct record_table samples;
	int64_t sample_count;
	/* kept by profile_clear */
	struct string_table pseudo_strings;
	struct record_table pseudo_frames; /* the id is the number plus 1 */
};

/* What a frame of `stacks` stands for. */
static inline struct location_record
profile_location_of(const struct profile *profile, uint64_t frame)
{
	if (frame & FRAME_IS_WIDE)
		return *(const struct location_record *)record_table_at(&profile->wide, (uint32_t)frame);
	return (struct location_record){
		.address = frame & ((1ull << FRAME_ADDRESS_BITS) - 1),
		.mapping = (uint32_t)(frame >> FRAME_ADDRESS_BITS),
	};
}
