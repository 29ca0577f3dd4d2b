#pragma once
/* The x86-64 registers in DWARF order, and their roles in the System V ABI. */

#include <stdint.h>

/* System V ABI, AMD64 supplement, figure 3.36. */
enum unwind_register {
	REGISTER_RAX,
	REGISTER_RDX,
	REGISTER_RCX,
	REGISTER_RBX,
	REGISTER_RSI,
	REGISTER_RDI,
	REGISTER_RBP,
	REGISTER_RSP,
	REGISTER_R8,
	REGISTER_R9,
	REGISTER_R10,
	REGISTER_R11,
	REGISTER_R12,
	REGISTER_R13,
	REGISTER_R14,
	REGISTER_R15,
	REGISTER_RIP,
	REGISTER_COUNT,
};

enum {
	REGISTER_PC = REGISTER_RIP,
	REGISTER_RETURN = REGISTER_RIP, /* DWARF's return address column */
	REGISTER_SP = REGISTER_RSP,
	REGISTER_FP = REGISTER_RBP,
};

/* perf's register order (bit order of SAMPLE_REGISTERS_MASK). */
#define REGISTERS_IN_PERF_ORDER                                                                           \
	REGISTER_RAX, REGISTER_RBX, REGISTER_RCX, REGISTER_RDX, REGISTER_RSI, REGISTER_RDI, REGISTER_RBP, \
		REGISTER_RSP, REGISTER_RIP, REGISTER_R8, REGISTER_R9, REGISTER_R10, REGISTER_R11,         \
		REGISTER_R12, REGISTER_R13, REGISTER_R14, REGISTER_R15

/* Whether CFI speaks of signed return addresses. */
#define CFI_HAS_SIGNED_RETURNS 0

/* How instructions are aligned. At 1, an address cannot tell a frame that was interrupted there from one that
 * called in front of it. */
#define INSTRUCTION_ALIGNMENT 1

/* [fp] and [fp + 8] are all that a frame pointer leads to: behind them lies the caller's stack. */
#define FRAME_RECORD_IS_TOP 1

/* How perf's frame pointer chain is followed: x86's kernel reads whatever it can. */
#define KERNEL_CHAIN_ONLY_UP 0

/* The address a saved return address means. */
static inline uint64_t
return_target(uint64_t saved)
{
	return saved;
}

#include "worker/unwind/register_file.h"
