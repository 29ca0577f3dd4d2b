/* One FDE to the row at one address, then one step by that row. Input: where the FDE is, which address,
 * registers, stack words, then the tables. Whatever they say: the row is well-formed and costs no more than
 * its budget, sp goes up, and the compact form of the row does what the row does. */

#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/table_image.h"
#include "worker/unwind/cfi.h"
#include "worker/unwind/step.h"

#include <errno.h>
#include <string.h>

enum { STACK_WORDS = 32, BUDGET = 512 << 10 };

static struct table_image tables;
static struct cfi_scratch scratch;
static struct cie_cache cies, fresh;

static void
check_rule(const struct cfi_rule *rule)
{
	CHECK(rule->kind <= CFI_IS_EXPRESSION);
	if (rule->kind == CFI_REGISTER)
		CHECK(rule->number < REGISTER_COUNT);
	if (rule->kind == CFI_AT_EXPRESSION || rule->kind == CFI_IS_EXPRESSION)
		use_bytes(rule->expression, rule->expression_size);
}

static bool
same_rule(const struct cfi_rule *a, const struct cfi_rule *b)
{
	if (a->kind != b->kind || a->number != b->number || a->expression_size != b->expression_size)
		return false;
	return a->kind == CFI_AT_EXPRESSION || a->kind == CFI_IS_EXPRESSION || a->offset == b->offset;
}

static void
check_same_row(const struct cfi_row *a, const struct cfi_row *b)
{
	CHECK(a->signal_frame == b->signal_frame && same_rule(&a->cfa, &b->cfa));
	for (unsigned i = 0; i < REGISTER_COUNT; i++)
		CHECK(same_rule(&a->registers[i], &b->registers[i]));
}

static void
check_compact(const struct frame_state *before, const struct cfi_row *row, enum step step,
	      const struct frame_state *after)
{
	struct rule rule = rule_from_row(row);
	struct position at;
	struct cfi_row again;

	position_load(&before->registers, &at);
	if (rule.kind == RULE_END)
		CHECK(step == STEP_ENDED && after->end == END_ROOT);
	if (!position_step(&at, before->stack, rule, before->interrupted))
		return;
	CHECK(step == STEP_MOVED);
	CHECK(after->registers.value[REGISTER_PC] == at.pc && after->registers.value[REGISTER_SP] == at.sp &&
	      after->registers.value[REGISTER_FP] == at.fp);
	rule_to_row(rule, &again);
	struct rule same = rule_from_row(&again);
	CHECK(memcmp(&rule, &same, sizeof(rule)) == 0);
}

static void
check_step(const struct cfi_row *row, const struct frame_state *before)
{
	struct frame_state state = *before;
	uint64_t sp = before->registers.value[REGISTER_SP];
	enum step step = step_by_row(&state, row);

	if (step == STEP_ENDED)
		CHECK(state.end < UNWIND_END_COUNT);
	if (step == STEP_MOVED) {
		uint64_t up = state.registers.value[REGISTER_SP];

		CHECK(state.registers.value[REGISTER_PC] != 0 &&
		      register_is_known(&state.registers, REGISTER_PC));
		if (!row->signal_frame)
			CHECK(up % 8 == 0 && (up > sp || (up == sp && before->interrupted)));
		else
			CHECK(up > sp || up < before->stack->sp);
	}
	check_compact(before, row, step, &state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static uint64_t words[STACK_WORDS];
	struct stack_view stack = {
		.bytes = (uint8_t *)words, .mask = UINT64_MAX, .sp = TABLE_STACK, .size = sizeof(words)};
	struct frame_state state = {.stack = &stack};
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size), none = cursor_over("", 0);
	uint64_t fde = FRAME_EH + cursor_u16(&in), address = FRAME_CODE + cursor_u16(&in);
	struct cfi_row row, same;

	state.interrupted = fde & 0x8000;
	for (unsigned i = 0; i < REGISTER_COUNT; i++)
		register_set(&state.registers, i, take_word(&in));
	for (unsigned i = 0; i < STACK_WORDS; i++)
		words[i] = take_word(&in);
	fde &= 0x7fff;
	state.registers.value[REGISTER_SP] = TABLE_STACK + 8 * (address & 3);
	table_image_open(&tables, TABLES_WITH_HEADER, none, none, in);

	memset(&cies, 0, sizeof(cies));
	memset(&table_work, 0, sizeof(table_work));
	scratch.budget = BUDGET;
	int result = cfi_find_row(tables.image, &cies, &scratch, fde, address, &row);
	CHECK(result == 0 || result == -ENOENT || result == -EBADMSG);
	CHECK(scratch.budget <= BUDGET);
	CHECK(table_work.reads <= 4 && table_work.bytes <= BUDGET - scratch.budget + 8);
	if (result == 0) {
		check_rule(&row.cfa);
		for (unsigned i = 0; i < REGISTER_COUNT; i++)
			check_rule(&row.registers[i]);
		check_step(&row, &state);
	}
	memset(&fresh, 0, sizeof(fresh));
	CHECK(cfi_find_row(tables.image, &cies, &scratch, fde, address, &same) ==
	      result); /* its CIE is known */
	if (result == 0)
		check_same_row(&row, &same);
	CHECK(cfi_find_row(tables.image, &fresh, &scratch, fde, address, &same) == result);
	scratch.budget = 0;
	CHECK(cfi_find_row(tables.image, &fresh, &scratch, fde, address, &same) != 0);
	elf_image_free(tables.image);
	return 0;
}
