/* The arm64 unwinder on any machine: compact rules, and frames interrupted at each instruction of functions
 * whose tables (as clang wrote them before version 15) or lack of tables say nothing of prologue and
 * epilogue. What compilers and libraries really do is test_truth_aarch64's. */

#include "tests/unwind/frame_builder.h"

#include "worker/unwind/cfi.h"
#include "worker/unwind/chain.h"
#include "worker/unwind/unwind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ELF(x) (FRAME_CODE + (x))
#define SP 0x7ffc00001000u
#define CALLER_SP (SP + 0x30) /* of the frame that called the interrupted one */
#define SIGNED(x) ((x) | 0x00b7000000000000u)
#define JUNK 0x1234567u
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

enum {
	OUTERMOST = ELF(0x10), /* return addresses into these */
	CALLER = ELF(0x210),
	LEAF = ELF(0x410), /* never saves lr */
};

static void
expect_rule(const struct cfi_row *row, struct rule expected)
{
	struct rule rule = rule_from_row(row);
	struct cfi_row again;

	assert_memory_equal(&rule, &expected, sizeof(rule));
	if (rule.kind != RULE_SP && rule.kind != RULE_FP)
		return;
	rule_to_row(rule, &again);
	rule = rule_from_row(&again);
	assert_memory_equal(&rule, &expected, sizeof(rule));
}

static void
test_compact(void **state)
{
	struct cfi_row row = {.cfa = {.kind = CFI_REGISTER, .number = REGISTER_SP}};
	struct cfi_rule *fp = &row.registers[REGISTER_FP], *lr = &row.registers[REGISTER_LR];
	const struct rule slow = {.kind = RULE_SLOW};

	(void)state;
	expect_rule(&row, (struct rule){.kind = RULE_SP});
	row.cfa.offset = 32;
	*lr = (struct cfi_rule){.kind = CFI_AT_OFFSET, .offset = -32};
	expect_rule(
		&row,
		(struct rule){.kind = RULE_SP, .saved = SAVED_RETURN, .slot_words = -4, .cfa_offset = 32});
	*fp = *lr;
	lr->offset = -24;
	expect_rule(
		&row,
		(struct rule){.kind = RULE_SP, .saved = SAVED_RECORD, .slot_words = -4, .cfa_offset = 32});
	row.cfa.number = REGISTER_FP;
	expect_rule(
		&row,
		(struct rule){.kind = RULE_FP, .saved = SAVED_RECORD, .slot_words = -4, .cfa_offset = 32});
	lr->offset = -16; /* not side by side */
	expect_rule(&row, slow);
	*lr = (struct cfi_rule){.kind = CFI_SAME};
	expect_rule(&row,
		    (struct rule){.kind = RULE_FP, .saved = SAVED_FP, .slot_words = -4, .cfa_offset = 32});
	fp->offset = -8 * 32769;
	expect_rule(&row, slow);
	fp->offset = -12;
	expect_rule(&row, slow);
	fp->kind = CFI_UNSPECIFIED;
	row.cfa.number = REGISTER_X19;
	expect_rule(&row, slow);
	row.cfa.number = REGISTER_SP;
	row.signal_frame = true;
	expect_rule(&row, slow);
	lr->kind = CFI_UNDEFINED;
	expect_rule(&row, (struct rule){.kind = RULE_END});
}

static void
test_without_sp(void **state)
{
	struct rule record = {.kind = RULE_SP, .saved = SAVED_RECORD, .slot_words = -6, .cfa_offset = 400};

	(void)state;
	record = rule_without_sp(record);
	assert_int_equal(record.kind, RULE_FP);
	assert_int_equal(record.cfa_offset, 48); /* fp points to the record */
	assert_int_equal(rule_without_sp((struct rule){.kind = RULE_SP, .saved = SAVED_RETURN}).kind,
			 RULE_GAP);
	assert_int_equal(rule_without_sp((struct rule){.kind = RULE_FP}).kind, RULE_FP);
}

struct fixture {
	struct frame_builder builder;
	struct elf_image *image;
	struct unwind_module *module;
	struct unwinder *unwinder;
};

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct fixture *f = context;

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (pc >= FRAME_CODE && pc < FRAME_CODE_END)
		*ret = (struct code_place){.kind = CODE_MODULE, .address = pc, .module = f->module};
}

/* What an interruption finds in front of one instruction. */
struct moment {
	uint32_t code;
	uint64_t sp, fp, lr;
};

/* The record of the function at SP + 0x20, the caller's at CALLER_SP. */
static const struct moment function[] = {
	{0xd503233f, CALLER_SP, CALLER_SP, CALLER},         /* paciasp */
	{0xd100c3ff, CALLER_SP, CALLER_SP, SIGNED(CALLER)}, /* sub sp, sp, #48 */
	{0xa9027bfd, SP, CALLER_SP, SIGNED(CALLER)},        /* stp x29, x30, [sp, #32] */
	{0x910083fd, SP, CALLER_SP, SIGNED(CALLER)},        /* add x29, sp, #32 */
	{0xb9400000, SP, SP + 0x20, SIGNED(CALLER)},        /* ldr w0, [x0]: the function itself */
	{0x94000000, SP, SP + 0x20, SIGNED(CALLER)},        /* bl */
	{0xb9400000, SP, SP + 0x20, JUNK},
	{0xa9427bfd, SP, SP + 0x20, JUNK},                  /* ldp x29, x30, [sp, #32] */
	{0x9100c3ff, SP, CALLER_SP, SIGNED(CALLER)},        /* add sp, sp, #48 */
	{0xd50323bf, CALLER_SP, CALLER_SP, SIGNED(CALLER)}, /* autiasp */
	{0xd65f03c0, CALLER_SP, CALLER_SP, CALLER},         /* ret */
};

/* The same, ending in a call of another function; without signatures. */
static const struct moment tail_call[] = {
	{0xa9bd7bfd, CALLER_SP, CALLER_SP, CALLER}, /* stp x29, x30, [sp, #-48]! */
	{0x910003fd, SP, CALLER_SP, CALLER},        /* mov x29, sp */
	{0xb9400000, SP, SP, CALLER},
	{0xa8c37bfd, SP, SP, JUNK},                 /* ldp x29, x30, [sp], #48 */
	{0x14000400, CALLER_SP, CALLER_SP, CALLER}, /* b */
};

static const struct moment plt_entry[] = {
	{0xd503245f, CALLER_SP, CALLER_SP, CALLER}, /* bti c */
	{0x90000010, CALLER_SP, CALLER_SP, CALLER}, /* adrp x16 */
	{0xf9400211, CALLER_SP, CALLER_SP, CALLER}, /* ldr x17, [x16] */
	{0x91000210, CALLER_SP, CALLER_SP, CALLER}, /* add x16, x16, #0 */
	{0xd61f0220, CALLER_SP, CALLER_SP, CALLER}, /* br x17 */
};

static const struct moment plt_head[] = {
	{0xa9bf7bf0, CALLER_SP, CALLER_SP, CALLER},      /* stp x16, x30, [sp, #-16]! */
	{0x90000010, CALLER_SP - 16, CALLER_SP, CALLER}, /* adrp x16 */
	{0xf9400211, CALLER_SP - 16, CALLER_SP, CALLER}, /* ldr x17, [x16] */
	{0x91000210, CALLER_SP - 16, CALLER_SP, CALLER}, /* add x16, x16, #0 */
	{0xd61f0220, CALLER_SP - 16, CALLER_SP, CALLER}, /* br x17 */
};

static const struct scene {
	const char *name;
	uint32_t address;
	const struct moment *moments;
	size_t count, record; /* words from SP to the function's record */
} scenes[] = {
	{"tables of bodies only", ELF(0x100), function, sizeof(function) / sizeof(function[0]), 4},
	{"no tables", ELF(0x2000), function, sizeof(function) / sizeof(function[0]), 4},
	{"tail call", ELF(0x300), tail_call, sizeof(tail_call) / sizeof(tail_call[0]), 0},
	{"tail call, no tables", ELF(0x2100), tail_call, sizeof(tail_call) / sizeof(tail_call[0]), 0},
	{"PLT entry", ELF(0x2200), plt_entry, sizeof(plt_entry) / sizeof(plt_entry[0]), 0},
	{"PLT head", ELF(0x2300), plt_head, sizeof(plt_head) / sizeof(plt_head[0]), 0},
};

enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

static void
put_code(struct frame_builder *b, const struct scene *scene)
{
	for (size_t i = 0; i < scene->count; i++)
		frame_builder_code(b, scene->address + 4 * (uint32_t)i, &scene->moments[i].code, 4);
}

static int
setup(void **state)
{
	/* version 1, "zRB" (signed with the B key), code*4, data*-8, ra 30; CFA = sp */
	static const uint8_t cie[] = {0, 0, 0, 0, 1, 'z', 'R', 'B', 0, 4, 0x78, 30, 1, 0x1b, 0x0c, 31, 0};
	struct fixture *f = calloc(1, sizeof(*f));
	struct frame_builder *b = &f->builder;

	frame_builder_init(b);
	b->elf.header.e_machine = EM_AARCH64;
	b->cie = frame_builder_raw(b, cie, sizeof(cie));
	frame_builder_fde(b, OUTERMOST - 0x10, 0x100, BYTES(0x07, 30));
	/* at +16: negate_ra_state, CFA = x29 + 16, x30 at CFA - 8, x29 at CFA - 16; and so to the end */
	frame_builder_fde(b, ELF(0x100), 0x100, BYTES(0x44, 0x2d, 0x0c, 29, 16, 0x9e, 1, 0x9d, 2));
	/* CFA = sp + 32, record at CFA - 32 */
	frame_builder_fde(b, CALLER - 0x10, 0x100, BYTES(0x0e, 32, 0x9d, 4, 0x9e, 3));
	/* at +8: CFA = x29 + 48, record at CFA - 48 */
	frame_builder_fde(b, ELF(0x300), 0x100, BYTES(0x42, 0x0c, 29, 48, 0x9e, 5, 0x9d, 6));
	/* CFA = sp + 16, lr unchanged: fine for a leaf */
	frame_builder_fde(b, LEAF - 0x10, 0x100, BYTES(0x0e, 16));
	for (size_t i = 0; i < SCENES; i++)
		put_code(b, &scenes[i]);
	f->image = frame_builder_finish(b, FRAME_TABLE);
	f->module = unwind_module_new(f->image, 1);
	f->unwinder = unwinder_new();
	*state = f;
	return f->module && f->unwinder ? 0 : -1;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	unwinder_free(f->unwinder);
	unwind_module_free(f->module);
	elf_image_free(f->image);
	free(f);
	return 0;
}

static void
expect_truth(struct fixture *f, const struct scene *scene, size_t at)
{
	const struct moment *moment = &scene->moments[at];
	uint64_t pc = scene->address + 4 * at;
	uint64_t words[16] = {[6] = CALLER_SP + 32, [7] = OUTERMOST}; /* the caller's record */
	struct stack_view stack = {
		.bytes = (const uint8_t *)words, .mask = UINT64_MAX, .sp = SP, .size = 128};
	struct user_registers registers = {0};
	struct frame frames[UNWIND_MAX_FRAMES];
	enum unwind_end end;
	size_t count;

	words[scene->record] = CALLER_SP;
	words[scene->record + 1] = SIGNED(CALLER);
	stack.at = moment->sp - SP;
	stack.sp = moment->sp;
	stack.size -= stack.at;
	registers.value[REGISTER_PC] = pc;
	registers.value[REGISTER_SP] = moment->sp;
	registers.value[REGISTER_FP] = moment->fp;
	registers.value[REGISTER_LR] = moment->lr;
	for (unsigned round = 0; round < 2; round++) { /* an empty cache, then a warm one */
		end = unwinder_walk(f->unwinder, &registers, &stack, lookup, f, frames, &count);
		if (end != END_ROOT || count != 3 || frames[0].address != pc ||
		    frames[1].address != CALLER - 1 || frames[2].address != OUTERMOST - 1)
			fail_msg("%s, instruction %zu: end %d after %zu frames, second %#lx", scene->name, at,
				 (int)end, count, count > 1 ? frames[1].address : 0);
	}
}

static void
test_scenes(void **state)
{
	for (size_t i = 0; i < SCENES; i++)
		for (size_t at = 0; at < scenes[i].count; at++)
			expect_truth(*state, &scenes[i], at);
}

/* lr holds the return address only where no call was made since. */
static void
test_lr_of_caller(void **state)
{
	struct fixture *f = *state;
	uint64_t words[16] = {0};
	struct stack_view stack = {
		.bytes = (const uint8_t *)words, .mask = UINT64_MAX, .sp = SP, .size = 128};
	struct user_registers registers = {0};
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;

	registers.value[REGISTER_PC] = LEAF;
	registers.value[REGISTER_SP] = SP;
	registers.value[REGISTER_LR] = OUTERMOST;
	assert_int_equal(unwinder_walk(f->unwinder, &registers, &stack, lookup, f, frames, &count), END_ROOT);
	assert_int_equal(count, 2);

	registers.value[REGISTER_LR] = LEAF;
	assert_int_equal(unwinder_walk(f->unwinder, &registers, &stack, lookup, f, frames, &count),
			 END_BAD_CFI);
	assert_int_equal(count, 2);
}

/* The kernel's way up: records aligned, each above the last, return addresses without their signature. */
static void
test_chain(void **state)
{
	const struct rule record = {
		.kind = RULE_SP, .saved = SAVED_RECORD, .slot_words = -4, .cfa_offset = 32};
	uint64_t chain[KERNEL_CHAIN_MAX], words[16] = {0};
	struct stack_view stack = {
		.bytes = (const uint8_t *)words, .mask = UINT64_MAX, .sp = SP, .size = 128};
	struct user_registers registers = {0};

	(void)state;
	registers.value[REGISTER_PC] = LEAF;
	registers.value[REGISTER_LR] = CALLER; /* not looked at */
	assert_int_equal(chain_of_copy(&registers, &stack, chain), 1);
	registers.value[REGISTER_FP] = SP + 16;
	words[2] = SP + 48;
	words[3] = SIGNED(CALLER);
	words[6] = SP + 32; /* down again: this record counts, and is the last */
	words[7] = SIGNED(OUTERMOST);
	assert_int_equal(chain_of_copy(&registers, &stack, chain), 3);
	assert_int_equal(chain[0], LEAF);
	assert_int_equal(chain[1], CALLER);
	assert_int_equal(chain[2], OUTERMOST);
	words[2] = SP + 49;
	assert_int_equal(chain_of_copy(&registers, &stack, chain), 2);
	words[2] = SP + 128; /* beyond the copy */
	assert_int_equal(chain_of_copy(&registers, &stack, chain), 2);

	assert_true(rule_has_record_at_fp(record, SP, SP));
	assert_false(rule_has_record_at_fp(record, SP, SP + 8));
	assert_true(rule_leads_by_fp(record)); /* gcc goes on naming its CFA by sp */
	assert_true(rule_leads_by_fp((struct rule){.kind = RULE_GAP}));
	assert_false(rule_leads_by_fp((struct rule){.kind = RULE_SP, .saved = SAVED_RETURN}));
	assert_false(rule_leads_by_fp((struct rule){.kind = RULE_SLOW}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_without_sp),
		cmocka_unit_test_setup_teardown(test_scenes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lr_of_caller, setup, teardown),
		cmocka_unit_test(test_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
