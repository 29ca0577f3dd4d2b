#pragma once
/* What a few instruction bytes say about a frame in code that has no unwind tables. */

#include "worker/unwind/x86_64/registers.h"
#include "worker/unwind/x86_64/rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack_view;
struct unwind_module;

/* The rule for the instruction at `address`, when its bytes leave no doubt: RULE_SP or RULE_SIGRETURN, for
 * a frame that was interrupted there. Otherwise RULE_GAP: trust the frame pointer. */
struct rule code_leaf_rule(struct unwind_module *module, uint64_t address);

/* Whether a signal return stub (mov $15, %eax; syscall) starts at `address`. */
bool code_is_sigreturn(struct unwind_module *module, uint64_t address);

/* All registers the kernel saved for the stub at `sp`. False: not in the copied stack; *ret_missing. */
bool code_restore_signal_context(const struct stack_view *stack, uint64_t sp,
				 struct register_file *ret_registers, uint64_t *ret_missing);
