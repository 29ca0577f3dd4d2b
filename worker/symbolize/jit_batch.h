#pragma once
/* What one process wrote down about a batch of addresses in code that it made: its jitdump, and for what that
 * does not know, its perf map. */

#include "worker/profile/arena.h"
#include "worker/symbolize/debug_info.h"
#include "worker/symbolize/file_window.h"

struct jit_batch {
	uint64_t *addresses; /* sorted, each once */
	struct source_frame *frames;
	size_t count;
	struct arena arena;
};

/* The files (-1: there is none) and the budget are borrowed. Takes `addresses` (malloc'ed). Names are as the
 * files have them: bytes. Beyond what memory or the budget hold (budget->is_exceeded), the batch does not
 * know everything. */
void jit_batch_find(struct jit_batch *batch, int map_fd, int dump_fd, struct file_budget *budget,
		    uint64_t *addresses, size_t count);
void jit_batch_destroy(struct jit_batch *batch);

/* NULL: nothing is known, not even the function. Borrowed. */
const struct source_frame *jit_batch_at(const struct jit_batch *batch, uint64_t address);
