/* Chain and walk meet at a frame pointer, not at an address: in a recursion, one address stands for many. */

#include "worker/unwind/chain.h"

#include <string.h>

/* As frames have them: the leaf's own address, and of a return address the call. */
static void
look_up(const struct chain_walk *walk, size_t number, struct code_place *ret)
{
	walk->lookup(walk->context, walk->chain[number] - (number > 0), ret);
}

static struct frame
frame_at(const struct code_place *place)
{
	return (struct frame){.kind = place->kind, .file = place->file, .address = place->address};
}

/* The frame of an fp, as the kernel reads it. False: it would not have gone on. */
static bool
read_record(const struct stack_view *stack, uint64_t fp, uint64_t *ret_fp, uint64_t *ret_return)
{
	if (KERNEL_CHAIN_ONLY_UP && (fp == 0 || fp % 8 != 0))
		return false;
	if (!stack_view_u64(stack, fp, ret_fp) || !stack_view_u64(stack, fp + 8, ret_return))
		return false;
	*ret_return = return_target(*ret_return);
	return true;
}

size_t
chain_of_copy(const struct user_registers *registers, const struct stack_view *stack,
	      uint64_t ret_chain[static KERNEL_CHAIN_MAX])
{
	uint64_t fp = registers->value[REGISTER_FP], next;
	size_t count = 0;

	ret_chain[count++] = registers->value[REGISTER_PC];
	while (count < KERNEL_CHAIN_MAX && read_record(stack, fp, &next, &ret_chain[count])) {
		count++;
		if (KERNEL_CHAIN_ONLY_UP && next <= fp)
			break;
		fp = next;
	}
	return count;
}

/* The chain's entry that the frame pointer `wanted` led to; 0: the kernel was never there. What it read
 * before must be in the copy as well. */
static size_t
entry_behind(const struct chain_walk *walk, uint64_t fp, const struct stack_view *stack, uint64_t wanted)
{
	uint64_t next, return_address;

	for (size_t number = 1; number < walk->chain_count; number++) {
		if (fp == wanted)
			return number;
		if (!read_record(stack, fp, &next, &return_address) || return_address != walk->chain[number])
			return 0;
		fp = next;
	}
	return 0;
}

/* Adds the callers of the last frame when they are known. */
static bool
add_root_tail(struct chain_walk *walk)
{
	const struct frame *callers;
	int count = root_tails_find(walk->tails, walk->program, &walk->frames[walk->count - 1], &callers);

	if (count < 0 || walk->count + (size_t)count > UNWIND_MAX_FRAMES)
		return false;
	memcpy(walk->frames + walk->count, callers, (size_t)count * sizeof(*callers));
	walk->count += (size_t)count;
	return true;
}

/* The rule of a frame that the walk has got to, within what one walk may read. */
static struct rule
rule_at(struct chain_walk *walk, const struct code_place *place)
{
	return unwinder_rule_at(walk->unwinder, place, &walk->cfi_bytes_left);
}

/* Why a walk cannot go on from a frame whose rule does not point to the record the kernel read. */
static enum unwind_end
end_at_rule(struct rule rule)
{
	switch (rule.kind) {
	case RULE_BAD:
		return END_BAD_CFI;
	case RULE_UNREADABLE:
		return END_UNREADABLE;
	default:
		return END_COPY_SHORT;
	}
}

/* The kernel stopped, and does not say why. */
static enum unwind_end
end_of_chain(const struct chain_walk *walk, const struct code_place *outermost)
{
	if (walk->chain_count >= KERNEL_CHAIN_MAX || walk->chain_count == 1)
		return END_COPY_SHORT; /* it was cut, or is none */
	return outermost->kind == CODE_UNREADABLE ? END_UNREADABLE : END_BAD_CFI;
}

/* `checked`: on from a frame only where its own rule says that its caller is the next entry. */
static enum unwind_end
add_entries(struct chain_walk *walk, size_t first, bool checked)
{
	struct code_place place = {.kind = CODE_UNMAPPED};

	for (size_t number = first; number < walk->chain_count; number++) {
		bool is_leaf = walk->count == 0;

		if (walk->count == UNWIND_MAX_FRAMES)
			return END_COPY_SHORT;
		if (walk->chain[number] == 0 && !is_leaf)
			return END_ROOT;
		look_up(walk, number, &place);
		if (place.kind == CODE_UNMAPPED && !is_leaf)
			return END_UNMAPPED;
		walk->frames[walk->count++] = frame_at(&place);
		if (!is_leaf && add_root_tail(walk))
			return END_ROOT;
		struct rule rule = rule_at(walk, &place);
		if (rule.kind == RULE_END)
			return END_ROOT;
		if (checked && !rule_leads_by_fp(rule))
			return end_at_rule(rule);
	}
	return end_of_chain(walk, &place);
}

enum unwind_end
chain_walk_alone(struct chain_walk *walk)
{
	walk->count = 0;
	walk->cfi_bytes_left = CFI_BYTES_PER_WALK;
	if (walk->chain_count == 0)
		return END_ROOT; /* a moment of the kernel's own: no user space, no frame that is missing */
	return add_entries(walk, 0, /* checked= */ false);
}

bool
chain_may_walk_on(enum unwind_end end)
{
	return end == END_COPY_SHORT || end == END_OTHER_STACK;
}

enum unwind_end
chain_walk_on(struct chain_walk *walk, const struct user_registers *registers, const struct stack_view *stack,
	      const struct walk_stop *stop)
{
	struct code_place outermost;
	size_t first;

	walk->cfi_bytes_left = CFI_BYTES_PER_WALK;
	if (walk->count > 1 && add_root_tail(walk))
		return END_ROOT;
	if (!stop->fp_known || walk->count >= UNWIND_MAX_FRAMES)
		return END_COPY_SHORT;
	walk->lookup(walk->context, stop->pc, &outermost);
	if (!rule_has_record_at_fp(rule_at(walk, &outermost), stop->sp, stop->fp))
		return END_COPY_SHORT;
	first = entry_behind(walk, registers->value[REGISTER_FP], stack, stop->fp);
	if (first == 0)
		return END_COPY_SHORT;
	return add_entries(walk, first, /* checked= */ true);
}

bool
chain_learn_tail(const struct chain_walk *walk, struct root_tails *tails)
{
	for (size_t number = walk->chain_count; number-- > 1;) {
		struct code_place place;
		struct frame frame;

		look_up(walk, number, &place);
		frame = frame_at(&place);
		for (size_t outer = 0; outer <= ROOT_TAIL_FRAMES && outer + 1 < walk->count; outer++)
			if (frame_equals(&walk->frames[walk->count - 1 - outer], &frame))
				return root_tails_learn(tails, walk->program, walk->frames, walk->count,
							walk->count - 1 - outer);
	}
	return false;
}
