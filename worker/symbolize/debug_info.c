/* Addresses are first dealt out to units by the units' ranges; each unit that got some is then read once. */
#include "worker/symbolize/debug_info.h"

#include "worker/symbolize/inline_chain.h"
#include "worker/symbolize/line_program.h"
#include "worker/symbolize/split_unit.h"

#include <errno.h>
#include <stdlib.h>

#define NO_HIT UINT32_MAX
#define PATHS_BYTES_MAX (32u << 20)

struct debug_info {
	struct debug_file file, alternate;
	struct split_files split;
};

/* One batch. */
struct batch {
	struct debug_info *info;
	const uint64_t *addresses;
	size_t count;
	struct arena *arena;
	struct source_location *locations;
	uint32_t *unit_of; /* per address, plus 1; 0: none */
	uint32_t *next;    /* per address: chain of its unit */
	struct debug_names names;
};

/* Those of one unit. */
struct unit_batch {
	size_t count;
	uint32_t *numbers; /* in the batch */
	struct chain_hit *chains;
	struct line_hit *lines;
	struct line_program *program; /* NULL: no lines */
	const char *folder;
	struct record_table paths; /* by file number */
};

struct known_path {
	uint64_t file; /* key */
	const char *path;
};

int
debug_info_open(int fd, const struct module_files *files, struct debug_budget *budget,
		struct debug_info **ret)
{
	struct debug_info *info = calloc(1, sizeof(*info));
	int error;

	if (!info)
		return -ENOMEM;
	error = debug_sections_open(fd, budget, &info->file.sections);
	split_files_init(&info->split, files, budget, info->file.sections);
	if (!error && files->alt_fd >= 0 &&
	    debug_sections_open(files->alt_fd, budget, &info->alternate.sections) == 0) {
		debug_sections_set_alternate(info->file.sections, info->alternate.sections);
		error = debug_units_read(info->alternate.sections, NULL, NULL, &info->alternate.units);
	}
	if (error) {
		debug_info_close(info);
		return error;
	}
	*ret = info;
	return 0;
}

void
debug_info_close(struct debug_info *info)
{
	if (!info)
		return;
	split_files_close(&info->split);
	debug_units_destroy(&info->file.units);
	debug_units_destroy(&info->alternate.units);
	debug_sections_close(info->file.sections);
	debug_sections_close(info->alternate.sections);
	free(info);
}

/* A debug_range_visit: the first unit that claims an address has it. */
static int
claim_addresses(void *context, size_t unit, uint64_t start, uint64_t limit)
{
	struct batch *batch = context;
	size_t low = 0, high = batch->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (batch->addresses[middle] < start)
			low = middle + 1;
		else
			high = middle;
	}
	for (high = low; high < batch->count && batch->addresses[high] < limit; high++)
		if (!batch->unit_of[high])
			batch->unit_of[high] = (uint32_t)unit + 1;
	return debug_sections_charge(batch->info->file.sections, high - low) ? 0 : -ERANGE;
}

/* Backwards, so that every chain is sorted. */
static void
chain_addresses(struct batch *batch)
{
	struct debug_units *units = &batch->info->file.units;

	for (size_t i = 0; i < units->count; i++)
		units->list[i].first_hit = NO_HIT;
	for (size_t i = batch->count; i > 0; i--) {
		uint32_t unit = batch->unit_of[i - 1];

		if (!unit)
			continue;
		batch->next[i - 1] = units->list[unit - 1].first_hit;
		units->list[unit - 1].first_hit = (uint32_t)(i - 1);
	}
}

static int
gather(const struct batch *batch, const struct debug_unit *unit, struct unit_batch *ret)
{
	size_t count = 0;

	for (uint32_t i = unit->first_hit; i != NO_HIT; i = batch->next[i])
		count++;
	*ret = (struct unit_batch){.paths = RECORD_TABLE(struct known_path, sizeof(uint64_t))};
	ret->numbers = calloc(count, sizeof(*ret->numbers));
	ret->chains = calloc(count, sizeof(*ret->chains));
	ret->lines = calloc(count, sizeof(*ret->lines));
	if (!ret->numbers || !ret->chains || !ret->lines)
		return -ENOMEM;
	for (uint32_t i = unit->first_hit; i != NO_HIT; i = batch->next[i]) {
		ret->numbers[ret->count] = i;
		ret->chains[ret->count].address = batch->addresses[i];
		ret->lines[ret->count++].address = batch->addresses[i];
	}
	return 0;
}

static const char *
path_of(struct batch *batch, struct unit_batch *unit, uint64_t file)
{
	struct budget budget = {.limit = PATHS_BYTES_MAX};
	struct known_path known = {.file = file};
	char path[DEBUG_STRING_MAX];
	uint32_t number = record_table_find(&unit->paths, &file);

	if (number != HASH_INDEX_NONE)
		return ((const struct known_path *)record_table_at(&unit->paths, number))->path;
	if (unit->program && line_program_path(unit->program, file, unit->folder, path, sizeof(path))) {
		char *copy = arena_allocate(batch->arena, strlen(path) + 1);

		known.path = copy ? strcpy(copy, path) : NULL;
	}
	(void)record_table_put(&unit->paths, &budget, &known, &number); /* only slower without */
	return known.path;
}

static int
make_location(struct batch *batch, struct unit_batch *unit, size_t hit, struct source_location *ret)
{
	const struct chain_node *node = unit->chains[hit].innermost;
	const struct line_hit *line = &unit->lines[hit];
	size_t count = node ? node->depth : line->is_found;
	struct source_frame *frames;
	struct source_frame now = {.line = line->line};

	if (count == 0)
		return 0;
	frames = arena_allocate_array(batch->arena, count, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	now.file = line->is_found ? path_of(batch, unit, line->file) : NULL;
	for (size_t i = 0; i < count; i++) {
		frames[i] = now;
		frames[i].function = node ? node->name : NULL;
		if (!node || !node->outer)
			continue;
		now.line = node->call_line;
		now.file = node->has_call_file ? path_of(batch, unit, node->call_file) : NULL;
		node = node->outer;
	}
	*ret = (struct source_location){.frames = frames, .count = count};
	return 0;
}

static void
destroy_unit_batch(struct unit_batch *unit)
{
	struct budget budget = {0};

	line_program_close(unit->program);
	record_table_clear(&unit->paths, &budget);
	free(unit->numbers);
	free(unit->chains);
	free(unit->lines);
}

static const char *
folder_of(struct batch *batch, const struct debug_unit *unit)
{
	struct debug_sections *sections = batch->info->file.sections;
	struct debug_entry entry;
	const char *text = debug_unit_first_entry(sections, unit, &entry)
				   ? debug_unit_text(sections, unit, &entry.values[ENTRY_FOLDER])
				   : NULL;
	char *copy = text ? arena_allocate(batch->arena, strlen(text) + 1) : NULL;

	return copy ? strcpy(copy, text) : NULL;
}

/* In the other half of a unit that was split, if it can be had: the skeleton knows no functions. */
static int
find_chains(struct batch *batch, const struct debug_unit *unit, struct unit_batch *part)
{
	struct debug_info *info = batch->info;
	struct split_unit split;
	struct debug_names names;
	int error;

	if (!unit->has_split_id || !split_unit_open(&info->split, unit, &split))
		return inline_chains_find(&batch->names, unit, part->chains, part->count, &part->folder);
	debug_names_init(&names, &split.file, &info->alternate, batch->arena);
	error = inline_chains_find(&names, split.unit, part->chains, part->count, &part->folder);
	debug_names_destroy(&names);
	split_unit_close(&split);
	part->folder = folder_of(batch, unit);
	return error;
}

static int
find_in_unit(struct batch *batch, const struct debug_unit *unit)
{
	struct unit_batch part;
	int error = gather(batch, unit, &part);

	if (!error)
		error = find_chains(batch, unit, &part);
	if (error == 0 || error == -EBADMSG)
		error = line_program_open(batch->info->file.sections, unit, &part.program);
	if (!error)
		line_program_run(part.program, part.lines, part.count);
	if (error == -EBADMSG || error == -ENOENT)
		error = 0;
	for (size_t i = 0; i < part.count && !error; i++)
		error = make_location(batch, &part, i, &batch->locations[part.numbers[i]]);
	destroy_unit_batch(&part);
	return error;
}

static int
find_in_units(struct batch *batch)
{
	struct debug_units *units = &batch->info->file.units;
	int error = debug_units_read(batch->info->file.sections, claim_addresses, batch, units);

	if (error)
		return error;
	chain_addresses(batch);
	for (size_t i = 0; i < units->count && !error; i++)
		if (units->list[i].first_hit != NO_HIT)
			error = find_in_unit(batch, &units->list[i]);
	return error;
}

int
debug_info_find(struct debug_info *info, const uint64_t *addresses, size_t count, struct arena *arena,
		struct source_location *ret)
{
	struct batch batch = {
		.info = info, .addresses = addresses, .count = count, .arena = arena, .locations = ret};
	int error = -ENOMEM;

	if (count >= NO_HIT)
		return -ENOMEM;
	memset(ret, 0, count * sizeof(*ret));
	debug_units_destroy(&info->file.units);
	batch.unit_of = calloc(count + 1, sizeof(*batch.unit_of));
	batch.next = calloc(count + 1, sizeof(*batch.next));
	debug_names_init(&batch.names, &info->file, &info->alternate, arena);
	if (batch.unit_of && batch.next)
		error = find_in_units(&batch);
	debug_names_destroy(&batch.names);
	free(batch.unit_of);
	free(batch.next);
	return error == -ERANGE ? 0 : error;
}
