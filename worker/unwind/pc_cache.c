/* Aligned to cache lines so that a set never straddles two. */

#include "worker/unwind/pc_cache.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct pc_cache_set) == 32, "two sets to a 64-byte line");

struct pc_cache *
pc_cache_new(void)
{
	struct pc_cache *cache = aligned_alloc(64, sizeof(*cache));

	if (cache)
		memset(cache, 0, sizeof(*cache));
	return cache;
}

void
pc_cache_free(struct pc_cache *cache)
{
	free(cache);
}

void
pc_cache_add(struct pc_cache *cache, uint64_t key, struct rule rule)
{
	struct pc_cache_set *set = &cache->set[pc_cache_index(key)];

	if (key == 0)
		return;
	set->entry[1] = set->entry[0];
	set->entry[0] = (struct pc_cache_entry){.key = key, .rule = rule};
}
