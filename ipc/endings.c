/* A table of a few modules, searched by name: it is touched once per module and profile. */

#include "ipc/endings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *const ending_names[ENDINGS] = {
	[ENDING_ROOT] = "root",   "copy_short",  "unmapped", "unreadable", "bad_cfi",
	[ENDING_DEPTH] = "depth", "other_stack",
};

uint64_t
endings_short_of_root(const uint64_t ending[static ENDINGS])
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ENDINGS; i++)
		sum += i == ENDING_ROOT || i == ENDING_DEPTH ? 0 : ending[i];
	return sum;
}

void
endings_format(const uint64_t ending[static ENDINGS], char ret_text[static ENDINGS_TEXT_MAX])
{
	size_t used = 0;

	ret_text[0] = 0;
	for (size_t i = 0; i < ENDINGS; i++)
		if (ending[i] > 0)
			used += (size_t)snprintf(ret_text + used, ENDINGS_TEXT_MAX - used, "%s%s:%" PRIu64,
						 used ? " " : "", ending_names[i], ending[i]);
}

void
endings_add_module(struct module_endings table[static ENDING_MODULES], const struct module_endings *module)
{
	struct module_endings *best = NULL;

	for (size_t i = 0; i < ENDING_MODULES; i++) {
		struct module_endings *at = &table[i];

		if (!at->name[0] || !strcmp(at->name, module->name)) {
			best = at;
			break; /* names are filled in from the front */
		}
		if (!best || endings_short_of_root(at->ending) < endings_short_of_root(best->ending))
			best = at;
	}
	if (!best->name[0] || !strcmp(best->name, module->name)) {
		memcpy(best->name, module->name, sizeof(best->name));
		for (size_t i = 0; i < ENDINGS; i++)
			best->ending[i] += module->ending[i];
	} else if (endings_short_of_root(module->ending) > endings_short_of_root(best->ending)) {
		*best = *module;
	}
}
