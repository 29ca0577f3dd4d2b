#pragma once
/* Names of functions: an entry has one, or says which other entry, maybe of another unit or file, has it. */

#include "worker/profile/arena.h"
#include "worker/profile/record_table.h"
#include "worker/symbolize/debug_unit.h"

/* One file's debug information, as far as it is known. */
struct debug_file {
	struct debug_sections *sections;
	struct debug_units units;
};

enum { TABLES_KEPT = 8 };

struct debug_names {
	struct debug_file *file, *alternate; /* alternate->sections NULL: none */
	struct arena *arena;                 /* names live there */
	struct budget budget;
	struct record_table known; /* names by where their entry is */
	struct kept_table {
		const struct debug_unit *unit;
		struct abbreviations *abbreviations;
	} kept[TABLES_KEPT]; /* of other units, the next one to go at `next_kept` */
	size_t next_kept;
};

void debug_names_init(struct debug_names *names, struct debug_file *file, struct debug_file *alternate,
		      struct arena *arena);
void debug_names_destroy(struct debug_names *names);

/* The linkage name of an entry of `unit` in names->file, else its plain name; NULL: none, or out of a
 * limit. Lives in the arena. */
const char *debug_names_of(struct debug_names *names, const struct debug_unit *unit,
			   const struct debug_entry *entry);
