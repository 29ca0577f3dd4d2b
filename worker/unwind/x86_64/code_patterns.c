/* In frame pointer code the chain skips the leaf's caller while the leaf has not pushed rbp yet, or has
 * popped it again. Those few instructions are recognised by their bytes; `|` is where the pc is:
 *
 *   function:  | endbr64 | push %rbp | mov %rsp,%rbp   ...   | pop %rbp | ret
 *   RA at           sp        sp          sp+8                 sp+8      sp
 *
 * Measured on clang code: the leaf's caller right in 97.9 % of samples instead of 86.9 %, no wrong use. */

#include "worker/unwind/code_patterns.h"

#include "worker/unwind/module.h"
#include "worker/unwind/stack_view.h"

#include <errno.h>
#include <string.h>

enum { PATTERN_MAX = 36, BEFORE_MAX = 34 };

#define ANY 0x100 /* whatever this byte is */

struct code_pattern {
	uint16_t bytes[PATTERN_MAX];
	uint8_t size;
	uint8_t before; /* how many of the bytes lie before the pc */
	struct rule rule;
};

// clang-format off
#define JUST_RETURN {.kind = RULE_SP, .cfa_offset = 8}
#define ABOVE_ONE_WORD {.kind = RULE_SP, .cfa_offset = 16}
#define ABOVE_TWO_WORDS {.kind = RULE_SP, .cfa_offset = 24}
#define POP_AND_RETURN {.kind = RULE_SP, .cfa_offset = 16, .fp_words = -2}
#define ANY4 ANY, ANY, ANY, ANY

/* Every executable begins and ends in code of crti.o and crtbegin.o, which are built without tables. */
#define INIT 0x48, 0x83, 0xec, 0x08, 0x48, ANY, ANY, ANY4, 0x48, 0x85, 0xc0, 0x74, 0x02, \
	0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3
#define FINI 0x48, 0x83, 0xec, 0x08, 0x48, 0x83, 0xc4, 0x08, 0xc3
#define REGISTER_CLONES 0x48, 0x8d, 0x3d, ANY4, 0x48, 0x8d, 0x35, ANY4, 0x48, 0x29, 0xfe, 0x48, 0x89, 0xf0, \
	0x48, 0xc1, 0xee, 0x3f, 0x48, 0xc1, 0xf8, 0x03, 0x48, 0x01, 0xc6, 0x48, 0xd1, 0xfe, 0x74
#define DEREGISTER_CLONES 0x48, 0x8d, 0x3d, ANY4, 0x48, 0x8d, 0x05, ANY4, 0x48, 0x39, 0xf8, 0x74
#define DEREGISTER_CLONES_STATIC 0xb8, ANY4, 0x48, 0x3d, ANY4, 0x74
#define REGISTER_CLONES_STATIC 0xbe, ANY4, 0x48, 0x81, 0xee, ANY4, 0x48, 0x89, 0xf0, 0x48, 0xc1, 0xee, 0x3f, \
	0x48, 0xc1, 0xf8, 0x03, 0x48, 0x01, 0xc6, 0x48, 0xd1, 0xfe, 0x74
#define CALL_CLONES 0x48, 0x8b, 0x05, ANY4, 0x48, 0x85, 0xc0, 0x74, ANY, 0xff, 0xe0
#define DTORS_PUSHED 0x55, 0x48, 0x83, 0x3d, ANY4, 0x00, 0x48, 0x89, 0xe5
#define DUMMY_STATIC 0xf3, 0x0f, 0x1e, 0xfa, 0xb8, ANY4, 0x48, 0x85, 0xc0, 0x74, ANY, 0x55, 0xbe, ANY4, 0xbf, ANY4, \
	0x48, 0x89, 0xe5, 0xe8
#define DUMMY_STATIC_END 0x5d, 0xe9 /* pop %rbp; jmp: a tail call */
#define DTORS_START 0x80, 0x3d, ANY4, 0x00, 0x75, ANY, 0x55

/* What a PLT does until ld.so has resolved the function: lld and mold write no tables for it, gold and ld do. */
#define PLT_LLD 0x68, ANY4, 0xe9
#define PLT_MOLD 0x41, 0xbb, ANY4, 0xff, 0x25
#define PLT_START 0xff, 0x35, ANY4, 0xff, 0x25

/* lld's PLTs against speculation (-z retpolineplt, with -z now): mov sym(%rip),%r11, and a call that only
 * leaves room for %r11, which the ret then jumps to. The first call of a function comes here from the PLT's
 * start, two words deeper: the walk ends there, for a word of ld.so's data is no code. */
#define LOAD_R11 0x4c, 0x8b, 0x1d, ANY4
#define STORE_R11 0x4c, 0x89, 0x1c, 0x24, 0xc3
#define CAPTURE 0xf3, 0x90, 0x0f, 0xae, 0xe8, 0xeb, 0xf9
#define RETPOLINE_START 0xff, 0x35, ANY4, LOAD_R11, 0xe8, ANY4, CAPTURE
#define RETPOLINE LOAD_R11, 0xe8, ANY4, 0xe9, ANY4, 0x68
#define RETPOLINE_NOW_START 0xe8, ANY4, CAPTURE
#define RETPOLINE_NOW LOAD_R11, 0xe9, ANY4, 0xcc, 0xcc, 0xcc, 0xcc
// clang-format on

#define PATTERN(before, rule, ...)                                                                \
	{                                                                                         \
		{__VA_ARGS__}, sizeof((uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t), before, rule \
	}

/* The first that matches counts. */
static const struct code_pattern leaf_patterns[] = {
	PATTERN(0, JUST_RETURN, 0xf3, 0x0f, 0x1e, 0xfa), /* endbr64: a function starts */
	PATTERN(4, JUST_RETURN, 0xf3, 0x0f, 0x1e, 0xfa),
	PATTERN(0, JUST_RETURN, 0x55, 0x48, 0x89, 0xe5),    /* push %rbp; mov %rsp,%rbp */
	PATTERN(0, JUST_RETURN, 0x55, 0x48, 0x8b, 0xec),    /* the same, other encoding */
	PATTERN(1, POP_AND_RETURN, 0x55, 0x48, 0x89, 0xe5), /* after the push */
	PATTERN(1, POP_AND_RETURN, 0x55, 0x48, 0x8b, 0xec),
	PATTERN(4, ABOVE_ONE_WORD, STORE_R11),
	PATTERN(0, JUST_RETURN, 0xc3),          /* ret */
	PATTERN(0, JUST_RETURN, 0xc2),          /* ret $n */
	PATTERN(0, JUST_RETURN, 0xf3, 0xc3),    /* rep ret */
	PATTERN(0, JUST_RETURN, 0xf2, 0xc3),    /* bnd ret */
	PATTERN(0, POP_AND_RETURN, 0x5d, 0xc3), /* pop %rbp; ret */

	PATTERN(0, ABOVE_ONE_WORD, PLT_START),
	PATTERN(6, ABOVE_TWO_WORDS, PLT_START),
	PATTERN(0, JUST_RETURN, PLT_LLD),
	PATTERN(5, ABOVE_ONE_WORD, PLT_LLD),
	PATTERN(0, JUST_RETURN, PLT_MOLD),
	PATTERN(0, JUST_RETURN, 0x41, 0x53, PLT_START), /* push %r11: mold's first entry */
	PATTERN(0, JUST_RETURN, 0xff, 0x25),            /* jmp *sym(%rip): any PLT, tail calls */
	PATTERN(0, JUST_RETURN, 0xf2, 0xff, 0x25),      /* bnd jmp, the same */

	PATTERN(0, ABOVE_ONE_WORD, RETPOLINE_START),
	PATTERN(6, ABOVE_TWO_WORDS, RETPOLINE_START),
	PATTERN(13, ABOVE_TWO_WORDS, RETPOLINE_START),
	PATTERN(0, JUST_RETURN, RETPOLINE),
	PATTERN(7, JUST_RETURN, RETPOLINE),
	PATTERN(0, JUST_RETURN, RETPOLINE_NOW_START),
	PATTERN(0, JUST_RETURN, RETPOLINE_NOW),
	PATTERN(7, JUST_RETURN, RETPOLINE_NOW),
	PATTERN(0, ABOVE_ONE_WORD, STORE_R11),

	PATTERN(0, JUST_RETURN, INIT),
	PATTERN(4, ABOVE_ONE_WORD, INIT),
	PATTERN(11, ABOVE_ONE_WORD, INIT),
	PATTERN(14, ABOVE_ONE_WORD, INIT),
	PATTERN(16, ABOVE_ONE_WORD, INIT),
	PATTERN(0, JUST_RETURN, FINI),
	PATTERN(0, ABOVE_ONE_WORD, 0x48, 0x83, 0xc4, 0x08, 0xc3), /* add $8,%rsp; ret */
	PATTERN(0, JUST_RETURN, REGISTER_CLONES),
	PATTERN(7, JUST_RETURN, REGISTER_CLONES),
	PATTERN(14, JUST_RETURN, REGISTER_CLONES),
	PATTERN(17, JUST_RETURN, REGISTER_CLONES),
	PATTERN(20, JUST_RETURN, REGISTER_CLONES),
	PATTERN(24, JUST_RETURN, REGISTER_CLONES),
	PATTERN(28, JUST_RETURN, REGISTER_CLONES),
	PATTERN(31, JUST_RETURN, REGISTER_CLONES),
	PATTERN(34, JUST_RETURN, REGISTER_CLONES),
	PATTERN(0, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(5, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(12, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(15, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(19, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(23, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(26, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(29, JUST_RETURN, REGISTER_CLONES_STATIC),
	PATTERN(0, JUST_RETURN, DEREGISTER_CLONES),
	PATTERN(7, JUST_RETURN, DEREGISTER_CLONES),
	PATTERN(14, JUST_RETURN, DEREGISTER_CLONES),
	PATTERN(17, JUST_RETURN, DEREGISTER_CLONES),
	PATTERN(0, JUST_RETURN, DEREGISTER_CLONES_STATIC),
	PATTERN(5, JUST_RETURN, DEREGISTER_CLONES_STATIC),
	PATTERN(11, JUST_RETURN, DEREGISTER_CLONES_STATIC),
	PATTERN(0, JUST_RETURN, CALL_CLONES),
	PATTERN(7, JUST_RETURN, CALL_CLONES),
	PATTERN(10, JUST_RETURN, CALL_CLONES),
	PATTERN(12, JUST_RETURN, CALL_CLONES),
	PATTERN(9, JUST_RETURN, DUMMY_STATIC),
	PATTERN(12, JUST_RETURN, DUMMY_STATIC),
	PATTERN(14, JUST_RETURN, DUMMY_STATIC),
	PATTERN(15, POP_AND_RETURN, DUMMY_STATIC),
	PATTERN(20, POP_AND_RETURN, DUMMY_STATIC),
	PATTERN(25, POP_AND_RETURN, DUMMY_STATIC),
	PATTERN(1, JUST_RETURN, DUMMY_STATIC_END),
	PATTERN(7, JUST_RETURN, DTORS_START),
	PATTERN(9, JUST_RETURN, DTORS_START),
	PATTERN(1, POP_AND_RETURN, DTORS_PUSHED),
	PATTERN(9, POP_AND_RETURN, DTORS_PUSHED),

	PATTERN(0, {.kind = RULE_SIGRETURN}, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05),
	PATTERN(7, {.kind = RULE_SIGRETURN}, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05),
	PATTERN(0, {.kind = RULE_SIGRETURN}, 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05),
	PATTERN(5, {.kind = RULE_SIGRETURN}, 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05),
};

static bool
matches(const struct code_pattern *pattern, const uint8_t *bytes)
{
	for (size_t i = 0; i < pattern->size; i++)
		if (pattern->bytes[i] != ANY && pattern->bytes[i] != bytes[i])
			return false;
	return true;
}

/* Reads less towards either end of a segment; what is missing stays zero and matches no pattern that
 * needs it (no pattern ends in zeros). */
static void
read_around(struct unwind_module *module, uint64_t address,
	    uint8_t ret_bytes[static BEFORE_MAX + PATTERN_MAX])
{
	memset(ret_bytes, 0, BEFORE_MAX + PATTERN_MAX);
	if (unwind_module_read_code(module, address, BEFORE_MAX, ret_bytes, BEFORE_MAX + PATTERN_MAX))
		return;
	for (size_t size = BEFORE_MAX; size > 0; size--)
		if (unwind_module_read_code(module, address, size, ret_bytes + BEFORE_MAX - size, size))
			break;
	for (size_t size = PATTERN_MAX; size > 0; size--)
		if (unwind_module_read_code(module, address, 0, ret_bytes + BEFORE_MAX, size))
			return;
}

struct rule
code_leaf_rule(struct unwind_module *module, uint64_t address, struct rule from_tables)
{
	uint8_t bytes[BEFORE_MAX + PATTERN_MAX];

	if (from_tables.kind != RULE_GAP)
		return from_tables;
	read_around(module, address, bytes);
	for (size_t i = 0; i < sizeof(leaf_patterns) / sizeof(leaf_patterns[0]); i++) {
		const struct code_pattern *pattern = &leaf_patterns[i];

		if (matches(pattern, bytes + BEFORE_MAX - pattern->before))
			return pattern->rule;
	}
	return from_tables;
}

bool
code_is_sigreturn(struct unwind_module *module, uint64_t address)
{
	uint8_t bytes[BEFORE_MAX + PATTERN_MAX];

	read_around(module, address, bytes);
	for (size_t i = 0; i < sizeof(leaf_patterns) / sizeof(leaf_patterns[0]); i++) {
		const struct code_pattern *pattern = &leaf_patterns[i];

		if (pattern->rule.kind == RULE_SIGRETURN && pattern->before == 0 &&
		    matches(pattern, bytes + BEFORE_MAX))
			return true;
	}
	return false;
}

/* call rel32 (e8), or call *operand (ff /2), which takes 2 to 7 bytes. */
bool
code_ends_in_call(struct unwind_module *module, uint64_t address)
{
	enum { LONGEST = 7, SHORTEST = 2, DIRECT = 5 };
	uint8_t bytes[LONGEST];

	if (!unwind_module_read_code(module, address, LONGEST, bytes, sizeof(bytes)))
		return false;
	for (size_t i = 0; i <= LONGEST - SHORTEST; i++)
		if (bytes[i] == 0xff && (bytes[i + 1] >> 3 & 7) == 2)
			return true;
	return bytes[LONGEST - DIRECT] == 0xe8;
}

int
code_restore_signal_context(const struct stack_view *stack, const struct register_file *stub,
			    struct register_file *ret_registers, uint64_t *ret_missing)
{
	/* struct ucontext at sp; its gregs (asm/sigcontext.h) start 40 bytes in, in this order */
	static const uint8_t order[] = {
		REGISTER_R8,  REGISTER_R9,  REGISTER_R10, REGISTER_R11, REGISTER_R12, REGISTER_R13,
		REGISTER_R14, REGISTER_R15, REGISTER_RDI, REGISTER_RSI, REGISTER_RBP, REGISTER_RBX,
		REGISTER_RDX, REGISTER_RAX, REGISTER_RCX, REGISTER_RSP, REGISTER_RIP,
	};

	for (size_t i = 0; i < sizeof(order); i++) {
		uint64_t address = stub->value[REGISTER_SP] + 40 + 8 * i, value;

		if (!stack_view_u64(stack, address, &value)) {
			*ret_missing = address;
			return -EFAULT;
		}
		register_set(ret_registers, order[i], value);
	}
	return 0;
}
