#pragma once
/* How stacks ended, in words: for the comments of a profile and for the closing lines. */

#include "ipc/protocol.h"

#include <stddef.h>

/* By the numbers of enum unwind_end; part of what profiles say, so never renamed. */
extern const char *const ending_names[ENDINGS];

/* Stacks that did not reach their root. Those at the depth limit did. */
uint64_t endings_short_of_root(const uint64_t ending[static ENDINGS]);

/* "root:12 copy_short:3": what was counted at least once. */
#define ENDINGS_TEXT_MAX (ENDINGS * 32)
void endings_format(const uint64_t ending[static ENDINGS], char ret_text[static ENDINGS_TEXT_MAX]);

/* Adds one module's counts to those of the same name, or takes them up in place of a module that lost fewer
 * stacks. Of modules that were never among a profile's worst nothing is known, so sums are lower bounds. */
void endings_add_module(struct module_endings table[static ENDING_MODULES],
			const struct module_endings *module);
