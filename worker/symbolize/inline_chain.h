#pragma once
/* Which function, and which calls inlined into it, a batch of addresses of one unit lies in: one pass over
 * the unit's entries. */

#include "worker/symbolize/debug_names.h"

struct chain_node {
	const struct chain_node *outer; /* what this was inlined into; NULL: this is a function of its own */
	const char *name;               /* NULL: unknown */
	uint64_t entry;                 /* offset in .debug_info */
	bool has_call_file;
	uint64_t call_file; /* where in `outer` the call was */
	uint32_t call_line; /* 0: unknown */
	uint32_t depth;
};

/* Longer chains are cut on the inside. Compilers stop far before. */
#define CHAIN_DEPTH_MAX 64

struct chain_hit {
	uint64_t address;
	const struct chain_node *innermost; /* NULL: no function known */
	uint64_t function;                  /* the entry of the outermost */
};

/* Sets `innermost` of hits, which are sorted by address and zeroed but for that; nodes live in the arena of
 * names. *ret_folder: the unit's own (NULL: none), there too. 0, -EBADMSG (what was found until there
 * stands), -ERANGE, -ENOMEM. */
int inline_chains_find(struct debug_names *names, const struct debug_unit *unit, struct chain_hit *hits,
		       size_t count, const char **ret_folder);
