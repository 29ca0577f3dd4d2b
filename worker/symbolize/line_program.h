#pragma once
/* Line number programs (DWARF 2 to 5), run once past a sorted batch of addresses: no table is built, and the
 * cost is a few nanoseconds per byte of program, whatever it says. */

#include "worker/symbolize/debug_unit.h"

struct line_hit {
	uint64_t address;
	uint64_t file; /* for line_program_path(), when is_found */
	uint32_t line;
	bool is_found;
};

struct line_program;

/* The header of a unit's program; borrows the view of .debug_line. 0; -ENOENT: the unit has none; -EBADMSG,
 * -ERANGE, -ENOMEM. */
int line_program_open(struct debug_sections *sections, const struct debug_unit *unit,
		      struct line_program **ret);
void line_program_close(struct line_program *program);

/* Fills in what is found for hits, which are sorted by address. What stands in the way of the rest of a
 * damaged program ends it. */
void line_program_run(struct line_program *program, struct line_hit *hits, size_t count);

/* The path of a file by its number, made whole with the unit's folder (NULL: none). False: no such file, or
 * longer than `size`. */
bool line_program_path(struct line_program *program, uint64_t file, const char *unit_folder, char *ret,
		       size_t size);
