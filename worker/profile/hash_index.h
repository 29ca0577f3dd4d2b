#pragma once
/* What the profile's tables share: a memory budget, and an open-addressing index from a hash to an entry
 * number. Entries live with the owner of the index, who compares them: equal hashes are never taken for
 * equal entries. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything allocated against one limit; `used` includes the old block while a new one is filled. */
struct budget {
	size_t limit, used;
};

/* Resizes *block; unchanged on failure. 0, -ENOSPC (over the budget), -ENOMEM. */
int budget_resize(struct budget *budget, void **block, size_t old_size, size_t new_size);
void budget_free(struct budget *budget, void **block, size_t size);

#define HASH_INDEX_NONE UINT32_MAX

struct hash_slot {
	uint32_t hash, entry_plus_1; /* 0: empty */
};

/* All zeroes is an empty index. */
struct hash_index {
	struct hash_slot *slots;
	size_t capacity, used;
};

/* Keyed with the process's AT_RANDOM bytes: a target that picks its own names and addresses must not be
 * able to pick collisions. */
uint32_t hash_bytes(const void *bytes, size_t size);
uint32_t hash_words(const uint64_t *words, size_t count); /* quicker, for long ones */

/* The entry with this hash for which `same` holds, else HASH_INDEX_NONE. Here, so that `same` is no call. */
typedef bool hash_index_same(const void *owner, uint32_t entry, const void *key, size_t key_size);
static inline uint32_t
hash_index_find(const struct hash_index *index, uint32_t hash, hash_index_same *same, const void *owner,
		const void *key, size_t key_size)
{
	if (index->capacity == 0)
		return HASH_INDEX_NONE;
	for (size_t at = hash & (index->capacity - 1); index->slots[at].entry_plus_1;
	     at = (at + 1) & (index->capacity - 1))
		if (index->slots[at].hash == hash &&
		    same(owner, index->slots[at].entry_plus_1 - 1, key, key_size))
			return index->slots[at].entry_plus_1 - 1;
	return HASH_INDEX_NONE;
}

int hash_index_add(struct hash_index *index, struct budget *budget, uint32_t hash, uint32_t entry);
void hash_index_destroy(struct hash_index *index, struct budget *budget);
