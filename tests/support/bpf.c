/* The instructions libseccomp emits and their neighbours (linux/Documentation/networking/filter.rst); jumps
 * only go forward, so every program ends. */

#include "tests/support/bpf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool
jump_is_taken(unsigned code, uint32_t accumulator, uint32_t operand)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return accumulator == operand;
	case BPF_JGT:
		return accumulator > operand;
	case BPF_JGE:
		return accumulator >= operand;
	default:
		return accumulator & operand; /* BPF_JSET */
	}
}

unsigned
bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data)
{
	uint32_t accumulator = 0;

	for (size_t at = 0; at < length; at++) {
		const struct sock_filter *instruction = &code[at];

		switch (instruction->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (instruction->k > sizeof(*data) - sizeof(accumulator) || instruction->k % 4 != 0)
				return BPF_INVALID_PROGRAM;
			memcpy(&accumulator, (const uint8_t *)data + instruction->k, sizeof(accumulator));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= instruction->k;
			break;
		case BPF_JMP | BPF_JA:
			at += instruction->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			at += jump_is_taken(instruction->code, accumulator, instruction->k) ? instruction->jt
											    : instruction->jf;
			break;
		case BPF_RET | BPF_K:
			return instruction->k;
		default:
			return BPF_INVALID_PROGRAM;
		}
	}
	return BPF_INVALID_PROGRAM;
}
