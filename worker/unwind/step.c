/* The stack grows down: callers lie at higher addresses, so every step must move sp up, and a word that is
 * missing above the copy means that the copy was short. */

#include "worker/unwind/step.h"

#include "worker/unwind/code_patterns.h"
#include "worker/unwind/expression.h"

#include <errno.h>

/* Frames larger than this are called another stack: the largest that compilers were seen to make has 540 KB.
 * Without tables there are no such frames, and stacks lie close together (Go's do). */
#define FRAME_MAX (1u << 20)
#define FRAME_MAX_BY_POINTER (64u << 10)

/* What lies nearer is no other stack, but a wrong address on this one. */
#define OTHER_STACK_MIN (64u << 10)

/* A signal's frame, even with all vector registers. */
#define SIGNAL_FRAME_MAX (64u << 10)

/* No stack is in the first pages, nor in the kernel's half. */
#define LOWEST_STACK (64u << 10)
#define HIGHEST_STACK (1ull << 56)

enum step
step_end(struct frame_state *state, enum unwind_end end)
{
	state->end = end;
	return STEP_ENDED;
}

/* The walk ends because the next frame is not in the copy, but at `address`: was the copy short, is that
 * another stack, or is the address nonsense? */
static enum step
end_outside(struct frame_state *state, uint64_t address, uint64_t frame_max)
{
	uint64_t sp = state->registers.value[REGISTER_SP];
	uint64_t distance = address >= sp ? address - sp : sp - address;

	if (state->left_stack)
		return step_end(state, END_OTHER_STACK);
	if (address >= sp && distance < frame_max)
		return step_end(state, END_COPY_SHORT);
	if (address % 8 != 0 || address < LOWEST_STACK || address >= HIGHEST_STACK ||
	    distance < OTHER_STACK_MIN)
		return step_end(state, END_BAD_CFI);
	return step_end(state, END_OTHER_STACK);
}

static int
read_word(const struct frame_state *state, uint64_t address, uint64_t *ret_value, uint64_t *ret_missing)
{
	if (stack_view_u64(state->stack, address, ret_value))
		return 0;
	*ret_missing = address;
	return -EFAULT;
}

static int
read_register(const struct frame_state *state, unsigned number, uint64_t *ret_value)
{
	if (!register_is_known(&state->registers, number))
		return -ENODATA;
	*ret_value = state->registers.value[number];
	return 0;
}

/* A register saved at an address. Compilers go on saying "saved at" after the epilogue's pop: the slot of an
 * interrupted frame then lies below sp, outside any copy, and the register has its value back. The same
 * after `leave` in a realigned frame, where the slot is named relative to the rbp that is restored already:
 * it then seems to lie outside this frame. */
static int
read_saved(const struct frame_state *state, const struct cfi_row *row, unsigned number, uint64_t cfa,
	   uint64_t address, uint64_t *ret_value, uint64_t *ret_missing)
{
	bool in_frame = address >= state->registers.value[REGISTER_SP] && address < cfa;

	if (state->interrupted && !row->signal_frame && number != REGISTER_PC && !in_frame)
		return read_register(state, number, ret_value);
	return read_word(state, address, ret_value, ret_missing);
}

static int
evaluate(const struct frame_state *state, const struct cfi_rule *rule, const uint64_t *cfa,
	 uint64_t *ret_value, uint64_t *ret_missing)
{
	struct expression_input input = {
		.registers = &state->registers, .stack = state->stack, .initial = cfa};

	return expression_evaluate(rule->expression, rule->expression_size, &input, ret_value, ret_missing);
}

/* 0; -ENODATA needs a register that is not known; -EFAULT needs memory at *ret_missing; -EBADMSG. */
static int
find_cfa(const struct frame_state *state, const struct cfi_rule *rule, uint64_t *ret_cfa,
	 uint64_t *ret_missing)
{
	int error;

	switch (rule->kind) {
	case CFI_REGISTER:
		error = read_register(state, rule->number, ret_cfa);
		if (!error)
			*ret_cfa += (uint64_t)rule->offset;
		return error;
	case CFI_IS_EXPRESSION:
		return evaluate(state, rule, NULL, ret_cfa, ret_missing);
	default:
		return -EBADMSG;
	}
}

/* The value of one register in the caller; errors as above. */
static int
find_register(const struct frame_state *state, const struct cfi_row *row, unsigned number, uint64_t cfa,
	      uint64_t *ret_value, uint64_t *ret_missing)
{
	const struct cfi_rule *rule = &row->registers[number];
	uint64_t address = cfa + (uint64_t)rule->offset;
	int error;

	switch (rule->kind) {
	case CFI_UNSPECIFIED:
		if (number == REGISTER_SP) {
			*ret_value = cfa;
			return 0;
		}
		if (number == REGISTER_PC)
			return -EBADMSG;
		/* Callers may only ask for what callees keep. But assembly that calls functions of its own
		 * asks for more, rightly: OpenSSL's AES-GCM keeps its stack pointer in rax meanwhile. */
		return read_register(state, number, ret_value);
	case CFI_SAME:
		return number == REGISTER_PC ? -EBADMSG : read_register(state, number, ret_value);
	case CFI_AT_OFFSET:
		return read_saved(state, row, number, cfa, address, ret_value, ret_missing);
	case CFI_IS_OFFSET:
		*ret_value = address;
		return 0;
	case CFI_REGISTER:
		return read_register(state, rule->number, ret_value);
	case CFI_AT_EXPRESSION:
		error = evaluate(state, rule, &cfa, &address, ret_missing);
		if (error)
			return error;
		return read_saved(state, row, number, cfa, address, ret_value, ret_missing);
	case CFI_IS_EXPRESSION:
		return evaluate(state, rule, &cfa, ret_value, ret_missing);
	default: /* CFI_UNDEFINED */
		return -ENODATA;
	}
}

static enum step
stop_for(struct frame_state *state, int error, uint64_t missing)
{
	switch (error) {
	case -ENODATA:
		return STEP_NEEDS_REGISTERS;
	case -EFAULT:
		return end_outside(state, missing, FRAME_MAX);
	default:
		return step_end(state, END_BAD_CFI);
	}
}

/* Every frame occupies at least its return address, except a leaf that holds it in a register. */
static bool
moves_up(const struct frame_state *state, uint64_t sp)
{
	uint64_t old_sp = state->registers.value[REGISTER_SP];

	return sp % 8 == 0 && (sp > old_sp || (sp == old_sp && state->interrupted));
}

/* The caller goes on at the return address. Where that came in a register, the call has overwritten what
 * the register held before: nobody knows the caller's, unless a signal put everything back. */
static void
set_return_target(struct register_file *caller, bool signal_frame)
{
	register_set(caller, REGISTER_PC, return_target(caller->value[REGISTER_RETURN]));
	if (REGISTER_RETURN != REGISTER_PC && !signal_frame)
		register_forget(caller, REGISTER_RETURN);
}

/* What a signal interrupted lies right behind its frame, or on another stack, of which nothing was copied. */
static bool
leaves_stack(const struct frame_state *state, uint64_t sp)
{
	return sp - state->registers.value[REGISTER_SP] >= SIGNAL_FRAME_MAX;
}

/* Within the copy, what a signal interrupted lies further up: else a record could lead back to where the walk
 * came from. */
static bool
leads_back(const struct frame_state *state, uint64_t sp)
{
	return sp >= state->stack->sp && sp <= state->registers.value[REGISTER_SP];
}

enum step
step_by_row(struct frame_state *state, const struct cfi_row *row)
{
	struct register_file caller = {0};
	uint64_t cfa, value, missing = 0;
	int error;

	if (row->registers[REGISTER_RETURN].kind == CFI_UNDEFINED)
		return step_end(state, END_ROOT);
	error = find_cfa(state, &row->cfa, &cfa, &missing);
	if (error)
		return stop_for(state, error, missing);
	/* code that loads all registers (longjmp, setcontext) names them by a CFA that is no place on a stack
	 */
	if (!row->signal_frame && row->registers[REGISTER_SP].kind == CFI_UNSPECIFIED &&
	    !moves_up(state, cfa))
		return end_outside(state, cfa, 0);
	for (unsigned number = 0; number < REGISTER_COUNT; number++) {
		error = find_register(state, row, number, cfa, &value, &missing);
		if (!error)
			register_set(&caller, number, value);
		else if (number == REGISTER_RETURN || number == REGISTER_SP)
			return stop_for(state, error, missing);
		/* any other register is simply not known in the caller; few callers ask */
	}
	set_return_target(&caller, row->signal_frame);
	if (caller.value[REGISTER_PC] == 0)
		return step_end(state, END_ROOT);
	if (row->signal_frame ? leads_back(state, caller.value[REGISTER_SP])
			      : !moves_up(state, caller.value[REGISTER_SP]))
		return end_outside(state, caller.value[REGISTER_SP], 0);
	state->left_stack |= row->signal_frame && leaves_stack(state, caller.value[REGISTER_SP]);
	state->registers = caller;
	state->interrupted = row->signal_frame;
	return STEP_MOVED;
}

enum step
step_by_frame_pointer(struct frame_state *state)
{
	uint64_t fp, saved_fp, return_address, missing = 0;

	if (read_register(state, REGISTER_FP, &fp))
		return STEP_NEEDS_REGISTERS;
	if (fp == 0)
		return step_end(state, END_ROOT);
	if (fp % 8 != 0 || fp < state->registers.value[REGISTER_SP])
		return end_outside(state, fp, 0);
	if (read_word(state, fp, &saved_fp, &missing) || read_word(state, fp + 8, &return_address, &missing))
		return end_outside(state, missing, FRAME_MAX_BY_POINTER);
	return_address = return_target(return_address);
	if (return_address == 0)
		return step_end(state, END_ROOT);
	/* this code may have saved other registers, who knows where */
	state->registers.known = 0;
	register_set(&state->registers, REGISTER_PC, return_address);
	register_set(&state->registers, REGISTER_SP, fp + 16);
	if (!FRAME_RECORD_IS_TOP)
		register_forget(&state->registers, REGISTER_SP); /* at least that, but nobody knows */
	register_set(&state->registers, REGISTER_FP, saved_fp);
	state->interrupted = false;
	return STEP_MOVED;
}

enum step
step_by_signal_context(struct frame_state *state)
{
	struct register_file caller = {0};
	uint64_t missing = 0;
	int error = code_restore_signal_context(state->stack, &state->registers, &caller, &missing);

	if (error)
		return stop_for(state, error, missing);
	if (caller.value[REGISTER_PC] == 0)
		return step_end(state, END_ROOT);
	if (leads_back(state, caller.value[REGISTER_SP]))
		return step_end(state, END_BAD_CFI);
	state->left_stack |= leaves_stack(state, caller.value[REGISTER_SP]);
	state->registers = caller;
	state->interrupted = true;
	return STEP_MOVED;
}
