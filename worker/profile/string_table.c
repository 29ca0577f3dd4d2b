/* Bytes in one block, entries in another, both growing by doubling within the budget. */
#include "worker/profile/string_table.h"

#include <errno.h>
#include <string.h>

enum { FIRST_ENTRIES = 16, FIRST_BYTES = 256, COUNT_MAX = 1u << 30 };

static bool
same_string(const void *owner, uint32_t entry, const void *key, size_t key_size)
{
	const struct string_table *table = owner;

	return table->entries[entry].length == key_size &&
	       memcmp(table->bytes + table->entries[entry].offset, key, key_size) == 0;
}

static int
make_room_for_bytes(struct string_table *table, struct budget *budget, size_t size)
{
	size_t capacity = table->bytes_capacity ? table->bytes_capacity : FIRST_BYTES;
	void *bytes = table->bytes;
	int error;

	while (capacity - table->bytes_used < size)
		capacity *= 2;
	if (capacity == table->bytes_capacity)
		return 0;
	error = budget_resize(budget, &bytes, table->bytes_capacity, capacity);
	if (error)
		return error;
	table->bytes = bytes;
	table->bytes_capacity = capacity;
	return 0;
}

static int
make_room_for_entry(struct string_table *table, struct budget *budget)
{
	uint32_t capacity = table->capacity ? table->capacity * 2 : FIRST_ENTRIES;
	void *entries = table->entries;
	int error;

	if (table->count < table->capacity)
		return 0;
	if (capacity > COUNT_MAX)
		return -ENOSPC;
	error = budget_resize(budget, &entries, sizeof(*table->entries) * table->capacity,
			      sizeof(*table->entries) * capacity);
	if (error)
		return error;
	table->entries = entries;
	table->capacity = capacity;
	return 0;
}

static int
append(struct string_table *table, struct budget *budget, const char *string, size_t length)
{
	int error = make_room_for_bytes(table, budget, length + 1);

	if (!error)
		error = make_room_for_entry(table, budget);
	if (!error)
		error = hash_index_add(&table->index, budget, hash_bytes(string, length), table->count);
	if (error)
		return error;
	memcpy(table->bytes + table->bytes_used, string, length + 1);
	table->entries[table->count++] =
		(struct string_entry){.offset = table->bytes_used, .length = (uint32_t)length};
	table->bytes_used += length + 1;
	return 0;
}

int
string_table_put(struct string_table *table, struct budget *budget, const char *string, uint32_t *ret)
{
	size_t length;
	uint32_t number;
	int error;

	if (table->count == 0) {
		error = append(table, budget, "", 0);
		if (error)
			return error;
	}
	if (!string)
		string = "";
	length = strlen(string);
	if (length >= UINT32_MAX)
		return -ENOSPC;
	number = hash_index_find(&table->index, hash_bytes(string, length), same_string, table, string,
				 length);
	if (number == HASH_INDEX_NONE) {
		number = table->count;
		error = append(table, budget, string, length);
		if (error)
			return error;
	}
	*ret = number;
	return 0;
}

const char *
string_table_at(const struct string_table *table, uint32_t number)
{
	return table->bytes + table->entries[number].offset;
}

void
string_table_clear(struct string_table *table, struct budget *budget)
{
	void *bytes = table->bytes, *entries = table->entries;

	budget_free(budget, &bytes, table->bytes_capacity);
	budget_free(budget, &entries, sizeof(*table->entries) * table->capacity);
	hash_index_destroy(&table->index, budget);
	*table = (struct string_table){0};
}
