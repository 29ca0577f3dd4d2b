#pragma once
/* The eight bytes that unwind almost every frame: how to get from {pc, sp, fp} to the caller's. The return
 * address is at CFA - 8. */

#include "worker/unwind/rule_kind.h"
#include "worker/unwind/stack_view.h"
#include "worker/unwind/x86_64/registers.h"

struct cfi_row;

struct rule {
	uint8_t kind;
	uint8_t from_code;  /* never: what instructions say is not kept here */
	int16_t fp_words;   /* caller's fp is saved at CFA + 8 * fp_words; 0: unchanged */
	int32_t cfa_offset; /* bytes; rustc has frames of 540 KB */
};

_Static_assert(sizeof(struct rule) == 8, "a cache entry is 16 bytes");

/* Projects a complete row; RULE_SLOW when the compact form cannot say exactly the same. */
struct rule rule_from_row(const struct cfi_row *row);

/* The other way, for RULE_SP and RULE_FP. */
void rule_to_row(struct rule rule, struct cfi_row *ret_row);

/* What remains of a rule when sp is not known: here it always is. */
static inline struct rule
rule_without_sp(struct rule rule)
{
	return rule;
}

/* Whether the frame's caller is the one that its frame pointer leads to: [fp], [fp + 8] are the frame's own.
 */
static inline bool
rule_has_record_at_fp(struct rule rule, uint64_t sp, uint64_t fp)
{
	uint64_t cfa = (rule.kind == RULE_SP ? sp : fp) + (uint64_t)(int64_t)rule.cfa_offset;

	if (rule.kind == RULE_SP || rule.kind == RULE_FP)
		return rule.fp_words == -2 && cfa - 16 == fp;
	return rule.kind == RULE_GAP;
}

/* The same where sp is not known: what a compiler that keeps frame pointers writes. */
static inline bool
rule_leads_by_fp(struct rule rule)
{
	return rule.kind == RULE_GAP ||
	       (rule.kind == RULE_FP && rule.fp_words == -2 && rule.cfa_offset == 16);
}

/* {pc, sp, fp} of one frame. */
struct position {
	uint64_t pc, sp, fp;
};

static inline void
position_load(const struct register_file *registers, struct position *ret_at)
{
	*ret_at = (struct position){
		.pc = registers->value[REGISTER_PC],
		.sp = registers->value[REGISTER_SP],
		.fp = registers->value[REGISTER_FP],
	};
}

/* After fast steps only these three are known. */
static inline void
position_store(const struct position *at, struct register_file *ret_registers)
{
	ret_registers->known = 0;
	register_set(ret_registers, REGISTER_PC, at->pc);
	register_set(ret_registers, REGISTER_SP, at->sp);
	register_set(ret_registers, REGISTER_FP, at->fp);
}

/* Where position_step() will read first. */
static inline uint64_t
position_next_read(const struct position *at, struct rule rule)
{
	return (rule.kind == RULE_SP ? at->sp : at->fp) + (uint64_t)(int64_t)rule.cfa_offset - 8;
}

/* After an epilogue's pop, CFI still says where fp was saved: see step.c. */
static inline bool
position_step_after_pop(struct position *at, uint64_t cfa, uint64_t pc, bool interrupted)
{
	if (interrupted)
		*at = (struct position){.pc = pc, .sp = cfa, .fp = at->fp};
	return interrupted;
}

/* True when the compact rule was enough. Whatever is odd (memory missing, CFA not above sp, a zero return
 * address) is left to the complete step, which knows what to call it. Frames of several walks come by in
 * turn, so nothing here branches that is not nearly always the same. */
static inline bool
position_step(struct position *at, const struct stack_view *stack, struct rule rule, bool interrupted)
{
	bool is_chained = rule.kind == RULE_GAP && !interrupted, is_by_sp = rule.kind == RULE_SP;
	int64_t cfa_offset = is_chained ? 16 : rule.cfa_offset;
	int64_t fp_words = is_chained ? -2 : rule.fp_words;
	uint64_t cfa = (is_by_sp ? at->sp : at->fp) + (uint64_t)cfa_offset;
	uint64_t slot = cfa + (uint64_t)(8 * (fp_words ? fp_words : -1)), pc, saved;

	if (!(is_chained | is_by_sp | (rule.kind == RULE_FP)))
		return false;
	if ((cfa <= at->sp) | (cfa % 8 != 0) || !stack_view_u64(stack, cfa - 8, &pc) || pc == 0)
		return false;
	if (slot < at->sp)
		return position_step_after_pop(at, cfa, pc, interrupted);
	if (!stack_view_u64(stack, slot, &saved))
		return false;
	*at = (struct position){.pc = pc, .sp = cfa, .fp = fp_words ? saved : at->fp};
	return true;
}
