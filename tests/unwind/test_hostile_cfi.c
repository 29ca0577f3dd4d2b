/* The most expensive tables we know of: each walk reads and runs a bounded number of bytes of them, counted
 * where the unwinder asks for them. A hostile file makes its own samples end early, and costs no more than
 * that. */

#include "tests/fuzz/table_image.h"
#include "worker/unwind/cfi.h"
#include "worker/unwind/expression.h"
#include "worker/unwind/module.h"
#include "worker/unwind/unwind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	STACK_BYTES = 65536 - 8, /* the largest copy there is */
	FUNCTION = 0x20,         /* bytes of code for each FDE */
	UNCACHED = 1 << 24,      /* a module number without a key: each frame asks the tables again */
};

static struct table_image tables;
static uint8_t bytes[0x2000];
static size_t used;
static uint64_t words[STACK_BYTES / 8];
static struct unwind_module *module;

static size_t
put_entry(const void *head, size_t head_size, const void *rules, size_t rules_size)
{
	uint32_t size = (uint32_t)(head_size + rules_size);
	size_t at = used;

	assert_true(used + 4 + size <= sizeof(bytes));
	memcpy(bytes + used, &size, 4);
	memcpy(bytes + used + 4, head, head_size);
	memcpy(bytes + used + 4 + head_size, rules, rules_size);
	used += 4 + size;
	return at;
}

/* CFA = rsp + 8, return address at CFA - 8, then `rules`. */
static size_t
put_cie(const void *rules, size_t size)
{
	uint8_t head[] = {0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1};

	return put_entry(head, sizeof(head), rules, size);
}

static void
put_fde(size_t cie, unsigned function, const void *rules, size_t size)
{
	uint32_t head[] = {(uint32_t)(used + 4 - cie),
			   (uint32_t)(FRAME_CODE + function * FUNCTION - FRAME_EH - used - 8), FUNCTION};
	uint8_t with_augmentation[sizeof(head) + 1] = {0};

	memcpy(with_augmentation, head, sizeof(head));
	put_entry(with_augmentation, sizeof(with_augmentation), rules, size);
}

/* A stack of nothing but return addresses into `functions` in turn, walked to its end. */
static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	(void)context;
	*ret = (struct code_place){.kind = CODE_MODULE, .address = pc, .module = module};
}

static void
walk(unsigned functions)
{
	struct cursor none = cursor_over("", 0);
	struct stack_view stack = {
		.bytes = (uint8_t *)words, .mask = UINT64_MAX, .sp = TABLE_STACK, .size = STACK_BYTES};
	struct user_registers registers = {0};
	struct unwinder *unwinder = unwinder_new();
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;

	for (size_t i = 0; i < STACK_BYTES / 8; i++)
		words[i] = FRAME_CODE + i % functions * FUNCTION + 8;
	registers.value[REGISTER_SP] = TABLE_STACK;
	registers.value[REGISTER_PC] = FRAME_CODE + 8;
	table_image_open(&tables, TABLES_BY_SECTION, none, none, cursor_over(bytes, used));
	module = unwind_module_new(tables.image, UNCACHED);
	assert_non_null(unwinder);
	assert_non_null(module);
	unwinder_walk(unwinder, &registers, &stack, lookup, NULL, frames, &count); /* makes the index */
	memset(&table_work, 0, sizeof(table_work));
	unwinder_walk(unwinder, &registers, &stack, lookup, NULL, frames, &count);
	fprintf(stderr, "%lu bytes in %lu reads, %lu steps in %lu expressions\n", table_work.bytes,
		table_work.reads, table_work.steps, table_work.expressions);
	/* the four bytes of an entry's length are read before anything is known of it */
	assert_true(table_work.bytes <= CFI_BYTES_PER_WALK + 4 * table_work.reads / 2);
	assert_true(table_work.steps <= CFI_BYTES_PER_WALK);
	unwind_module_free(module);
	unwinder_free(unwinder);
	elf_image_free(tables.image);
}

static const uint8_t zeros[4096];

static void
test_long_entries(void **state)
{
	(void)state;
	size_t cie = put_cie("", 0);

	put_fde(cie, 0, zeros, sizeof(zeros));
	walk(1);
}

/* More CIEs than are kept: each FDE needs one that was driven out. */
static void
put_alternating(unsigned functions)
{
	static const uint8_t rules[CFI_CIE_BYTES_MAX - 18];
	size_t cies[CFI_CIES_KEPT + 2];

	for (unsigned i = 0; i < CFI_CIES_KEPT + 2; i++)
		cies[i] = put_cie(rules, sizeof(rules));
	for (unsigned i = 0; i < functions; i++)
		put_fde(cies[i % (CFI_CIES_KEPT + 2)], i, "", 0);
}

static void
test_alternating_cies(void **state)
{
	(void)state;
	put_alternating(CFI_CIES_KEPT + 2);
	walk(CFI_CIES_KEPT + 2);
}

/* The same in a file whose index has to be made: within four times the section. */
static void
test_index_of_alternating_cies(void **state)
{
	static struct cfi_scratch scratch = {.budget = CFI_BYTES_PER_WALK};
	struct cursor none = cursor_over("", 0);
	struct cfi_row row;

	(void)state;
	put_alternating(sizeof(bytes) / 32);
	table_image_open(&tables, TABLES_BY_SECTION, none, none, cursor_over(bytes, used));
	module = unwind_module_new(tables.image, UNCACHED);
	assert_non_null(module);
	memset(&table_work, 0, sizeof(table_work));
	(void)unwind_module_find_row(module, &scratch, FRAME_CODE, &row);
	fprintf(stderr, "index of %zu bytes: %lu bytes in %lu reads\n", used, table_work.bytes,
		table_work.reads);
	assert_true(table_work.bytes - 4 * table_work.reads / 2 <= 4 * used + 1024);
	unwind_module_free(module);
	elf_image_free(tables.image);
}

/* Every register by an expression of as many steps as there may be. */
static void
test_expressions(void **state)
{
	uint8_t rules[REGISTER_COUNT * (3 + EXPRESSION_STEPS_MAX)];
	size_t at = 0;

	(void)state;
	for (uint8_t number = 0; number < REGISTER_COUNT; number++) {
		if (number == REGISTER_PC || number == REGISTER_SP)
			continue;
		rules[at++] = 0x16; /* val_expression */
		rules[at++] = number;
		rules[at++] = EXPRESSION_STEPS_MAX;
		memset(rules + at, 0x96, EXPRESSION_STEPS_MAX); /* nop */
		at += EXPRESSION_STEPS_MAX;
	}
	put_fde(put_cie("", 0), 0, rules, at);
	walk(1);
}

/* Expressions of a CIE, which is read once and run for each frame. */
static void
test_expressions_of_a_cie(void **state)
{
	uint8_t rules[CFI_CIE_BYTES_MAX - 18];

	(void)state;
	memset(rules, 0x96, sizeof(rules));
	for (unsigned i = 0; i < 3; i++) {
		rules[70 * i] = 0x16;
		rules[70 * i + 1] = i == 0 ? REGISTER_FP : (uint8_t)(REGISTER_R12 + i);
		rules[70 * i + 2] = 67;
	}
	rules[140 + 2] = 64;
	memset(rules + 140 + 67, 0, sizeof(rules) - 140 - 67);
	put_fde(put_cie(rules, sizeof(rules)), 0, "", 0);
	walk(1);
}

static int
start_tables(void **state)
{
	(void)state;
	used = 0;
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_long_entries, start_tables),
		cmocka_unit_test_setup(test_alternating_cies, start_tables),
		cmocka_unit_test_setup(test_index_of_alternating_cies, start_tables),
		cmocka_unit_test_setup(test_expressions, start_tables),
		cmocka_unit_test_setup(test_expressions_of_a_cie, start_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
