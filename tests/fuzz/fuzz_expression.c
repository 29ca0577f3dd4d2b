/* Expressions. Input: flags, registers, stack words, then the operations. */

#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/table_image.h"
#include "worker/unwind/expression.h"

#include <errno.h>
#include <string.h>

enum { STACK_WORDS = 16, REGISTERS = 8 };

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint64_t words[STACK_WORDS], initial, value = 0, again = 0, missing = 0, word;
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	struct stack_view stack = {
		.bytes = (uint8_t *)words, .mask = UINT64_MAX, .sp = TABLE_STACK, .size = sizeof(words)};
	struct register_file registers = {0};
	uint8_t flags = cursor_u8(&in);

	for (unsigned i = 0; i < REGISTERS; i++)
		register_set(&registers, i, take_word(&in));
	registers.known &= ~(uint64_t)(flags >> 1);
	for (unsigned i = 0; i < STACK_WORDS; i++)
		words[i] = take_word(&in);
	initial = take_word(&in);
	if (in.failed)
		return 0;

	struct expression_input input = {
		.registers = &registers, .stack = &stack, .initial = flags & 1 ? &initial : NULL};
	int result = expression_evaluate(in.at, cursor_left(&in), &input, &value, &missing);
	CHECK(result == 0 || result == -EBADMSG || result == -ENODATA || result == -EFAULT);
	if (result == -EFAULT)
		CHECK(!stack_view_u64(&stack, missing, &word));
	if (result == 0) /* ten bytes are the longest operand */
		CHECK(cursor_left(&in) <= EXPRESSION_STEPS_MAX * 21 &&
		      (cursor_left(&in) > 0 || input.initial));
	CHECK(expression_evaluate(in.at, cursor_left(&in), &input, &again, &missing) == result &&
	      value == again);
	return 0;
}
