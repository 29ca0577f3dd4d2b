#pragma once
/* Fixed-size records, each once, numbered from 0 in order of arrival. A record starts with its key
 * (`key_size` bytes, a multiple of 4, compared as bytes: no padding in keys); what follows is the owner's to
 * change. */

#include "worker/profile/hash_index.h"

struct record_table {
	void *records;
	size_t record_size, key_size;
	uint32_t count, capacity;
	struct hash_index index;
};

#define RECORD_TABLE(type, key_bytes) \
	((struct record_table){.record_size = sizeof(type), .key_size = (key_bytes)})

/* The record's number: an equal one, else the new one copied from `record`. 0, -ENOSPC, -ENOMEM. */
int record_table_put(struct record_table *table, struct budget *budget, const void *record, uint32_t *ret);
uint32_t record_table_find(const struct record_table *table, const void *key); /* or HASH_INDEX_NONE */
void *record_table_at(const struct record_table *table, uint32_t number);      /* valid until the next put */
void record_table_clear(struct record_table *table, struct budget *budget);    /* also frees */
