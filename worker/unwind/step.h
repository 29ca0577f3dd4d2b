#pragma once
/* One step up the stack, done completely: every register the rules speak of, every failure named. */

#include "worker/unwind/architecture.h"
#include "worker/unwind/cfi.h"
#include "worker/unwind/stack_view.h"
#include "worker/unwind/unwind.h"

/* One frame. pc and sp are always known. */
struct frame_state {
	const struct stack_view *stack;
	struct register_file registers;
	bool interrupted;    /* the leaf, or a frame a signal interrupted: pc is not a return address */
	bool left_stack;     /* a signal came on another stack: this frame's is not the copied one */
	enum unwind_end end; /* after STEP_ENDED */
};

enum step {
	STEP_MOVED,           /* the state is the caller's now */
	STEP_ENDED,           /* state.end says why; the registers are still this frame's */
	STEP_NEEDS_REGISTERS, /* a rule refers to a register that is not known */
};

enum step step_by_row(struct frame_state *state, const struct cfi_row *row);

/* Code without unwind information: [fp] is the caller's fp, [fp + 8] the return address. */
enum step step_by_frame_pointer(struct frame_state *state);

/* A signal return stub without unwind information: the kernel's record lies at sp. */
enum step step_by_signal_context(struct frame_state *state);

/* Ends the walk. */
enum step step_end(struct frame_state *state, enum unwind_end end);
