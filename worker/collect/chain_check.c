/* The same code walks as at LEVEL_CHAIN, so that what is found here is what will be found there. */

#include "worker/collect/chain_check.h"

static bool
walks_are_equal(const struct chain_walk *a, const struct chain_walk *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!frame_equals(&a->frames[i], &b->frames[i]))
			return false;
	return true;
}

enum chain_verdict
chain_check(const struct chain_walk *full, const struct user_registers *registers,
	    const struct stack_view *stack, struct root_tails *tails)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	uint64_t chain[KERNEL_CHAIN_MAX];
	struct stack_view copied = *stack;
	struct chain_walk walk = *full;
	struct walk_stop stop;
	enum unwind_end end;

	walk.chain = chain;
	walk.chain_count = chain_of_copy(registers, stack, chain);
	if (chain_learn_tail(&walk, tails))
		return CHAIN_NOT_COMPARED;
	walk.tails = tails;
	walk.frames = frames;
	if (copied.size > level_policy(LEVEL_CHAIN)->stack_bytes)
		copied.size = level_policy(LEVEL_CHAIN)->stack_bytes;
	end = unwinder_walk_to(walk.unwinder, registers, &copied, walk.lookup, walk.context, frames,
			       &walk.count, &stop);
	if (chain_may_walk_on(end))
		end = chain_walk_on(&walk, registers, &copied, &stop);
	return end == END_ROOT && walks_are_equal(full, &walk) ? CHAIN_AGREES : CHAIN_DIFFERS;
}
