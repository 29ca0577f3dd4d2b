/* One array and its index; both grow by doubling within the budget. */
#include "worker/profile/record_table.h"

#include <errno.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, COUNT_MAX = 1u << 30 };

void *
record_table_at(const struct record_table *table, uint32_t number)
{
	return (char *)table->records + table->record_size * number;
}

/* Keys are a few whole words: no work for memcmp. */
static bool
same_key(const void *owner, uint32_t entry, const void *key, size_t key_size)
{
	const char *stored = record_table_at(owner, entry);

	for (size_t at = 0; at < key_size; at += sizeof(uint32_t)) {
		uint32_t one, other;

		memcpy(&one, stored + at, sizeof(one));
		memcpy(&other, (const char *)key + at, sizeof(other));
		if (one != other)
			return false;
	}
	return true;
}

static int
make_room(struct record_table *table, struct budget *budget)
{
	uint32_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
	int error;

	if (table->count < table->capacity)
		return 0;
	if (capacity > COUNT_MAX)
		return -ENOSPC;
	error = budget_resize(budget, &table->records, table->record_size * table->capacity,
			      table->record_size * capacity);
	if (!error)
		table->capacity = capacity;
	return error;
}

uint32_t
record_table_find(const struct record_table *table, const void *key)
{
	return hash_index_find(&table->index, hash_bytes(key, table->key_size), same_key, table, key,
			       table->key_size);
}

int
record_table_put(struct record_table *table, struct budget *budget, const void *record, uint32_t *ret)
{
	uint32_t hash = hash_bytes(record, table->key_size);
	uint32_t number = hash_index_find(&table->index, hash, same_key, table, record, table->key_size);
	int error;

	if (number == HASH_INDEX_NONE) {
		number = table->count;
		error = make_room(table, budget);
		if (!error)
			error = hash_index_add(&table->index, budget, hash, number);
		if (error)
			return error;
		memcpy(record_table_at(table, number), record, table->record_size);
		table->count++;
	}
	*ret = number;
	return 0;
}

void
record_table_clear(struct record_table *table, struct budget *budget)
{
	budget_free(budget, &table->records, table->record_size * table->capacity);
	table->count = table->capacity = 0;
	hash_index_destroy(&table->index, budget);
}
