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

#define STACK_READ_AHEAD_BYTES 1024

/* Asks for the stack's next bytes above `address` before the walk needs them. The kernel wrote them on
 * another CPU: read one by one, each cache line costs about 100 ns, and every load of a walk waits for the
 * one before. *asked: up to where that was done already (an address in the target). */
static inline void
stack_view_read_ahead(const struct stack_view *stack, uint64_t address, uint64_t *asked)
{
	uint64_t end = address - stack->sp + STACK_READ_AHEAD_BYTES, at = *asked - stack->sp;

	for (end = end < stack->size ? end : stack->size; at < end; at += 64)
		__builtin_prefetch(stack->bytes + ((stack->at + at) & stack->mask));
	*asked = stack->sp + at;
}
