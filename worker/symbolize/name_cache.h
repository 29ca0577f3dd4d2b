#pragma once
/* What was found out about addresses, from one profile to the next: most code of a minute is that of the
 * minute before, and a file whose addresses are all known is not even opened. Only for files with a build id,
 * whose contents therefore are the same. What was not asked for lately is forgotten first. */

#include "worker/symbolize/debug_info.h"

struct name_cache;

/* `limit` bounds its bytes. NULL: out of memory. */
struct name_cache *name_cache_new(size_t limit);
void name_cache_free(struct name_cache *cache); /* NULL is fine */

/* What an address shows as. */
struct cached_names {
	const struct source_frame *frames; /* functions and files as they are shown, innermost first */
	size_t count;
	unsigned knowledge; /* the caller's word on what is known of the address */
};

/* False: not known (any more). Strings and frames are valid until the next call. */
bool name_cache_find(struct name_cache *cache, const char *path, const char *build_id, uint64_t address,
		     struct cached_names *ret);

/* Copies. What does not fit is not kept. */
void name_cache_put(struct name_cache *cache, const char *path, const char *build_id, uint64_t address,
		    const struct cached_names *names);
