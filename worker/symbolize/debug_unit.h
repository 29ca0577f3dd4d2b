#pragma once
/* The units of .debug_info: where each begins, what its values are relative to, and the code it covers. */

#include "worker/symbolize/debug_entry.h"

struct debug_unit {
	uint64_t offset, first_entry, end; /* in .debug_info */
	uint64_t abbreviations;            /* in .debug_abbrev */
	struct debug_format format;
	bool has_statements;
	bool is_of_types;
	bool has_split_id; /* the unit is one half of one that was split; the other half has the same: */
	uint64_t split_id;
	uint64_t statements;                             /* in .debug_line */
	uint64_t low_pc;                                 /* what ranges are relative to */
	uint64_t string_offsets, addresses, range_lists; /* bases of indexes */
	uint64_t ranges;                                 /* what offsets of ranges count from */
	uint64_t ranges_base;                            /* the same, of the other half in DWARF 4 */
	uint32_t first_hit;                              /* for the user of the list */
};

struct debug_units {
	struct debug_unit *list; /* by offset */
	size_t count, capacity;
};

/* Code from `start` to before `limit`. Returns 0, or an error that ends the walk. */
typedef int debug_range_visit(void *context, size_t unit, uint64_t start, uint64_t limit);

/* Reads all headers, and each unit's own entry to tell its ranges (`visit` NULL: nobody wants them). A
 * malformed unit is passed over, a malformed header ends the list. 0, -ERANGE (over the budget), -ENOMEM, or
 * the visitor's error. */
int debug_units_read(struct debug_sections *sections, debug_range_visit *visit, void *context,
		     struct debug_units *ret);

/* Where a unit's part of each section begins, when a file has put those of many together. */
struct debug_pieces {
	uint64_t info, abbreviations, string_offsets, range_lists;
};

/* A unit by its pieces. False: malformed. */
bool debug_unit_read_at(struct debug_sections *sections, const struct debug_pieces *pieces,
			struct debug_unit *ret);
/* The unit's own entry; text in it is borrowed as a view is. */
bool debug_unit_first_entry(struct debug_sections *sections, const struct debug_unit *unit,
			    struct debug_entry *ret);
void debug_units_destroy(struct debug_units *units);

/* The unit with this offset of .debug_info inside; NULL: none. */
const struct debug_unit *debug_units_find(const struct debug_units *units, uint64_t offset);

/* What a value of this unit stands for; false or NULL: nothing we can read. Text is borrowed as a view is. */
bool debug_unit_address(struct debug_sections *sections, const struct debug_unit *unit,
			const struct debug_value *value, uint64_t *ret);
bool debug_unit_reference(const struct debug_unit *unit, const struct debug_value *value, uint64_t *ret);
const char *debug_unit_text(struct debug_sections *sections, const struct debug_unit *unit,
			    const struct debug_value *value);

/* Every range of an entry; none when it has no code, or when the linker dropped it (at address 0). `number`
 * is passed on to the visitor. */
int debug_unit_ranges(struct debug_sections *sections, const struct debug_unit *unit,
		      const struct debug_entry *entry, debug_range_visit *visit, void *context,
		      size_t number);
