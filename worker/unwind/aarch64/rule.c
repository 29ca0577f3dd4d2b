/* Compilers write "CFA = sp + n" or "fp + n", with nothing saved (leaf functions), or a frame record: fp and
 * lr side by side. Those become RULE_SP and RULE_FP. The compact form must say exactly what the row says
 * about lr, sp and fp; what the row says of other registers is only needed on the exact path, which reads
 * rows. */

#include "worker/unwind/aarch64/rule.h"

#include "worker/unwind/cfi.h"

/* Where a register is saved, in words from the CFA (0: unchanged). False: no room for it. */
static bool
saved_at(const struct cfi_rule *rule, int16_t *ret_words)
{
	int64_t words = rule->offset / 8;

	*ret_words = 0;
	if (rule->kind == CFI_UNSPECIFIED || rule->kind == CFI_SAME)
		return true;
	*ret_words = (int16_t)words;
	return rule->kind == CFI_AT_OFFSET && rule->offset % 8 == 0 && words < 0 && words == (int16_t)words;
}

struct rule
rule_from_row(const struct cfi_row *row)
{
	const struct cfi_rule *cfa = &row->cfa;
	struct rule rule = {.kind = RULE_SLOW};
	int16_t fp, lr;

	if (row->registers[REGISTER_LR].kind == CFI_UNDEFINED)
		return (struct rule){.kind = RULE_END};
	if (row->signal_frame || cfa->kind != CFI_REGISTER || cfa->offset != (int32_t)cfa->offset ||
	    row->registers[REGISTER_SP].kind != CFI_UNSPECIFIED ||
	    !saved_at(&row->registers[REGISTER_FP], &fp) || !saved_at(&row->registers[REGISTER_LR], &lr) ||
	    (fp && lr && lr != fp + 1) || (cfa->number != REGISTER_SP && cfa->number != REGISTER_FP))
		return rule;
	rule.kind = cfa->number == REGISTER_SP ? RULE_SP : RULE_FP;
	rule.saved = (fp ? SAVED_FP : 0) | (lr ? SAVED_RETURN : 0);
	rule.slot_words = fp ? fp : lr;
	rule.cfa_offset = (int32_t)cfa->offset;
	return rule;
}

void
rule_to_row(struct rule rule, struct cfi_row *ret_row)
{
	*ret_row = (struct cfi_row){
		.cfa = {.kind = CFI_REGISTER,
			.number = rule.kind == RULE_SP ? REGISTER_SP : REGISTER_FP,
			.offset = rule.cfa_offset},
	};
	if (rule.saved & SAVED_FP)
		ret_row->registers[REGISTER_FP] =
			(struct cfi_rule){.kind = CFI_AT_OFFSET, .offset = 8 * rule.slot_words};
	if (rule.saved & SAVED_RETURN)
		ret_row->registers[REGISTER_LR] = (struct cfi_rule){
			.kind = CFI_AT_OFFSET,
			.offset = 8 * (rule.slot_words + (rule.saved == SAVED_RECORD)),
		};
}
