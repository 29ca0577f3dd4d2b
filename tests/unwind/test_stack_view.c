/* stack_view_u64(): every byte of the copy and none outside, in a plain buffer and wrapped in a ring. */

#include "worker/unwind/stack_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SP 0x7ffc00001000u

/* The word whose bytes are i, i+1, ... */
static uint64_t
word_at(uint64_t i)
{
	uint64_t word = 0;

	for (unsigned k = 0; k < 8; k++)
		word |= (uint64_t)(uint8_t)(i + k) << 8 * k;
	return word;
}

static void
test_bounds(void **state)
{
	static const struct {
		uint64_t size, address;
		bool readable;
	} cases[] = {
		{64, SP, true},          {64, SP + 1, true},
		{64, SP + 56, true},     {64, SP + 57, false},
		{64, SP + 64, false},    {64, SP - 1, false},
		{64, SP - 8, false},     {64, 0, false},
		{64, UINT64_MAX, false}, {64, UINT64_MAX - 7, false},
		{8, SP, true},           {8, SP + 1, false},
		{7, SP, false},          {0, SP, false},
	};
	uint8_t *bytes = malloc(64); /* on the heap, so that ASan sees a step beyond */

	(void)state;
	assert_non_null(bytes);
	for (unsigned i = 0; i < 64; i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stack_view stack = {
			.bytes = bytes, .mask = UINT64_MAX, .sp = SP, .size = cases[i].size};
		uint64_t word = 12345;

		assert_int_equal(stack_view_u64(&stack, cases[i].address, &word), cases[i].readable);
		assert_int_equal(word, cases[i].readable ? word_at(cases[i].address - SP) : 12345);
	}
	free(bytes);
}

static void
test_wrap(void **state)
{
	enum { RING = 256 };
	uint64_t *ring = malloc(RING);
	uint8_t *bytes = (uint8_t *)ring;

	(void)state;
	assert_non_null(ring);
	/* wherever the copy starts, also far beyond the first lap, it reads like a plain buffer */
	for (uint64_t at = 0; at < 3 * RING; at += 8) {
		struct stack_view stack = {
			.bytes = bytes, .mask = RING - 1, .at = at, .sp = SP, .size = RING};

		for (unsigned i = 0; i < RING; i++)
			bytes[(at + i) % RING] = (uint8_t)i;
		for (unsigned i = 0; i + 8 <= RING; i++) {
			uint64_t word;

			assert_true(stack_view_u64(&stack, SP + i, &word));
			assert_int_equal(word, word_at(i));
		}
	}
	free(ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
