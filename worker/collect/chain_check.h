#pragma once
/* What a sample would have come to at LEVEL_CHAIN, found out from a larger copy of its stack: the kernel's
 * chain is followed over the copy, the rest of the copy forgotten, and the stack walked again. */

#include "worker/collect/sampling_choice.h"
#include "worker/unwind/chain.h"

/* `full` holds the walk that reached the root; its chain is not looked at. Learns root tails by the way: a
 * stack that teaches one is not compared. */
enum chain_verdict chain_check(const struct chain_walk *full, const struct user_registers *registers,
			       const struct stack_view *stack, struct root_tails *tails);
