/* 99.96 % of all rows are "CFA = rsp or rbp + n, return address at CFA - 8, rbp unchanged or at CFA - 8k":
 * those become RULE_SP and RULE_FP. The compact form must say exactly what the row says about rip, rsp and
 * rbp; what the row says of other registers is only needed on the exact path, which reads rows. */

#include "worker/unwind/x86_64/rule.h"

#include "worker/unwind/cfi.h"

static bool
is_saved_at(const struct cfi_rule *rule, int64_t offset)
{
	return rule->kind == CFI_AT_OFFSET && rule->offset == offset;
}

/* Where rbp is saved, in words from the CFA (0: unchanged). False: the compact form has no room for it. */
static bool
saved_fp(const struct cfi_rule *fp, int16_t *ret_words)
{
	int64_t words = fp->offset / 8;

	if (fp->kind == CFI_UNSPECIFIED || fp->kind == CFI_SAME) {
		*ret_words = 0;
		return true;
	}
	if (fp->kind != CFI_AT_OFFSET || fp->offset % 8 != 0 || words >= 0 || words != (int16_t)words)
		return false;
	*ret_words = (int16_t)words;
	return true;
}

struct rule
rule_from_row(const struct cfi_row *row)
{
	const struct cfi_rule *cfa = &row->cfa;
	struct rule rule = {.kind = RULE_SLOW};
	int16_t fp_words;

	if (row->registers[REGISTER_PC].kind == CFI_UNDEFINED)
		return (struct rule){.kind = RULE_END};
	if (row->signal_frame || cfa->kind != CFI_REGISTER || cfa->offset != (int32_t)cfa->offset ||
	    row->registers[REGISTER_SP].kind != CFI_UNSPECIFIED ||
	    !is_saved_at(&row->registers[REGISTER_PC], -8) ||
	    !saved_fp(&row->registers[REGISTER_FP], &fp_words))
		return rule;
	if (cfa->number == REGISTER_SP)
		rule.kind = RULE_SP;
	else if (cfa->number == REGISTER_FP)
		rule.kind = RULE_FP;
	else
		return rule;
	rule.fp_words = fp_words;
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
		.registers[REGISTER_PC] = {.kind = CFI_AT_OFFSET, .offset = -8},
	};
	if (rule.fp_words)
		ret_row->registers[REGISTER_FP] =
			(struct cfi_rule){.kind = CFI_AT_OFFSET, .offset = 8 * rule.fp_words};
}
