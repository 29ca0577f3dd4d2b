/* An array by file number: 24 bytes for each of the few hundred files that a target maps. */

#include "worker/process/file_endings.h"

#include "ipc/endings.h"
#include "worker/process/mapped_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(UNWIND_END_COUNT == ENDINGS && END_ROOT == ENDING_ROOT && END_DEPTH == ENDING_DEPTH,
	       "the wire counts every ending");

static bool
make_room(struct file_endings *endings, uint32_t file)
{
	uint32_t capacity = endings->capacity ? endings->capacity : 64;

	if (file < endings->capacity)
		return true;
	if (file > MAPPED_FILES_MAX)
		return false;
	while (capacity <= file)
		capacity *= 2;
	void *grown = reallocarray(endings->counts, capacity, sizeof(*endings->counts));
	if (!grown)
		return false;
	endings->counts = grown;
	memset(endings->counts + endings->capacity, 0,
	       (capacity - endings->capacity) * sizeof(*endings->counts));
	endings->capacity = capacity;
	return true;
}

void
file_endings_add(struct file_endings *endings, uint32_t file, enum unwind_end end)
{
	if (make_room(endings, file))
		endings->counts[file][end]++;
}

/* What the worst are sorted by. */
struct weight {
	uint64_t lost, all;
};

static struct weight
weigh(const uint64_t ending[static ENDINGS])
{
	struct weight weight = {.lost = endings_short_of_root(ending)};

	weight.all = weight.lost + ending[ENDING_ROOT] + ending[ENDING_DEPTH];
	return weight;
}

static bool
is_heavier(struct weight a, struct weight b)
{
	return a.lost != b.lost ? a.lost > b.lost : a.all > b.all;
}

/* The end of a path says more than its start. */
static void
name_file(struct mapped_files *files, uint32_t number, char ret_name[static MODULE_NAME_MAX])
{
	const struct mapped_file *file = mapped_files_get(files, number);
	const char *path = file ? file->path : "[unknown mapping]";
	size_t length;

	if (file && file->state == MAPPED_FILE_ANONYMOUS)
		path = "[anonymous]";
	length = strlen(path);
	snprintf(ret_name, MODULE_NAME_MAX, "%s",
		 length < MODULE_NAME_MAX ? path : path + length - (MODULE_NAME_MAX - 1));
}

void
file_endings_worst(const struct file_endings *endings, struct mapped_files *files, struct module_endings *ret,
		   size_t max)
{
	size_t used = 0;

	memset(ret, 0, max * sizeof(*ret));
	for (uint32_t file = 0; file < endings->capacity; file++) {
		struct module_endings module = {0};
		size_t at;

		for (size_t i = 0; i < ENDINGS; i++)
			module.ending[i] = endings->counts[file][i];
		for (at = used; at > 0 && is_heavier(weigh(module.ending), weigh(ret[at - 1].ending)); at--)
			;
		if (weigh(module.ending).all == 0 || at == max)
			continue;
		name_file(files, file, module.name);
		used += used < max;
		memmove(ret + at + 1, ret + at, (used - at - 1) * sizeof(*ret));
		ret[at] = module;
	}
}

void
file_endings_clear(struct file_endings *endings)
{
	free(endings->counts);
	*endings = (struct file_endings){0};
}
