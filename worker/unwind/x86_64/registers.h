#pragma once
/* Roles of the x86-64 registers in the System V ABI, in DWARF numbering (unwind.h). */

#include "worker/unwind/unwind.h"

#include <stdbool.h>

enum {
	REGISTER_PC = REGISTER_RIP, /* DWARF's return address column */
	REGISTER_SP = REGISTER_RSP,
	REGISTER_FP = REGISTER_RBP,
};

/* Registers a function must give back to its caller: without a rule they keep their value. */
#define CALLEE_SAVED_REGISTERS                                                               \
	(1u << REGISTER_RBX | 1u << REGISTER_RBP | 1u << REGISTER_R12 | 1u << REGISTER_R13 | \
	 1u << REGISTER_R14 | 1u << REGISTER_R15)

#define ALL_REGISTERS ((1u << REGISTER_COUNT) - 1)

/* What unwinding knows of one frame's registers: bit r of `known` says whether value[r] means anything. */
struct register_file {
	uint64_t value[REGISTER_COUNT];
	uint32_t known;
};

static inline bool
register_is_known(const struct register_file *registers, unsigned number)
{
	return number < REGISTER_COUNT && (registers->known >> number & 1);
}

static inline void
register_set(struct register_file *registers, unsigned number, uint64_t value)
{
	registers->value[number] = value;
	registers->known |= 1u << number;
}
