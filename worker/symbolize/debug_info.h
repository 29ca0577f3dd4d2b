#pragma once
/* Where code came from, by DWARF 2 to 5: for each address of a batch the functions it was inlined through,
 * with file and line, as addr2line -i says. Reads with pread, keeps nothing of a file that was not asked for,
 * and stays within a budget; a malformed unit costs its own addresses. */

#include "worker/profile/arena.h"
#include "worker/symbolize/debug_sections.h"

struct module_files;
struct debug_info;

/* The file with .debug_info (the program itself, or what was split off it), and what else the module has: the
 * file that such files share (dwz), and whom to ask for split units. All borrowed, as is the budget. 0,
 * -ENOENT (no debug information), -EBADMSG, -ENOMEM. */
int debug_info_open(int fd, const struct module_files *files, struct debug_budget *budget,
		    struct debug_info **ret);
void debug_info_close(struct debug_info *info);

struct source_frame {
	const char *function; /* linkage name if there is one; NULL: unknown */
	const char *file;     /* path as the compiler had it; NULL: unknown */
	uint32_t line;        /* 0: unknown */
};

struct source_location {
	const struct source_frame *frames; /* innermost first; the last one is the function itself */
	size_t count;                      /* 0: nothing is known about the address */
};

/* `addresses` are ELF addresses, sorted, each once. Results live in the arena. 0, -ENOMEM; when the budget
 * ends, the rest is unknown and budget->is_exceeded says so. */
int debug_info_find(struct debug_info *info, const uint64_t *addresses, size_t count, struct arena *arena,
		    struct source_location *ret);
