#pragma once
/* The arm64 registers in DWARF order, and their roles in the procedure call standard (AAPCS64). */

#include <stdint.h>

/* DWARF for the Arm 64-bit Architecture (AADWARF64), 4.1. */
enum unwind_register {
	REGISTER_X0,
	REGISTER_X19 = 19,
	REGISTER_X28 = 28,
	REGISTER_X29,
	REGISTER_X30,
	REGISTER_X31,
	REGISTER_X32,
	REGISTER_COUNT,
};

enum {
	REGISTER_LR = REGISTER_X30,
	REGISTER_RETURN = REGISTER_LR, /* DWARF's return address column */
	REGISTER_SP = REGISTER_X31,
	REGISTER_PC = REGISTER_X32,
	REGISTER_FP = REGISTER_X29,
};

/* perf's register order (bit order of SAMPLE_REGISTERS_MASK): the same as DWARF's. */
#define REGISTERS_IN_PERF_ORDER                                                                           \
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, \
		27, 28, REGISTER_FP, REGISTER_LR, REGISTER_SP, REGISTER_PC

/* Whether CFI speaks of signed return addresses. */
#define CFI_HAS_SIGNED_RETURNS 1

/* How instructions are aligned: an address that is a multiple is that of an interrupted frame; a return
 * address minus one is not. */
#define INSTRUCTION_ALIGNMENT 4

/* The frame record [fp], [fp + 8] may lie anywhere in its frame (gcc: below the locals), so that a frame
 * pointer alone does not tell the caller's sp. */
#define FRAME_RECORD_IS_TOP 0

/* How perf's frame pointer chain is followed: arm64's kernel wants records aligned, each above the last. */
#define KERNEL_CHAIN_ONLY_UP 1

/* The address a saved return address means. Pointer authentication signs it in the bits above the address
 * space; without a hint to mmap, Linux maps nothing beyond 48 bits. */
static inline uint64_t
return_target(uint64_t saved)
{
	return saved & ((1ull << 48) - 1);
}

#include "worker/unwind/register_file.h"
