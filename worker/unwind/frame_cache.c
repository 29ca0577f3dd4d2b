/* Pages of its own, zero until used: what is aligned to a line never straddles two, and starting costs
 * nothing. */

#include "worker/unwind/frame_cache.h"

#include <sys/mman.h>

struct frame_cache *
frame_cache_new(void)
{
	void *pages = mmap(NULL, sizeof(struct frame_cache), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void
frame_cache_free(struct frame_cache *cache)
{
	if (cache)
		munmap(cache, sizeof(*cache));
}
