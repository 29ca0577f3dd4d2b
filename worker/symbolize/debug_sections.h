#pragma once
/* The DWARF sections of one ELF file, by offset and in bounds. Nothing is mapped and no section is read as a
 * whole: each has a window that follows what is asked for, so memory depends on the largest piece and not on
 * the file, and a file that is truncated under us is an error return. A compressed section has no middle
 * to begin at: it is inflated when first asked for, as far as the budget goes. */

#include "worker/base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum debug_section {
	DEBUG_INFO,
	DEBUG_INFO_ELSEWHERE, /* the same section through a window of its own */
	DEBUG_ABBREV,
	DEBUG_LINE,
	DEBUG_STR,
	DEBUG_LINE_STR,
	DEBUG_STR_OFFSETS,
	DEBUG_ADDR,
	DEBUG_RANGES,
	DEBUG_RNGLISTS,
	DEBUG_UNIT_INDEX, /* of a package of split units: which piece of each section belongs to which unit */
	DEBUG_SECTIONS
};

/* The largest piece that is read at once: a unit's line program. One unit of a program that was optimised as
 * a whole has tens of megabytes. */
#define DEBUG_VIEW_MAX (64u << 20)

/* What one profile may cost. Work is counted in bytes read, inflated or walked (a few nanoseconds each),
 * because clocks make results differ from run to run. */
struct debug_budget {
	uint64_t work_left;
	size_t inflated_left; /* memory; given back when the sections are closed */
	unsigned files_left;  /* of split units, that may be asked for: each costs whoever opens them some 50
				 µs */
	bool is_exceeded;     /* something was left out */
};

/* For all files of a profile: seconds of CPU time, in a role that has a minute; what may be inflated of one
 * file, which together with the largest view of it (DEBUG_VIEW_MAX) stays below 256 MB; and files of split
 * units. */
#define DEBUG_BUDGET            \
	((struct debug_budget){ \
		.work_left = 2ull << 30, .inflated_left = (size_t)160 << 20, .files_left = 512})

/* Takes `amount` of work out of the budget; false: there is not so much left. */
static inline bool
debug_budget_charge(struct debug_budget *budget, uint64_t amount)
{
	bool is_paid = amount <= budget->work_left;

	budget->work_left = is_paid ? budget->work_left - amount : 0;
	budget->is_exceeded |= !is_paid;
	return is_paid;
}

struct debug_sections;

/* The descriptor is borrowed, as is the budget. 0; -ENOENT: no .debug_info; -EBADMSG; -ENOMEM. */
int debug_sections_open(int fd, struct debug_budget *budget, struct debug_sections **ret);
/* The same of a file of split units (.dwo, .dwp), whose sections have names of their own. Addresses, and what
 * the linker had to see of the rest, are in the file with the skeletons, which is borrowed. */
int debug_sections_open_split(int fd, struct debug_budget *budget, struct debug_sections *skeletons,
			      struct debug_sections **ret);
void debug_sections_close(struct debug_sections *sections);

/* The file whose strings and entries this one shares with others (dwz); borrowed, NULL: none. */
void debug_sections_set_alternate(struct debug_sections *sections, struct debug_sections *alternate);
struct debug_sections *debug_sections_alternate(const struct debug_sections *sections);

/* 0: there is none. */
uint64_t debug_section_size(const struct debug_sections *sections, enum debug_section section);

/* Exactly `size` bytes at `offset`, valid until the next view of the same section. NULL: not all there,
 * unreadable, or over a limit. */
const uint8_t *debug_section_view(struct debug_sections *sections, enum debug_section section,
				  uint64_t offset, uint64_t size);

/* The same, but what the section has of it; an empty, failed cursor when that is nothing. */
struct cursor debug_section_cursor(struct debug_sections *sections, enum debug_section section,
				   uint64_t offset, uint64_t size_max);

/* A terminated string, valid as a view is; NULL when it is malformed. */
const char *debug_section_string(struct debug_sections *sections, enum debug_section section,
				 uint64_t offset);
#define DEBUG_STRING_MAX 16384

/* debug_budget_charge() of their budget. */
bool debug_sections_charge(struct debug_sections *sections, uint64_t amount);
