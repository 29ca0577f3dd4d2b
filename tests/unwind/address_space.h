#pragma once
/* The code_lookup of the tests: /proc/PID/maps and the files it names, as the worker would resolve them. */

#include "worker/unwind/unwind.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct address_space;

struct address_space *address_space_new(pid_t pid);
void address_space_free(struct address_space *space);

/* Reads the maps again; files that are open already stay. */
void address_space_reload(struct address_space *space);

/* A code_lookup; the context is the address space. */
void address_space_lookup(void *space, uint64_t pc, struct code_place *ret);

/* The mapping that holds an address. False: none does. */
bool address_space_find_mapping(const struct address_space *space, uint64_t address, uint64_t *ret_start,
				uint64_t *ret_end);

/* Name of the file with a frame's number; "?" when there is none. */
const char *address_space_file_name(const struct address_space *space, uint32_t file);
