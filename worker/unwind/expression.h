#pragma once
/* DWARF expressions as call frame information uses them: PLT rules, "the CFA is stored at rsp + n", signal
 * frames. A straight line of at most 64 operations on 16 slots; no branch, no call, no object operations. */

#include "worker/unwind/architecture.h"
#include "worker/unwind/stack_view.h"

#include <stddef.h>
#include <stdint.h>

enum { EXPRESSION_SLOTS = 16, EXPRESSION_STEPS_MAX = 64 };

/* What an expression may look at. The values read are the target's: any number is possible. */
struct expression_input {
	const struct register_file *registers;
	const struct stack_view *stack;
	const uint64_t *initial; /* pushed first (the CFA, for register rules); NULL: nothing is */
};

/* 0 and the top of the stack; -EBADMSG malformed or unsupported; -ENODATA it needs a register that is not
 * known; -EFAULT it reads memory outside the copied stack, at *ret_missing. */
int expression_evaluate(const uint8_t *bytes, size_t size, const struct expression_input *input,
			uint64_t *ret_value, uint64_t *ret_missing);
