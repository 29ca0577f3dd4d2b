#pragma once
/* Debugging information entries (DWARF 2 to 5): abbreviations, and the few attributes that names, ranges and
 * inlined calls need. Every read is bounded by the unit's bytes. */

#include "worker/symbolize/debug_sections.h"

/* How values of a unit are written. */
struct debug_format {
	uint16_t version;
	uint8_t offset_size; /* 4 or 8 */
};

enum value_kind {
	VALUE_NONE,
	VALUE_CONSTANT, /* number; also section offsets, flags and addresses */
	VALUE_ADDRESS,
	VALUE_ADDRESS_INDEX,
	VALUE_UNIT_REFERENCE, /* from the unit's header */
	VALUE_REFERENCE,      /* in .debug_info */
	VALUE_LIST_INDEX,
	VALUE_TEXT,                /* bytes, terminated */
	VALUE_STRING,              /* in .debug_str */
	VALUE_LINE_STRING,         /* in .debug_line_str */
	VALUE_STRING_INDEX,        /* in .debug_str_offsets */
	VALUE_ALTERNATE_REFERENCE, /* in the .debug_info of a file that several share (dwz) */
	VALUE_ALTERNATE_STRING,    /* in its .debug_str */
};

struct debug_value {
	enum value_kind kind;
	uint64_t number;
	const char *text; /* borrowed from the cursor's bytes */
};

/* Reads one value, or passes over it. False: an unknown form, or the bytes end before. */
bool debug_value_read(struct cursor *in, struct debug_format format, uint16_t form, int64_t implicit,
		      struct debug_value *ret);

/* The attributes we look at. */
enum entry_attribute {
	ENTRY_NAME,
	ENTRY_LINKAGE_NAME,
	ENTRY_LOW_PC,
	ENTRY_HIGH_PC,
	ENTRY_RANGES,
	ENTRY_ABSTRACT_ORIGIN,
	ENTRY_SPECIFICATION,
	ENTRY_CALL_FILE,
	ENTRY_CALL_LINE,
	ENTRY_SIBLING,
	ENTRY_STATEMENTS, /* DW_AT_stmt_list */
	ENTRY_FOLDER,     /* DW_AT_comp_dir */
	ENTRY_STRING_OFFSETS,
	ENTRY_ADDRESSES,
	ENTRY_RANGE_LISTS,
	ENTRY_RANGES_BASE, /* of a unit that was split in DWARF 4 */
	ENTRY_SPLIT_NAME,  /* DW_AT_dwo_name */
	ENTRY_SPLIT_ID,    /* of DWARF 4 */
	ENTRY_ATTRIBUTES,
	ENTRY_OTHER = ENTRY_ATTRIBUTES
};

struct debug_entry {
	uint16_t tag;
	bool has_children;
	struct debug_value values[ENTRY_ATTRIBUTES];
};

struct abbreviation {
	uint16_t tag; /* 0: no such code */
	bool has_children;
	bool has_code; /* says where, that is */
	bool has_sibling;
	uint32_t first, count; /* in the table's attributes */
	uint32_t size;         /* of an entry after its code, when all of it is fixed; else SIZE_VARIES */
};
#define SIZE_VARIES UINT32_MAX

struct attribute;

struct abbreviations {
	struct debug_format format;
	struct abbreviation *by_code;
	size_t code_limit; /* codes are below */
	struct attribute *attributes;
	size_t count, capacity;
};

/* The table at `offset` of .debug_abbrev, for a unit of this format; unless `only_code` is 0, no further than
 * that code. 0, -EBADMSG, -ERANGE (over the budget), -ENOMEM. */
int abbreviations_read(struct debug_sections *sections, uint64_t offset, struct debug_format format,
		       uint64_t only_code, struct abbreviations **ret);
void abbreviations_free(struct abbreviations *abbreviations);

/* NULL: no such code. Here, because it is done for every entry there is. */
static inline const struct abbreviation *
abbreviations_find(const struct abbreviations *abbreviations, uint64_t code)
{
	if (code >= abbreviations->code_limit || abbreviations->by_code[code].tag == 0)
		return NULL;
	return &abbreviations->by_code[code];
}

/* The values that follow the code: all of them, or (cheaper) only the sibling, or (NULL) none. False:
 * malformed. */
bool debug_entry_read(struct cursor *in, struct debug_format format,
		      const struct abbreviations *abbreviations, const struct abbreviation *abbreviation,
		      struct debug_entry *ret);
bool debug_entry_skip(struct cursor *in, struct debug_format format,
		      const struct abbreviations *abbreviations, const struct abbreviation *abbreviation,
		      struct debug_value *ret_sibling);
