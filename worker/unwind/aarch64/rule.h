#pragma once
/* The eight bytes that unwind almost every frame: how to get from {pc, sp, fp}, and lr in a frame that was
 * interrupted, to the caller's. */

#include "worker/unwind/aarch64/registers.h"
#include "worker/unwind/rule_kind.h"
#include "worker/unwind/stack_view.h"

struct cfi_row;

enum rule_saved {
	SAVED_NOTHING, /* the return address is in lr, fp is unchanged */
	SAVED_FP,      /* fp in the slot; the return address is in lr */
	SAVED_RETURN,  /* the return address in the slot; fp is unchanged */
	SAVED_RECORD,  /* fp in the slot, the return address in the word above it */
};

struct rule {
	uint8_t kind;
	uint8_t saved : 7;
	uint8_t from_code : 1; /* instructions say so, not the tables */
	int16_t slot_words;    /* the slot is at CFA + 8 * slot_words */
	int32_t cfa_offset;
};

_Static_assert(sizeof(struct rule) == 8, "a cache entry is 16 bytes");

/* Projects a complete row; RULE_SLOW when the compact form cannot say exactly the same. */
struct rule rule_from_row(const struct cfi_row *row);

/* The other way, for RULE_SP and RULE_FP. */
void rule_to_row(struct rule rule, struct cfi_row *ret_row);

/* What remains of a rule when sp is not known, behind code without tables. A function that saves a frame
 * record points fp to it, in all code but what is built without frame pointers. */
static inline struct rule
rule_without_sp(struct rule rule)
{
	if (rule.kind == RULE_SP && rule.saved == SAVED_RECORD)
		return (struct rule){.kind = RULE_FP,
				     .saved = SAVED_RECORD,
				     .from_code = 1,
				     .slot_words = rule.slot_words,
				     .cfa_offset = -8 * rule.slot_words};
	if (rule.kind == RULE_SP)
		return (struct rule){.kind = RULE_GAP};
	return rule;
}

/* Whether the frame's caller is the one that its frame pointer leads to: [fp], [fp + 8] are the frame's own.
 */
static inline bool
rule_has_record_at_fp(struct rule rule, uint64_t sp, uint64_t fp)
{
	uint64_t cfa = (rule.kind == RULE_SP ? sp : fp) + (uint64_t)(int64_t)rule.cfa_offset;

	if (rule.kind == RULE_SP || rule.kind == RULE_FP)
		return rule.saved == SAVED_RECORD && cfa + (uint64_t)(8 * (int64_t)rule.slot_words) == fp;
	return rule.kind == RULE_GAP;
}

/* The same where sp is not known; as in rule_without_sp(). */
static inline bool
rule_leads_by_fp(struct rule rule)
{
	return rule.kind == RULE_GAP ||
	       ((rule.kind == RULE_SP || rule.kind == RULE_FP) && rule.saved == SAVED_RECORD);
}

/* One frame. `lr` means something only while the frame is an interrupted one. */
struct position {
	uint64_t pc, sp, fp, lr;
	bool sp_known; /* else sp is only a lower limit */
};

static inline void
position_load(const struct register_file *registers, struct position *ret_at)
{
	*ret_at = (struct position){
		.pc = registers->value[REGISTER_PC],
		.sp = registers->value[REGISTER_SP],
		.fp = registers->value[REGISTER_FP],
		.lr = registers->value[REGISTER_LR],
		.sp_known = register_is_known(registers, REGISTER_SP),
	};
}

/* After fast steps no other register is known. */
static inline void
position_store(const struct position *at, struct register_file *ret_registers)
{
	ret_registers->known = 0;
	register_set(ret_registers, REGISTER_PC, at->pc);
	register_set(ret_registers, REGISTER_SP, at->sp);
	register_set(ret_registers, REGISTER_FP, at->fp);
	if (!at->sp_known)
		register_forget(ret_registers, REGISTER_SP);
}

static inline bool
position_step_by_record(struct position *at, const struct stack_view *stack)
{
	uint64_t fp, saved;

	if (at->fp < at->sp || at->fp % 8 != 0 || !stack_view_u64(stack, at->fp, &fp) ||
	    !stack_view_u64(stack, at->fp + 8, &saved) || return_target(saved) == 0)
		return false;
	*at = (struct position){.pc = return_target(saved), .sp = at->fp + 16, .fp = fp};
	return true;
}

/* Where position_step() will read first. */
static inline uint64_t
position_next_read(const struct position *at, struct rule rule)
{
	return (rule.kind == RULE_SP ? at->sp : at->fp) + (uint64_t)(int64_t)rule.cfa_offset +
	       (uint64_t)(8 * (int64_t)rule.slot_words);
}

/* True when the compact rule was enough. Whatever is odd (memory missing, CFA below sp, a zero return
 * address) is left to the complete step, which knows what to call it. */
static inline bool
position_step(struct position *at, const struct stack_view *stack, struct rule rule, bool interrupted)
{
	uint64_t cfa, slot, fp = at->fp, saved = at->lr;

	if (__builtin_expect(!at->sp_known, 0))
		rule = rule_without_sp(rule);
	if (rule.kind == RULE_GAP && !interrupted)
		return position_step_by_record(at, stack);
	if ((rule.kind != RULE_SP && rule.kind != RULE_FP) || (!interrupted && rule.saved < SAVED_RETURN))
		return false;
	cfa = (rule.kind == RULE_SP ? at->sp : at->fp) + (uint64_t)(int64_t)rule.cfa_offset;
	slot = cfa + (uint64_t)(8 * (int64_t)rule.slot_words);
	if (cfa < at->sp + !interrupted || cfa % 8 != 0)
		return false;
	if (rule.saved != SAVED_NOTHING && slot < at->sp)
		return false;
	if (rule.saved & SAVED_FP && !stack_view_u64(stack, slot, &fp))
		return false;
	if (rule.saved & SAVED_RETURN &&
	    !stack_view_u64(stack, slot + (rule.saved == SAVED_RECORD ? 8 : 0), &saved))
		return false;
	if (return_target(saved) == 0)
		return false;
	*at = (struct position){.pc = return_target(saved), .sp = cfa, .fp = fp, .sp_known = true};
	return true;
}
