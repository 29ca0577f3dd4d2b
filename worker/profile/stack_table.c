/* One array of frames, one of where each stack lies in it, and their index; all grow by doubling within the
 * budget. */
#include "worker/profile/stack_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_RECORDS = 16, FIRST_FRAMES = 256, COUNT_MAX = 1u << 30 };

uint64_t *
stack_table_begin(struct stack_table *table, struct budget *budget, size_t depth, int *ret_error)
{
	size_t capacity = table->frames_capacity ? table->frames_capacity : FIRST_FRAMES;
	void *frames = table->frames;

	*ret_error = 0;
	while (capacity - table->frames_used < depth)
		capacity *= 2;
	if (capacity != table->frames_capacity) {
		*ret_error = budget_resize(budget, &frames, table->frames_capacity * sizeof(*table->frames),
					   capacity * sizeof(*table->frames));
		if (*ret_error)
			return NULL;
		table->frames = frames;
		table->frames_capacity = capacity;
	}
	return table->frames + table->frames_used;
}

static bool
same_stack(const void *owner, uint32_t entry, const void *key, size_t depth)
{
	const struct stack_table *table = owner;
	const struct stack_record *record = &table->records[entry];

	return record->depth == depth &&
	       memcmp(table->frames + record->start, key, depth * sizeof(*table->frames)) == 0;
}

static int
append(struct stack_table *table, struct budget *budget, uint32_t hash, size_t depth)
{
	uint32_t capacity = table->capacity ? table->capacity * 2 : FIRST_RECORDS;
	void *records = table->records;
	int error = 0;

	if (depth > UINT32_MAX || capacity > COUNT_MAX)
		return -ENOSPC;
	if (table->count == table->capacity) {
		error = budget_resize(budget, &records, table->capacity * sizeof(*table->records),
				      capacity * sizeof(*table->records));
		if (error)
			return error;
		table->records = records;
		table->capacity = capacity;
	}
	error = hash_index_add(&table->index, budget, hash, table->count);
	if (error)
		return error;
	table->records[table->count++] =
		(struct stack_record){.start = table->frames_used, .depth = (uint32_t)depth};
	table->frames_used += depth;
	return 0;
}

int
stack_table_put(struct stack_table *table, struct budget *budget, size_t depth, uint32_t *ret)
{
	const uint64_t *frames = table->frames + table->frames_used;
	uint32_t hash = hash_words(frames, depth);
	uint32_t number = hash_index_find(&table->index, hash, same_stack, table, frames, depth);

	if (number == HASH_INDEX_NONE) {
		int error = append(table, budget, hash, depth);

		if (error)
			return error;
		number = table->count - 1;
	}
	*ret = number;
	return 0;
}

void
stack_table_clear(struct stack_table *table, struct budget *budget)
{
	void *frames = table->frames, *records = table->records;

	budget_free(budget, &frames, table->frames_capacity * sizeof(*table->frames));
	budget_free(budget, &records, table->capacity * sizeof(*table->records));
	hash_index_destroy(&table->index, budget);
	*table = (struct stack_table){0};
}
