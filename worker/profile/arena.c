/* Chunks of a quarter megabyte; a larger request gets a chunk of its own. */
#include "worker/profile/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_SIZE = 256 << 10 };

struct arena_chunk {
	struct arena_chunk *next;
	alignas(max_align_t) char bytes[];
};

static struct arena_chunk *
new_chunk(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = NULL;

	if (size <= arena->limit && arena->used <= arena->limit - size)
		chunk = calloc(1, sizeof(*chunk) + size);
	if (!chunk) {
		arena->exhausted = true;
		return NULL;
	}
	arena->used += size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *
arena_allocate(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk;
	void *block;

	if (size > SIZE_MAX / 2) {
		arena->exhausted = true;
		return NULL;
	}
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size > CHUNK_SIZE / 4) {
		chunk = new_chunk(arena, size);
		return chunk ? chunk->bytes : NULL;
	}
	if (size > arena->left) {
		chunk = new_chunk(arena, CHUNK_SIZE);
		if (!chunk)
			return NULL;
		arena->at = chunk->bytes;
		arena->left = CHUNK_SIZE;
	}
	block = arena->at;
	arena->at += size;
	arena->left -= size;
	return block;
}

void *
arena_allocate_array(struct arena *arena, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size) {
		arena->exhausted = true;
		return NULL;
	}
	return arena_allocate(arena, count * size);
}

void
arena_destroy(struct arena *arena)
{
	for (struct arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	*arena = (struct arena){0};
}
