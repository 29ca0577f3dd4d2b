/* The expression interpreter: what real CFI contains, the arithmetic, and every limit. */

#include "worker/unwind/expression.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SP 0x7ffc00001000u
#define MINUS(n) ((uint64_t)0 - (n))
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

struct expression_case {
	const uint8_t *bytes;
	size_t size;
	int result;
	uint64_t value;
};

static const uint64_t words[] = {0x11, 0x22, 0x33, 0x44};

/* rsp = SP, rip = 0x100b, rbx = 5; nothing else is known */
static int
evaluate(const uint8_t *bytes, size_t size, const uint64_t *initial, uint64_t *ret_value,
	 uint64_t *ret_missing)
{
	struct register_file registers = {0};
	struct stack_view stack = {
		.bytes = (const uint8_t *)words, .mask = UINT64_MAX, .sp = SP, .size = sizeof(words)};
	struct expression_input input = {.registers = &registers, .stack = &stack, .initial = initial};
	uint8_t *copy = malloc(size + !size); /* exact size, for ASan */
	int result;

	assert_non_null(copy);
	if (size > 0)
		memcpy(copy, bytes, size);
	register_set(&registers, REGISTER_RSP, SP);
	register_set(&registers, REGISTER_RIP, 0x100b);
	register_set(&registers, REGISTER_RBX, 5);
	result = expression_evaluate(copy, size, &input, ret_value, ret_missing);
	free(copy);
	return result;
}

static const struct expression_case cases[] = {
	/* from files: the PLT rule, deref forms, OpenSSL's indexed one */
	{BYTES(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22), 0, SP + 16},
	{BYTES(0x77, 8, 0x06), 0, 0x22},
	{BYTES(0x77, 8, 0x06, 0x23, 8), 0, 0x2a},
	{BYTES(0x77, 0x68, 0x73, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 2), 0, 0x35}, /* *(rsp - 24 + 8 rbx) + 2 */
	/* constants */
	{BYTES(0x03, 1, 2, 3, 4, 5, 6, 7, 8), 0, 0x0807060504030201},
	{BYTES(0x08, 0xff), 0, 0xff},
	{BYTES(0x09, 0xff), 0, MINUS(1)},
	{BYTES(0x0a, 0xfe, 0xff), 0, 0xfffe},
	{BYTES(0x0b, 0xfe, 0xff), 0, MINUS(2)},
	{BYTES(0x0c, 0xfd, 0xff, 0xff, 0xff), 0, 0xfffffffd},
	{BYTES(0x0d, 0xfd, 0xff, 0xff, 0xff), 0, MINUS(3)},
	{BYTES(0x10, 0x80, 1), 0, 128},
	{BYTES(0x11, 0x80, 0x7f), 0, MINUS(128)},
	{BYTES(0x30), 0, 0},
	{BYTES(0x4f), 0, 31},
	/* stack operations */
	{BYTES(0x31, 0x12, 0x22), 0, 2},
	{BYTES(0x31, 0x32, 0x13), 0, 1},
	{BYTES(0x31, 0x32, 0x14, 0x1c), 0, 1},    /* over: 2 - 1 */
	{BYTES(0x31, 0x32, 0x33, 0x15, 2), 0, 1}, /* pick */
	{BYTES(0x31, 0x33, 0x16, 0x1c), 0, 2},    /* swap: 3 - 1 */
	/* arithmetic */
	{BYTES(0x33, 0x35, 0x1c), 0, MINUS(2)},
	{BYTES(0x33, 0x35, 0x1e), 0, 15},
	{BYTES(0x33, 0x1f), 0, MINUS(3)},
	{BYTES(0x33, 0x20), 0, ~(uint64_t)3},
	{BYTES(0x33, 0x1f, 0x19), 0, 3},
	{BYTES(0x33, 0x35, 0x1a), 0, 1},
	{BYTES(0x33, 0x35, 0x21), 0, 7},
	{BYTES(0x33, 0x35, 0x27), 0, 6},
	{BYTES(0x33, 0x34, 0x24), 0, 48},
	{BYTES(0x38, 0x32, 0x25), 0, 2},
	{BYTES(0x38, 0x1f, 0x32, 0x26), 0, MINUS(2)}, /* -8 >> 2 */
	{BYTES(0x38, 0x1f, 0x08, 64, 0x26), 0, MINUS(1)},
	{BYTES(0x38, 0x08, 64, 0x24), 0, 0},
	{BYTES(0x38, 0x08, 200, 0x25), 0, 0},
	/* comparisons are signed */
	{BYTES(0x31, 0x1f, 0x30, 0x2d), 0, 1},
	{BYTES(0x31, 0x1f, 0x30, 0x2b), 0, 0},
	{BYTES(0x33, 0x33, 0x2a), 0, 1},
	{BYTES(0x33, 0x33, 0x2c), 0, 1},
	{BYTES(0x33, 0x33, 0x29), 0, 1},
	{BYTES(0x33, 0x33, 0x2e), 0, 0},
	/* refused */
	{NULL, 0, -EBADMSG, 0},
	{BYTES(0x96), -EBADMSG, 0}, /* nothing on the stack at the end */
	{BYTES(0x22), -EBADMSG, 0},
	{BYTES(0x31, 0x22), -EBADMSG, 0},
	{BYTES(0x13), -EBADMSG, 0},
	{BYTES(0x31, 0x15, 1), -EBADMSG, 0}, /* pick below the bottom */
	{BYTES(0x31, 0x15, 0xff), -EBADMSG, 0},
	{BYTES(0x0e, 1, 2, 3), -EBADMSG, 0}, /* ends in a constant */
	{BYTES(0x10, 0x80), -EBADMSG, 0},
	{BYTES(0x2f, 0xfd, 0xff), -EBADMSG, 0},       /* skip: would loop */
	{BYTES(0x31, 0x28, 0xfc, 0xff), -EBADMSG, 0}, /* bra */
	{BYTES(0x31, 0x31, 0x1b), -EBADMSG, 0},       /* div */
	{BYTES(0x50), -EBADMSG, 0},                   /* a register location */
	{BYTES(0xff), -EBADMSG, 0},
	{BYTES(0x92, 17, 0), -EBADMSG, 0}, /* a register we do not have */
	{BYTES(0x8f, 0), -EBADMSG, 0},
	/* not now */
	{BYTES(0x76, 0), -ENODATA, 0}, /* rbp */
	{BYTES(0x92, 6, 0), -ENODATA, 0},
	{BYTES(0x77, 25, 0x06), -EFAULT, SP + 25}, /* missing address */
	{BYTES(0x77, 0x78, 0x06), -EFAULT, SP - 8},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0, missing = 0;
		int result = evaluate(cases[i].bytes, cases[i].size, NULL, &value, &missing);

		if (result != cases[i].result || (result == 0 ? value : missing) != cases[i].value)
			fail_msg("case %zu: %d, value %#lx, missing %#lx", i, result, value, missing);
	}
}

static void
test_initial(void **state)
{
	uint64_t cfa = SP + 8, value, missing;

	(void)state;
	assert_int_equal(evaluate(BYTES(0x06), &cfa, &value, &missing), 0);
	assert_int_equal(value, 0x22);
	assert_int_equal(evaluate(NULL, 0, &cfa, &value, &missing), 0);
	assert_int_equal(value, cfa);
}

static void
test_limits(void **state)
{
	uint8_t bytes[128];
	uint64_t value, missing;

	(void)state;
	memset(bytes, 0x31, sizeof(bytes)); /* lit1 */
	assert_int_equal(evaluate(bytes, EXPRESSION_SLOTS, NULL, &value, &missing), 0);
	assert_int_equal(evaluate(bytes, EXPRESSION_SLOTS + 1, NULL, &value, &missing), -EBADMSG);
	memset(bytes + 1, 0x96, sizeof(bytes) - 1); /* nop */
	assert_int_equal(evaluate(bytes, EXPRESSION_STEPS_MAX, NULL, &value, &missing), 0);
	assert_int_equal(evaluate(bytes, EXPRESSION_STEPS_MAX + 1, NULL, &value, &missing), -EBADMSG);
}

/* Any bytes end, within bounds. */
static void
test_random_bytes(void **state)
{
	uint64_t random = 7, value, missing;
	uint8_t bytes[40];
	unsigned good = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t size = 1 + (size_t)i % sizeof(bytes);

		for (size_t k = 0; k < size; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes[k] = (uint8_t)(random >> 56);
			if (random & (1 << 20))
				bytes[k] = (uint8_t)(0x30 + (random >> 50 & 15)); /* feed the operations */
		}
		good += evaluate(bytes, size, NULL, &value, &missing) == 0;
	}
	assert_true(good > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_initial),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
