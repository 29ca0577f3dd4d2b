/* The walk comes first; what the chain adds, and what is learnt for the next samples, comes after it. */

#include "worker/collect/sample_walk.h"

#include "worker/collect/chain_check.h"

static bool
is_complete(enum unwind_end end)
{
	return end == END_ROOT || end == END_DEPTH;
}

/* Of a stack that was walked to its root by CFI. One with more frames than are kept has more than a chain. */
static enum chain_verdict
compare_with_chain(struct sample_walker *walker, const struct sample_record *sample,
		   const struct chain_walk *walk, enum unwind_end end)
{
	if (end != END_ROOT)
		return CHAIN_DIFFERS;
	return chain_check(walk, &sample->registers, &sample->stack, &walker->tails);
}

/* A chain that leads to another stack says what lies there, but rarely that it is all. */
static enum unwind_end
walk_on(struct chain_walk *walk, const struct sample_record *sample, enum unwind_end end,
	const struct walk_stop *stop)
{
	enum unwind_end after = chain_walk_on(walk, &sample->registers, &sample->stack, stop);

	return end == END_OTHER_STACK && after != END_ROOT ? end : after;
}

enum unwind_end
sample_walk_on(struct sample_walker *walker, const struct sample_record *sample, struct chain_walk *walk,
	       enum unwind_end end, const struct walk_stop *stop)
{
	struct sample_evidence evidence = {
		.stack_bytes = sample->stack_requested,
		.stack_used = stop->sp - sample->stack.sp,
	};

	walk->tails = &walker->tails;
	walk->chain = sample->chain;
	walk->chain_count = sample->chain_count;
	if (sample->chain_count > 0 && end == END_ROOT)
		chain_learn_tail(walk, &walker->tails);
	else if (sample->chain_count > 0 && chain_may_walk_on(end))
		end = walk_on(walk, sample, end, stop);
	else if (is_complete(end) && sampling_choice_asks_chain(&walker->choice))
		evidence.chain = compare_with_chain(walker, sample, walk, end);
	evidence.end = end;
	if (walker->choice.available)
		sampling_choice_add(&walker->choice, &evidence);
	return end;
}

enum unwind_end
sample_walk(struct sample_walker *walker, const struct sample_record *sample, struct chain_walk *walk)
{
	struct walk_stop stop;
	enum unwind_end end;

	walk->count = 0;
	if (sample->has_registers) {
		end = unwinder_walk_to(walk->unwinder, &sample->registers, &sample->stack, walk->lookup,
				       walk->context, walk->frames, &walk->count, &stop);
		return sample_walk_on(walker, sample, walk, end, &stop);
	}
	walk->tails = &walker->tails;
	walk->chain = sample->chain;
	walk->chain_count = sample->chain_count;
	if (sample->chain_count > 0 || sample->in_kernel)
		return chain_walk_alone(walk);
	return END_BAD_CFI; /* a 32-bit process: nothing we can walk */
}
