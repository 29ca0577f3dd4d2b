#pragma once
/* What walks found at an address before: 8192 entries of 32 bytes, one place for each address. An entry holds
 * for one state of one address space and is compared in full; what is no longer true is not looked for any
 * more. */

#include "worker/unwind/architecture.h"
#include "worker/unwind/unwind.h"

#include <stdbool.h>

enum {
	FRAME_CACHE_LOG2 = 13,
	FRAME_CACHE_FILE_BITS = 21,
	FRAME_CACHE_SPACE_BITS = 42, /* with a file and a bit for the kind: 64 */
};

struct known_frame {
	uint64_t pc;
	uint64_t space_file_kind; /* 0: empty */
	uint64_t address;
	struct rule rule;
};

_Static_assert(sizeof(struct known_frame) == 32, "two to a cache line");
_Static_assert(CODE_MODULE == 0 && CODE_ANONYMOUS == 1, "the two kinds that are remembered");

struct frame_cache {
	struct known_frame frame[1 << FRAME_CACHE_LOG2];
};

/* Where an address is remembered, if it is. */
static inline struct known_frame *
frame_cache_slot(struct frame_cache *cache, uint64_t space, uint64_t pc)
{
	uint64_t hash = (pc + (space << 24)) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */

	return &cache->frame[hash >> (64 - FRAME_CACHE_LOG2)];
}

static inline bool
known_frame_is(const struct known_frame *known, uint64_t space, uint64_t pc)
{
	return known->pc == pc && known->space_file_kind >> (FRAME_CACHE_FILE_BITS + 1) == space;
}

static inline struct frame
known_frame_get(const struct known_frame *known)
{
	return (struct frame){
		.kind = (enum code_kind)(known->space_file_kind & 1),
		.file = known->space_file_kind >> 1 & ((1u << FRAME_CACHE_FILE_BITS) - 1),
		.address = known->address,
	};
}

/* Of a kind that is remembered; what does not fit is not. */
static inline void
known_frame_set(struct known_frame *known, uint64_t space, uint64_t pc, struct frame frame, struct rule rule)
{
	if (frame.file >> FRAME_CACHE_FILE_BITS || space >> FRAME_CACHE_SPACE_BITS)
		return;
	*known = (struct known_frame){
		.pc = pc,
		.space_file_kind =
			space << (FRAME_CACHE_FILE_BITS + 1) | (uint64_t)frame.file << 1 | frame.kind,
		.address = frame.address,
		.rule = rule,
	};
}

struct frame_cache *frame_cache_new(void); /* NULL: out of memory */
void frame_cache_free(struct frame_cache *cache);
