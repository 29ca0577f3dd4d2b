#pragma once
/* Stacks, each once, numbered from 0 in order of arrival: all their frames in one array, so that comparing
 * with a known stack reads memory from front to back. */

#include "worker/profile/hash_index.h"

struct stack_record {
	uint64_t start; /* of its frames */
	uint32_t depth;
};

/* All zeroes is empty. */
struct stack_table {
	uint64_t *frames; /* profile.c says what eight bytes say of one; leaf first */
	size_t frames_used, frames_capacity;
	struct stack_record *records;
	uint32_t count, capacity;
	struct hash_index index;
};

/* Room for a stack of so many frames, which the caller fills in before stack_table_put(): no copy is made.
 * NULL: no room, *ret_error says why (-ENOSPC, -ENOMEM). */
uint64_t *stack_table_begin(struct stack_table *table, struct budget *budget, size_t depth, int *ret_error);

/* The number of the stack that was filled in: an equal one, else the new one. 0, -ENOSPC, -ENOMEM. */
int stack_table_put(struct stack_table *table, struct budget *budget, size_t depth, uint32_t *ret);

void stack_table_clear(struct stack_table *table, struct budget *budget); /* also frees */
