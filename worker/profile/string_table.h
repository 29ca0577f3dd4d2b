#pragma once
/* Strings, each once, numbered from 0 in order of arrival; number 0 is always "" (as pprof wants it). */

#include "worker/profile/hash_index.h"

struct string_entry {
	size_t offset;
	uint32_t length;
};

/* All zeroes is an empty table. */
struct string_table {
	char *bytes;
	size_t bytes_used, bytes_capacity;
	struct string_entry *entries;
	uint32_t count, capacity;
	struct hash_index index;
};

/* 0, -ENOSPC, -ENOMEM. NULL counts as "". */
int string_table_put(struct string_table *table, struct budget *budget, const char *string, uint32_t *ret);
const char *string_table_at(const struct string_table *table, uint32_t number); /* until the next put */
void string_table_clear(struct string_table *table, struct budget *budget);     /* also frees */
