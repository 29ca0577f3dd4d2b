#pragma once
/* A batch of addresses in order, each once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sorts in place; returns how many are left without the repeats. */
size_t address_list_sort(uint64_t *addresses, size_t count);

/* The index of an address in a sorted list. False: it is not there; then that of the first one above it. */
bool address_list_find(const uint64_t *addresses, size_t count, uint64_t address, size_t *ret);

/* How many from this index on are in [start, start + size), which may go around; addresses[index] >= start.
 */
size_t address_list_count(const uint64_t *addresses, size_t count, size_t index, uint64_t start,
			  uint64_t size);
