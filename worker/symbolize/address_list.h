#pragma once
/* A batch of addresses in order, each once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sorts in place; returns how many are left without the repeats. */
size_t address_list_sort(uint64_t *addresses, size_t count);

/* The index of an address in a sorted list; false: it is not there. */
bool address_list_find(const uint64_t *addresses, size_t count, uint64_t address, size_t *ret);
