/* An operation pushes a constant, pushes a register, works on the top slot, or combines the two on top. */

#include "worker/unwind/expression.h"

#include "worker/unwind/encoding.h"

#include <errno.h>

/* DW_OP_* of DWARF 5, 7.7.1. */
enum {
	OP_ADDRESS = 0x03,
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08,
	OP_CONST1S = 0x09,
	OP_CONST2U = 0x0a,
	OP_CONST2S = 0x0b,
	OP_CONST4U = 0x0c,
	OP_CONST4S = 0x0d,
	OP_CONST8U = 0x0e,
	OP_CONST8S = 0x0f,
	OP_CONSTU = 0x10,
	OP_CONSTS = 0x11,
	OP_DUP = 0x12,
	OP_DROP = 0x13,
	OP_OVER = 0x14,
	OP_PICK = 0x15,
	OP_SWAP = 0x16,
	OP_ABS = 0x19,
	OP_AND = 0x1a,
	OP_MINUS = 0x1c,
	OP_MUL = 0x1e,
	OP_NEG = 0x1f,
	OP_NOT = 0x20,
	OP_OR = 0x21,
	OP_PLUS = 0x22,
	OP_PLUS_CONST = 0x23,
	OP_SHL = 0x24,
	OP_SHR = 0x25,
	OP_SHRA = 0x26,
	OP_XOR = 0x27,
	OP_EQ = 0x29,
	OP_GE = 0x2a,
	OP_GT = 0x2b,
	OP_LE = 0x2c,
	OP_LT = 0x2d,
	OP_NE = 0x2e,
	OP_LITERAL_0 = 0x30,
	OP_LITERAL_31 = 0x4f,
	OP_BASE_0 = 0x70, /* register + SLEB128 */
	OP_BASE_31 = 0x8f,
	OP_BASE_ANY = 0x92,
	OP_NOP = 0x96,
};

struct evaluation {
	const struct expression_input *input;
	struct cursor in;
	uint64_t slots[EXPRESSION_SLOTS];
	unsigned depth;
	int error; /* the first one stays */
	uint64_t missing;
};

static void
fail(struct evaluation *e, int error)
{
	if (!e->error)
		e->error = error;
}

static void
push(struct evaluation *e, uint64_t value)
{
	if (e->depth == EXPRESSION_SLOTS)
		fail(e, -EBADMSG);
	else
		e->slots[e->depth++] = value;
}

/* Like a cursor: an empty stack yields zero and marks the evaluation failed. */
static uint64_t
pop(struct evaluation *e)
{
	if (e->depth == 0) {
		fail(e, -EBADMSG);
		return 0;
	}
	return e->slots[--e->depth];
}

/* Copies the slot `below` the top. */
static void
pick(struct evaluation *e, unsigned below)
{
	if (below >= e->depth)
		fail(e, -EBADMSG);
	else
		push(e, e->slots[e->depth - 1 - below]);
}

static void
push_register(struct evaluation *e, uint64_t number)
{
	int64_t offset = cursor_sleb128(&e->in);

	if (number >= REGISTER_COUNT)
		fail(e, -EBADMSG);
	else if (!register_is_known(e->input->registers, (unsigned)number))
		fail(e, -ENODATA);
	else
		push(e, e->input->registers->value[number] + (uint64_t)offset);
}

static void
dereference(struct evaluation *e)
{
	uint64_t address = pop(e), value;

	if (e->error)
		return;
	if (stack_view_u64(e->input->stack, address, &value)) {
		push(e, value);
		return;
	}
	e->missing = address;
	fail(e, -EFAULT);
}

/* Shifting by the width or more gives what shifting bit by bit would. */
static uint64_t
shift(uint8_t op, uint64_t value, uint64_t by)
{
	bool negative = value >> 63;

	if (by >= 64)
		return op == OP_SHRA && negative ? UINT64_MAX : 0;
	if (op == OP_SHL)
		return value << by;
	return op == OP_SHR || !negative ? value >> by : ~(~value >> by);
}

/* Comparisons are signed (DWARF 5, 2.5.1.5). */
static uint64_t
combine(struct evaluation *e, uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case OP_AND:
		return a & b;
	case OP_OR:
		return a | b;
	case OP_XOR:
		return a ^ b;
	case OP_PLUS:
		return a + b;
	case OP_MINUS:
		return a - b;
	case OP_MUL:
		return a * b;
	case OP_SHL:
	case OP_SHR:
	case OP_SHRA:
		return shift(op, a, b);
	case OP_EQ:
		return a == b;
	case OP_NE:
		return a != b;
	case OP_GE:
		return (int64_t)a >= (int64_t)b;
	case OP_GT:
		return (int64_t)a > (int64_t)b;
	case OP_LE:
		return (int64_t)a <= (int64_t)b;
	case OP_LT:
		return (int64_t)a < (int64_t)b;
	default: /* branches, divisions, typed and location operations: no compiler emits them here */
		fail(e, -EBADMSG);
		return 0;
	}
}

static void
combine_two(struct evaluation *e, uint8_t op)
{
	uint64_t b = pop(e), a = pop(e);

	push(e, combine(e, op, a, b));
}

static void
swap(struct evaluation *e)
{
	uint64_t top = pop(e), below = pop(e);

	push(e, top);
	push(e, below);
}

/* True when `op` only pushes a constant that follows it. */
static bool
push_constant(struct evaluation *e, uint8_t op)
{
	struct cursor *in = &e->in;

	switch (op) {
	case OP_ADDRESS:
	case OP_CONST8U:
	case OP_CONST8S:
		push(e, cursor_u64(in));
		return true;
	case OP_CONST1U:
		push(e, cursor_u8(in));
		return true;
	case OP_CONST1S:
		push(e, (uint64_t)(int64_t)(int8_t)cursor_u8(in));
		return true;
	case OP_CONST2U:
		push(e, cursor_u16(in));
		return true;
	case OP_CONST2S:
		push(e, (uint64_t)(int64_t)(int16_t)cursor_u16(in));
		return true;
	case OP_CONST4U:
		push(e, cursor_u32(in));
		return true;
	case OP_CONST4S:
		push(e, (uint64_t)(int64_t)(int32_t)cursor_u32(in));
		return true;
	case OP_CONSTU:
		push(e, cursor_uleb128(in));
		return true;
	case OP_CONSTS:
		push(e, (uint64_t)cursor_sleb128(in));
		return true;
	default:
		if (op < OP_LITERAL_0 || op > OP_LITERAL_31)
			return false;
		push(e, op - OP_LITERAL_0);
		return true;
	}
}

static void
step(struct evaluation *e)
{
	uint8_t op = cursor_u8(&e->in);
	uint64_t value;

	if (push_constant(e, op))
		return;
	if (op >= OP_BASE_0 && op <= OP_BASE_31) {
		push_register(e, op - OP_BASE_0);
		return;
	}
	switch (op) {
	case OP_BASE_ANY:
		value = cursor_uleb128(&e->in);
		push_register(e, value);
		return;
	case OP_DEREF:
		dereference(e);
		return;
	case OP_DUP:
		pick(e, 0);
		return;
	case OP_OVER:
		pick(e, 1);
		return;
	case OP_PICK:
		pick(e, cursor_u8(&e->in));
		return;
	case OP_DROP:
		(void)pop(e);
		return;
	case OP_SWAP:
		swap(e);
		return;
	case OP_PLUS_CONST:
		value = pop(e);
		push(e, value + cursor_uleb128(&e->in));
		return;
	case OP_NEG:
		push(e, 0 - pop(e));
		return;
	case OP_NOT:
		push(e, ~pop(e));
		return;
	case OP_ABS:
		value = pop(e);
		push(e, value >> 63 ? 0 - value : value);
		return;
	case OP_NOP:
		return;
	default:
		combine_two(e, op);
	}
}

int
expression_evaluate(const uint8_t *bytes, size_t size, const struct expression_input *input,
		    uint64_t *ret_value, uint64_t *ret_missing)
{
	struct evaluation e = {.input = input, .in = cursor_over(bytes, size)};
	uint64_t value;

	if (input->initial)
		push(&e, *input->initial);
	for (unsigned steps = 0; !e.error && cursor_left(&e.in) > 0; steps++) {
		if (steps == EXPRESSION_STEPS_MAX)
			return -EBADMSG;
		step(&e);
		if (e.in.failed)
			return -EBADMSG;
	}
	value = pop(&e);
	if (e.error == -EFAULT)
		*ret_missing = e.missing;
	if (e.error)
		return e.error;
	*ret_value = value;
	return 0;
}
