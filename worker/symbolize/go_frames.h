#pragma once
/* Source files, lines and inlined calls out of a Go program's own table, as its stack traces have them,
 * stripped or not. Files and lines from Go 1.16 on, inlined calls from Go 1.18 on. */

#include "worker/symbolize/debug_info.h"
#include "worker/symbolize/go_pclntab.h"

/* What is known of an address; ret->count is 0 when no Go function covers it. Frames live in the arena, their
 * strings in the table. 0, -ENOMEM, -ERANGE (over the budget). */
int go_frames_find(struct go_pclntab *table, uint64_t address, struct debug_budget *budget,
		   struct arena *arena, struct source_location *ret);
