#pragma once
/* Memory that is freed all at once and cannot exceed a limit. */

#include <stdbool.h>
#include <stddef.h>

struct arena {
	size_t limit, used;
	struct arena_chunk *chunks;
	char *at;
	size_t left;
	bool exhausted; /* some allocation failed */
};

/* Zeroed, aligned for any type; NULL when the limit or the heap is exhausted. */
void *arena_allocate(struct arena *arena, size_t size);
void *arena_allocate_array(struct arena *arena, size_t count, size_t size);
void arena_destroy(struct arena *arena);
