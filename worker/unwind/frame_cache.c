/* Aligned to cache lines so that an entry never straddles two. */

#include "worker/unwind/frame_cache.h"

#include <stdlib.h>
#include <string.h>

struct frame_cache *
frame_cache_new(void)
{
	struct frame_cache *cache = aligned_alloc(64, sizeof(*cache));

	if (cache)
		memset(cache, 0, sizeof(*cache));
	return cache;
}

void
frame_cache_free(struct frame_cache *cache)
{
	free(cache);
}
