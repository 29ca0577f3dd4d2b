#pragma once
/* From (module, ELF address) to its compact rule: 8192 entries of 16 bytes, two to a set. Rules are pure
 * functions of the file, so an entry is never wrong, only replaced; all processes share them. */

#include "worker/unwind/architecture.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	PC_CACHE_SETS_LOG2 = 12,
	PC_CACHE_MODULE_BITS = 24,
	PC_CACHE_ADDRESS_BITS = 40, /* 1 TB of ELF addresses; an exact key, so never a stranger's rule */
};

struct pc_cache_entry {
	uint64_t key; /* 0: empty */
	struct rule rule;
};

struct pc_cache_set {
	struct pc_cache_entry entry[2]; /* newest first */
};

struct pc_cache {
	struct pc_cache_set set[1 << PC_CACHE_SETS_LOG2];
};

/* The module's part of its keys; 0: it has none. Module 0 is never used. */
static inline uint64_t
pc_cache_key_base(uint32_t module)
{
	return module >> PC_CACHE_MODULE_BITS ? 0 : (uint64_t)module << PC_CACHE_ADDRESS_BITS;
}

/* 0 when this pair has no exact key; it is then simply not cached. */
static inline uint64_t
pc_cache_key(uint64_t base, uint64_t address)
{
	return base == 0 || address >> PC_CACHE_ADDRESS_BITS ? 0 : base | address;
}

static inline unsigned
pc_cache_index(uint64_t key)
{
	return (unsigned)(key * 0x9e3779b97f4a7c15u >> (64 - PC_CACHE_SETS_LOG2)); /* Fibonacci hashing */
}

/* A rule of kind RULE_NONE means "not here". */
static inline struct rule
pc_cache_find(const struct pc_cache *cache, uint64_t key)
{
	const struct pc_cache_set *set = &cache->set[pc_cache_index(key)];

	if (__builtin_expect(set->entry[0].key == key, 1))
		return set->entry[0].rule;
	if (set->entry[1].key == key)
		return set->entry[1].rule;
	return (struct rule){.kind = RULE_NONE};
}

struct pc_cache *pc_cache_new(void); /* NULL: out of memory */
void pc_cache_free(struct pc_cache *cache);

/* Remembers; key 0 is ignored. The older of the two in the set goes. */
void pc_cache_add(struct pc_cache *cache, uint64_t key, struct rule rule);
