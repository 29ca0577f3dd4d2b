#pragma once
/* What the debug information of one file says about a batch of addresses, in any order and with repeats. */

#include "worker/symbolize/debug_info.h"
#include "worker/symbolize/module_files.h"

struct go_pclntab;

struct source_batch {
	uint64_t *addresses; /* sorted, each once */
	struct source_location *locations;
	size_t count;
	struct arena arena;
};

/* The debug information is in the debug file, if there is one, or in the module (`fd`): all borrowed. Takes
 * `addresses` (malloc'ed), also on failure. Without debug information, or beyond what memory or the
 * budget hold (budget->is_exceeded), the batch knows nothing, or not everything. */
void source_batch_find(struct source_batch *batch, int fd, const struct module_files *files,
		       struct debug_budget *budget, uint64_t *addresses, size_t count);
/* What is left of it is looked up in a Go program's own table, which must outlive the batch. */
void source_batch_add_go(struct source_batch *batch, struct go_pclntab *go, struct debug_budget *budget);
void source_batch_destroy(struct source_batch *batch);

/* NULL: nothing is known. Borrowed. */
const struct source_location *source_batch_at(const struct source_batch *batch, uint64_t address);
