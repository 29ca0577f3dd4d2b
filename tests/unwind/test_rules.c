/* From a row to the compact rule, and the cache that keeps it. */

#include "worker/unwind/cfi.h"
#include "worker/unwind/frame_cache.h"
#include "worker/unwind/pc_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct cfi_row
usual_row(void)
{
	return (struct cfi_row){
		.cfa = {.kind = CFI_REGISTER, .number = REGISTER_RSP, .offset = 24},
		.registers[REGISTER_RIP] = {.kind = CFI_AT_OFFSET, .offset = -8},
	};
}

static void
expect(const struct cfi_row *row, enum rule_kind kind, int32_t cfa_offset, int fp_words)
{
	struct rule rule = rule_from_row(row);

	assert_int_equal(rule.kind, kind);
	assert_int_equal(rule.cfa_offset, cfa_offset);
	assert_int_equal(rule.fp_words, fp_words);
}

static void
test_compact(void **state)
{
	struct cfi_row row = usual_row();

	(void)state;
	expect(&row, RULE_SP, 24, 0);
	row.registers[REGISTER_RBX] = (struct cfi_rule){.kind = CFI_AT_OFFSET, .offset = -24};
	expect(&row, RULE_SP, 24, 0); /* other registers do not matter */
	row.registers[REGISTER_RBP] = (struct cfi_rule){.kind = CFI_AT_OFFSET, .offset = -16};
	expect(&row, RULE_SP, 24, -2);
	row.cfa = (struct cfi_rule){.kind = CFI_REGISTER, .number = REGISTER_RBP, .offset = 16};
	expect(&row, RULE_FP, 16, -2);
	row.cfa.offset = 540128; /* rustc */
	expect(&row, RULE_FP, 540128, -2);
	row.registers[REGISTER_RBP] = (struct cfi_rule){.kind = CFI_SAME};
	row.cfa.offset = INT32_MIN;
	expect(&row, RULE_FP, INT32_MIN, 0);
	row.registers[REGISTER_RIP].kind = CFI_UNDEFINED;
	expect(&row, RULE_END, 0, 0);
}

static void
test_slow(void **state)
{
	const struct {
		unsigned number; /* REGISTER_COUNT: the CFA */
		struct cfi_rule rule;
	} changes[] = {
		{REGISTER_COUNT, {.kind = CFI_REGISTER, .number = REGISTER_RBX, .offset = 16}},
		{REGISTER_COUNT, {.kind = CFI_REGISTER, .number = REGISTER_RSP, .offset = 1ll << 31}},
		{REGISTER_COUNT, {.kind = CFI_IS_EXPRESSION}},
		{REGISTER_COUNT, {.kind = CFI_UNSPECIFIED}},
		{REGISTER_RIP, {.kind = CFI_UNSPECIFIED}},
		{REGISTER_RIP, {.kind = CFI_AT_OFFSET, .offset = -16}},
		{REGISTER_RIP, {.kind = CFI_IS_OFFSET, .offset = -8}},
		{REGISTER_RIP, {.kind = CFI_REGISTER, .number = REGISTER_RDI}},
		{REGISTER_RSP, {.kind = CFI_AT_OFFSET, .offset = -24}},
		{REGISTER_RSP, {.kind = CFI_SAME}},
		{REGISTER_RBP, {.kind = CFI_AT_OFFSET, .offset = -12}},
		{REGISTER_RBP, {.kind = CFI_AT_OFFSET, .offset = 0}},
		{REGISTER_RBP, {.kind = CFI_AT_OFFSET, .offset = 8}}, /* not in this frame */
		{REGISTER_RBP, {.kind = CFI_AT_OFFSET, .offset = -8 * 32769}},
		{REGISTER_RBP, {.kind = CFI_UNDEFINED}},
		{REGISTER_RBP, {.kind = CFI_REGISTER, .number = REGISTER_RBX}},
		{REGISTER_RBP, {.kind = CFI_AT_EXPRESSION}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct cfi_row row = usual_row();

		if (changes[i].number == REGISTER_COUNT)
			row.cfa = changes[i].rule;
		else
			row.registers[changes[i].number] = changes[i].rule;
		expect(&row, RULE_SLOW, 0, 0);
	}
	struct cfi_row row = usual_row();
	row.signal_frame = true;
	expect(&row, RULE_SLOW, 0, 0);
}

static void
test_cache_keys(void **state)
{
	(void)state;
	assert_int_equal(pc_cache_key(pc_cache_key_base(1), 0), 1ull << 40);
	assert_int_equal(pc_cache_key(pc_cache_key_base((1u << 24) - 1), (1ull << 40) - 1), UINT64_MAX);
	assert_int_equal(pc_cache_key(pc_cache_key_base(1u << 24), 5), 0);
	assert_int_equal(pc_cache_key(pc_cache_key_base(1), 1ull << 40), 0);
	assert_int_equal(pc_cache_key(pc_cache_key_base(1), UINT64_MAX), 0);
	assert_true(pc_cache_key(pc_cache_key_base(1), 2) != pc_cache_key(pc_cache_key_base(2), 1));
}

static void
test_cache(void **state)
{
	struct pc_cache *cache = pc_cache_new();
	struct rule one = {.kind = RULE_SP, .cfa_offset = 8}, two = {.kind = RULE_FP, .cfa_offset = 16},
		    found;
	uint64_t keys[3];
	unsigned count = 0;

	(void)state;
	assert_non_null(cache);
	assert_int_equal(pc_cache_find(cache, pc_cache_key(pc_cache_key_base(1), 5)).kind, RULE_NONE);
	pc_cache_add(cache, pc_cache_key(pc_cache_key_base(1), 5), one);
	pc_cache_add(cache, pc_cache_key(pc_cache_key_base(2), 5), two);
	found = pc_cache_find(cache, pc_cache_key(pc_cache_key_base(1), 5));
	assert_memory_equal(&found, &one, sizeof(found));
	assert_int_equal(pc_cache_find(cache, pc_cache_key(pc_cache_key_base(2), 5)).kind, RULE_FP);

	/* three keys of one set: the oldest goes */
	for (uint64_t address = 0; count < 3; address++)
		if (pc_cache_index(pc_cache_key(pc_cache_key_base(3), address)) == 100)
			keys[count++] = pc_cache_key(pc_cache_key_base(3), address);
	for (unsigned i = 0; i < 3; i++)
		pc_cache_add(cache, keys[i], one);
	assert_int_equal(pc_cache_find(cache, keys[0]).kind, RULE_NONE);
	assert_int_equal(pc_cache_find(cache, keys[1]).kind, RULE_SP);
	assert_int_equal(pc_cache_find(cache, keys[2]).kind, RULE_SP);

	/* what has no key is not kept */
	pc_cache_add(cache, 0, two);
	assert_int_equal(pc_cache_find(cache, 0).kind, RULE_NONE);
	pc_cache_free(cache);
}

static void
test_frame_cache(void **state)
{
	const struct rule rule = {.kind = RULE_SP, .cfa_offset = 24};
	struct frame frame = {
		.kind = CODE_ANONYMOUS, .file = (1u << FRAME_CACHE_FILE_BITS) - 1, .address = 77};
	struct known_frame known = {0};

	(void)state;
	known_frame_set(&known, 5, 0x1234, frame, rule);
	assert_true(known_frame_is(&known, 5, 0x1234));
	assert_false(known_frame_is(&known, 6, 0x1234)); /* another process, or another time */
	assert_false(known_frame_is(&known, 5, 0x1235));
	assert_int_equal(known_frame_get(&known).kind, CODE_ANONYMOUS);
	assert_int_equal(known_frame_get(&known).file, frame.file);
	assert_int_equal(known_frame_get(&known).address, 77);
	assert_memory_equal(&known.rule, &rule, sizeof(rule));

	/* what does not fit is not kept */
	frame.file++;
	known_frame_set(&known, 7, 0x1234, frame, rule);
	known_frame_set(&known, 1ull << FRAME_CACHE_SPACE_BITS, 0x1234, (struct frame){0}, rule);
	assert_true(known_frame_is(&known, 5, 0x1234));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compact),     cmocka_unit_test(test_slow),
		cmocka_unit_test(test_cache_keys),  cmocka_unit_test(test_cache),
		cmocka_unit_test(test_frame_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
