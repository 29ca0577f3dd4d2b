#pragma once
/* What the compact rule of an address says, whatever the architecture. */

enum rule_kind {
	RULE_NONE,       /* an empty cache entry */
	RULE_SP,         /* CFA = sp + cfa_offset */
	RULE_FP,         /* CFA = fp + cfa_offset */
	RULE_SLOW,       /* anything else CFI can say: evaluate the whole row */
	RULE_END,        /* outermost frame: the return address is undefined */
	RULE_GAP,        /* no FDE covers this address: frame pointer */
	RULE_SIGRETURN,  /* no FDE, but the code is a signal return stub (musl, Go, arm64's vdso) */
	RULE_START,      /* no FDE, but the next byte is a function's first: no call returns there */
	RULE_BAD,        /* malformed or unsupported CFI */
	RULE_UNREADABLE, /* the tables could not be read this time: never cached */
};
