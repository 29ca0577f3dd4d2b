#pragma once
/* The copied top of a target's stack, read in place from the perf ring (where it may wrap) or from a
 * plain buffer. Every read of target stack memory goes through stack_view_u64(), which is the only
 * bounds check there is. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct stack_view {
	const uint8_t *bytes; /* ring data area, or a plain buffer; borrowed, 8-byte aligned */
	uint64_t mask;        /* ring size - 1 (a power of two minus one); UINT64_MAX for a plain buffer */
	uint64_t at;          /* where in `bytes` the copy starts (before masking); 8-byte aligned */
	uint64_t sp;          /* address, in the target, of the first copied byte */
	uint64_t size;        /* bytes copied (perf's dyn_size, never more than the record holds) */
};

/* Reads 8 bytes at a target address. False when they are not all inside the copy. */
static inline bool
stack_view_u64(const struct stack_view *stack, uint64_t address, uint64_t *ret)
{
	uint64_t offset = address - stack->sp;

	if (address < stack->sp || stack->size < 8 || offset > stack->size - 8)
		return false;
	if (__builtin_expect((offset & 7) == 0, 1)) {
		/* ring sizes and record positions are multiples of 8: an aligned word never straddles the
		 * wrap */
		memcpy(ret, stack->bytes + ((stack->at + offset) & stack->mask), sizeof(*ret));
		return true;
	}
	for (unsigned i = 0; i < sizeof(*ret); i++)
		((uint8_t *)ret)[i] = stack->bytes[(stack->at + offset + i) & stack->mask];
	return true;
}

/* Asks for the word at `address`, if it is there, before it is needed: the kernel wrote it on another CPU. */
static inline void
stack_view_prefetch(const struct stack_view *stack, uint64_t address)
{
	uint64_t offset = address - stack->sp;

	offset = offset < stack->size ? offset : 0;
	__builtin_prefetch(stack->bytes + ((stack->at + offset) & stack->mask));
}
