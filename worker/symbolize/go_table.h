#pragma once
/* What go_pclntab.c found out about a table, for who reads more of it. Layouts after runtime/symtab.go,
 * runtime/runtime2.go (_func), runtime/symtabinl.go and debug/gosym/pclntab.go of Go; all numbers below are
 * of programs with pointers of 8 bytes. */

#include "worker/profile/arena.h"
#include "worker/profile/record_table.h"
#include "worker/symbolize/section_window.h"

struct go_layout {
	uint32_t magic;
	bool has_offsets; /* in the header; else everything counts from its start */
	bool is_relative; /* functab: 32 bits from the start of the code; else addresses */
	/* Which of the header's words hold the offsets of these parts. */
	uint8_t names_word, units_word, files_word, values_word, functions_word;
	uint8_t function_size; /* of a description, to the offsets of its tables; 0: not read, there are only
				  names */
	uint8_t inlined_size;  /* of a call in an inline tree; 0: these are not read */
	uint8_t inlined_name, inlined_place; /* where that has its name's offset, and the call's */
	uint8_t module_inlined; /* word of runtime.moduledata: what offsets of inline trees count from */
};

enum go_window { GO_FUNCTIONS, GO_NAMES, GO_UNITS, GO_FILES, GO_VALUES, GO_MARKS, GO_INLINED, GO_WINDOWS };

struct go_pclntab {
	const struct go_layout *layout;
	struct elf_region region; /* of the section, which every window but GO_INLINED looks at */
	uint64_t text_start;
	uint64_t count;
	uint64_t functab, functions; /* offsets: of the index, and of what its descriptions count from */
	uint64_t names, units, files, values;
	uint64_t inlined; /* in the region of GO_INLINED, whose size is 0 if there are none */
	uint8_t quantum;  /* bytes that code addresses count in */
	uint8_t *index;   /* functab: count entries and the end */
	struct section_window windows[GO_WINDOWS];
	struct arena arena;
	struct budget budget;
	struct record_table texts; /* by offset */
};

struct go_text {
	uint64_t offset; /* key */
	const char *text;
};

/* The function whose code covers an address. */
struct go_function {
	uint64_t start;
	uint64_t described; /* offset of its description */
	const char *name;   /* NULL: unreadable */
};

bool go_pclntab_function(struct go_pclntab *table, uint64_t address, struct go_function *ret);

/* A string of the section, kept in the table's arena; NULL: unreadable, "" or over a limit. */
const char *go_pclntab_text(struct go_pclntab *table, enum go_window window, uint64_t offset);
