#pragma once
/* The eight bytes that unwind almost every frame: how to get from {pc, sp, fp} to the caller's. */

#include <stdint.h>

struct cfi_row;

enum rule_kind {
	RULE_NONE,       /* an empty cache entry */
	RULE_SP,         /* CFA = sp + cfa_offset; return address at CFA - 8 */
	RULE_FP,         /* CFA = fp + cfa_offset; return address at CFA - 8 */
	RULE_SLOW,       /* anything else CFI can say: evaluate the whole row */
	RULE_END,        /* outermost frame: the return address is undefined */
	RULE_GAP,        /* no FDE covers this address: frame pointer */
	RULE_SIGRETURN,  /* no FDE, but the code is a signal return stub (musl, Go) */
	RULE_BAD,        /* malformed or unsupported CFI */
	RULE_UNREADABLE, /* the tables could not be read this time: never cached */
};

struct rule {
	uint8_t kind;
	uint8_t unused;
	int16_t fp_words;   /* caller's fp is saved at CFA + 8 * fp_words; 0: unchanged */
	int32_t cfa_offset; /* bytes; rustc has frames of 540 KB */
};

_Static_assert(sizeof(struct rule) == 8, "a cache entry is 16 bytes");

/* Projects a complete row; RULE_SLOW when the compact form cannot say exactly the same. */
struct rule rule_from_row(const struct cfi_row *row);
