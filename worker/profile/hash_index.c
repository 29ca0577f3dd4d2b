/* Linear probing at a load of at most 3/4; nothing is ever removed, so no tombstones. */
#include "worker/profile/hash_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

enum { FIRST_CAPACITY = 64 };

int
budget_resize(struct budget *budget, void **block, size_t old_size, size_t new_size)
{
	void *resized;

	if (new_size > budget->limit || budget->used > budget->limit - new_size)
		return -ENOSPC;
	resized = realloc(*block, new_size);
	if (!resized)
		return -ENOMEM;
	*block = resized;
	budget->used += new_size - old_size;
	return 0;
}

void
budget_free(struct budget *budget, void **block, size_t size)
{
	free(*block);
	*block = NULL;
	budget->used -= size;
}

struct hash_keys {
	uint64_t one, other;
};

static struct hash_keys
hash_keys(void)
{
	static struct hash_keys keys;

	if (__builtin_expect(!keys.one, 0)) {
		const void *random = (const void *)getauxval(AT_RANDOM);

		if (random)
			memcpy(&keys, random, sizeof(keys)); /* 16 bytes (getauxval(3)) */
		keys.one |= 1;
	}
	return keys;
}

/* The finaliser of splitmix64: every input bit reaches every output bit. */
static uint64_t
mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

uint32_t
hash_bytes(const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	uint64_t key = hash_keys().one, hash = mix(key ^ size);

	for (; size > 0;) {
		uint64_t word = 0;
		size_t part = size < sizeof(word) ? size : sizeof(word);

		memcpy(&word, at, part);
		hash = mix(hash ^ word) + key;
		at += part;
		size -= part;
	}
	return (uint32_t)(hash >> 32);
}

/* Two words for one multiplication, whose halves are folded: wyhash's idea. */
static uint64_t
fold(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t
hash_words(const uint64_t *words, size_t count)
{
	const struct hash_keys keys = hash_keys();
	uint64_t hash = keys.one ^ count;
	size_t i = 0;

	for (; i + 2 <= count; i += 2)
		hash = fold(words[i] ^ keys.one, words[i + 1] ^ keys.other ^ hash) + hash;
	if (i < count)
		hash = fold(words[i] ^ keys.one, keys.other ^ hash) + hash;
	return (uint32_t)(mix(hash) >> 32);
}

static struct hash_slot *
free_slot(struct hash_slot *slots, size_t capacity, uint32_t hash)
{
	size_t at = hash & (capacity - 1);

	while (slots[at].entry_plus_1)
		at = (at + 1) & (capacity - 1);
	return &slots[at];
}

static int
grow(struct hash_index *index, struct budget *budget)
{
	size_t capacity = index->capacity ? index->capacity * 2 : FIRST_CAPACITY;
	void *slots = NULL, *old = index->slots;
	int error = budget_resize(budget, &slots, 0, capacity * sizeof(struct hash_slot));

	if (error)
		return error;
	memset(slots, 0, capacity * sizeof(struct hash_slot));
	for (size_t i = 0; i < index->capacity; i++)
		if (index->slots[i].entry_plus_1)
			*free_slot(slots, capacity, index->slots[i].hash) = index->slots[i];
	budget_free(budget, &old, index->capacity * sizeof(struct hash_slot));
	index->slots = slots;
	index->capacity = capacity;
	return 0;
}

int
hash_index_add(struct hash_index *index, struct budget *budget, uint32_t hash, uint32_t entry)
{
	if (index->used + 1 > index->capacity / 4 * 3) {
		int error = grow(index, budget);

		if (error)
			return error;
	}
	*free_slot(index->slots, index->capacity, hash) =
		(struct hash_slot){.hash = hash, .entry_plus_1 = entry + 1};
	index->used++;
	return 0;
}

void
hash_index_destroy(struct hash_index *index, struct budget *budget)
{
	void *slots = index->slots;

	budget_free(budget, &slots, index->capacity * sizeof(struct hash_slot));
	*index = (struct hash_index){0};
}
