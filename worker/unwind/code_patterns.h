#pragma once
/* What a few instructions say about a frame that was interrupted there, where unwind tables say nothing or
 * not enough. */

#include "worker/unwind/architecture.h"

#include <stdbool.h>
#include <stdint.h>

struct stack_view;
struct unwind_module;

/* The rule for a frame that was interrupted at `address`, given what the tables say (RULE_GAP: nothing).
 * It is that same rule unless the instructions leave no doubt; else RULE_SP, or RULE_SIGRETURN. */
struct rule code_leaf_rule(struct unwind_module *module, uint64_t address, struct rule from_tables);

/* Whether a signal return stub (load the number of rt_sigreturn; system call) starts at `address`. */
bool code_is_sigreturn(struct unwind_module *module, uint64_t address);

/* Whether the instruction in front of `address` can be a call. */
bool code_ends_in_call(struct unwind_module *module, uint64_t address);

/* All registers the kernel saved for the stub that runs with `stub` registers. 0; -EFAULT: not in the copied
 * stack, at *ret_missing; -EBADMSG: no such record there. */
int code_restore_signal_context(const struct stack_view *stack, const struct register_file *stub,
				struct register_file *ret_registers, uint64_t *ret_missing);
