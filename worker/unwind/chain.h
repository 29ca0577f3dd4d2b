#pragma once
/* The kernel's frame pointer chain as the outer part of a stack.
 *
 * A chain alone skips the leaf's caller while the leaf has no frame of its own (a third of all samples), and
 * says nothing of how it ended. With the leaf's registers and a small copy of its stack, CFI walks as far as
 * the copy reaches; the chain goes on from there, provided that both are at the same frame: the walk's frame
 * pointer is one the kernel followed, and the frame's own rule says that its caller is found there. Where
 * they do not meet, what CFI found is all there is. The same is asked of each frame that the chain adds: the
 * caller of one without a frame record is never left out silently, the stack ends there instead
 * (END_COPY_SHORT). */

#include "worker/unwind/root_tails.h"
#include "worker/unwind/unwind.h"

/* sysctl kernel.perf_event_max_stack, unless somebody changed it: such a chain may be cut. */
#define KERNEL_CHAIN_MAX 127

struct chain_walk {
	struct unwinder *unwinder;
	code_lookup *lookup;
	void *context;
	uint32_t program;
	const struct root_tails *tails;
	const uint64_t *chain; /* leaf first, user space only, without perf's markers */
	size_t chain_count;
	struct frame *frames; /* room for UNWIND_MAX_FRAMES */
	size_t count;
	size_t cfi_bytes_left; /* of chain_walk_*() */
};

/* All of the chain: nothing was copied. It is taken as it is, callers left out and all. */
enum unwind_end chain_walk_alone(struct chain_walk *walk);

/* Whether the chain may know more than a walk that ended so: the kernel follows frame pointers through all of
 * the memory, from one stack to another too. */
bool chain_may_walk_on(enum unwind_end end);

/* Goes on after a walk of walk->frames that ended so at `stop`. END_ROOT only where the
 * outermost frame's own CFI says so, or its callers are known. */
enum unwind_end chain_walk_on(struct chain_walk *walk, const struct user_registers *registers,
			      const struct stack_view *stack, const struct walk_stop *stop);

/* Learns from a walk in `walk` that reached the root where its chain ends. True: that was news. */
bool chain_learn_tail(const struct chain_walk *walk, struct root_tails *tails);

/* The chain that the kernel would have made, as far as the copy reaches: its count. */
size_t chain_of_copy(const struct user_registers *registers, const struct stack_view *stack,
		     uint64_t ret_chain[static KERNEL_CHAIN_MAX]);
