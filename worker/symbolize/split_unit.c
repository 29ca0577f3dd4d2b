/* The package is a hash table of ids (DWARF 5, 7.3.5; version 2 is GNU's, of DWARF 4) and a table that says
 * for each unit where its piece of each section begins:
 *
 *     header    version, columns, units, slots        slots     ids, then numbers of rows, from 1 on
 *     columns   which section each is of              rows      offsets, then sizes
 */
#include "worker/symbolize/split_unit.h"

#include "ipc/fd.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MISSING_MAX = 16, /* before the first one is found: then they are all somewhere else */
	INDEX_HEADER = 16,
	COLUMNS_MAX = 16,
	PROBES_MAX = 64, /* of a table that is at most two thirds full */
	/* The columns' names; those of DWARF 5 and of the version before differ in others. */
	PIECE_INFO = 1,
	PIECE_ABBREVIATIONS = 3,
	PIECE_STRING_OFFSETS = 6,
	PIECE_RANGE_LISTS = 8, /* before: of macros, which nobody asks for */
};

/* ---- a package ---- */

struct unit_index {
	struct debug_sections *sections;
	uint32_t columns, units, slots;
};

static uint64_t
index_number(const struct unit_index *index, uint64_t offset, unsigned size)
{
	struct cursor in = debug_section_cursor(index->sections, DEBUG_UNIT_INDEX, offset, size);

	return size == 8 ? cursor_u64(&in) : cursor_u32(&in);
}

static bool
read_index(struct debug_sections *sections, struct unit_index *ret)
{
	struct cursor in = debug_section_cursor(sections, DEBUG_UNIT_INDEX, 0, INDEX_HEADER);
	uint16_t version = cursor_u16(&in), zero = cursor_u16(&in);

	*ret = (struct unit_index){.sections = sections};
	ret->columns = cursor_u32(&in);
	ret->units = cursor_u32(&in);
	ret->slots = cursor_u32(&in);
	return !in.failed && (version == 2 || version == 5) && zero == 0 && ret->columns <= COLUMNS_MAX &&
	       ret->slots > 0 && (ret->slots & (ret->slots - 1)) == 0;
}

/* The row of the unit with this id, from 1 on; 0: none. */
static uint32_t
find_row(const struct unit_index *index, uint64_t id)
{
	uint64_t mask = index->slots - 1, slot = id & mask, step = ((id >> 32) & mask) | 1;

	for (unsigned i = 0; i < PROBES_MAX; i++, slot = (slot + step) & mask) {
		uint32_t row = (uint32_t)index_number(
			index, INDEX_HEADER + 8 * (uint64_t)index->slots + 4 * slot, 4);

		if (row == 0 || row > index->units)
			return 0;
		if (index_number(index, INDEX_HEADER + 8 * slot, 8) == id)
			return row;
	}
	return 0;
}

static struct debug_pieces
read_pieces(const struct unit_index *index, uint32_t row)
{
	uint64_t columns = INDEX_HEADER + 12 * (uint64_t)index->slots;
	struct debug_pieces pieces = {.info = UINT64_MAX};

	for (uint32_t i = 0; i < index->columns; i++) {
		uint64_t piece = index_number(index, columns + (uint64_t)4 * i, 4);
		uint64_t offset = index_number(index, columns + 4 * ((uint64_t)row * index->columns + i), 4);

		if (piece == PIECE_INFO)
			pieces.info = offset;
		else if (piece == PIECE_ABBREVIATIONS)
			pieces.abbreviations = offset;
		else if (piece == PIECE_STRING_OFFSETS)
			pieces.string_offsets = offset;
		else if (piece == PIECE_RANGE_LISTS)
			pieces.range_lists = offset;
	}
	return pieces;
}

static void
find_package(struct split_files *files)
{
	files->is_package_known = true;
	if (files->budget->files_left == 0)
		return;
	files->budget->files_left--;
	files->package_fd = module_files_open_package(files->files);
	if (files->package_fd >= 0 && debug_sections_open_split(files->package_fd, files->budget,
								files->skeletons, &files->package) != 0)
		files->package = NULL;
}

static bool
open_in_package(struct split_files *files, uint64_t id, struct split_unit *ret)
{
	struct unit_index index;
	struct debug_unit *unit;
	uint32_t row;

	if (!files->is_package_known)
		find_package(files);
	if (!files->package || !read_index(files->package, &index))
		return false;
	row = find_row(&index, id);
	unit = row ? calloc(1, sizeof(*unit)) : NULL;
	if (!unit)
		return false;
	struct debug_pieces pieces = read_pieces(&index, row);
	if (!debug_unit_read_at(files->package, &pieces, unit)) {
		free(unit);
		return false;
	}
	*ret = (struct split_unit){
		.file = {.sections = files->package, .units = {.list = unit, .count = 1, .capacity = 1}},
		.fd = -1};
	return true;
}

/* ---- files of their own ---- */

/* Takes the descriptor. */
static bool
open_file(struct split_files *files, int fd, struct split_unit *ret)
{
	*ret = (struct split_unit){.fd = fd};
	return debug_sections_open_split(fd, files->budget, files->skeletons, &ret->file.sections) == 0 &&
	       debug_units_read(ret->file.sections, NULL, NULL, &ret->file.units) == 0;
}

static bool
find_half(struct split_unit *split, uint64_t id)
{
	for (size_t i = 0; i < split->file.units.count; i++)
		if (split->file.units.list[i].has_split_id && split->file.units.list[i].split_id == id)
			split->unit = &split->file.units.list[i];
	return split->unit;
}

/* Folder and name, as the skeleton has them; in one buffer, because text is borrowed. */
static bool
read_path(struct split_files *files, const struct debug_unit *skeleton, char *ret, size_t size)
{
	struct debug_entry entry;
	const char *name, *folder;
	char copy[DEBUG_NAME_MAX];

	if (!debug_unit_first_entry(files->skeletons, skeleton, &entry))
		return false;
	name = debug_unit_text(files->skeletons, skeleton, &entry.values[ENTRY_SPLIT_NAME]);
	if (!name || strlen(name) >= sizeof(copy))
		return false;
	strcpy(copy, name);
	folder = debug_unit_text(files->skeletons, skeleton, &entry.values[ENTRY_FOLDER]);
	return module_files_join(folder ? folder : "", copy, size, ret);
}

static bool
open_by_path(struct split_files *files, const struct debug_unit *skeleton, struct split_unit *ret)
{
	char path[DEBUG_NAME_MAX];
	uint32_t place = 0;

	if (files->found == 0 && files->missing == MISSING_MAX)
		return false;
	if (!read_path(files, skeleton, path, sizeof(path)))
		return false;
	while (files->budget->files_left > 0) {
		int fd = module_files_open_unit(files->files, path, &place);

		files->budget->files_left--;
		if (fd < 0) {
			files->missing++;
			return false;
		}
		if (open_file(files, fd, ret) && find_half(ret, skeleton->split_id)) {
			files->found++;
			return true;
		}
		split_unit_close(ret);
	}
	files->budget->is_exceeded = true;
	return false;
}

/* ---- both ---- */

void
split_files_init(struct split_files *files, const struct module_files *module, struct debug_budget *budget,
		 struct debug_sections *skeletons)
{
	*files = (struct split_files){
		.files = module, .budget = budget, .skeletons = skeletons, .package_fd = -1};
}

void
split_files_close(struct split_files *files)
{
	debug_sections_close(files->package);
	close_fd(&files->package_fd);
}

/* What only the linker could know is in the skeleton. */
static void
take_bases(struct debug_unit *unit, const struct debug_unit *skeleton)
{
	unit->addresses = skeleton->addresses;
	unit->low_pc = skeleton->low_pc;
	if (unit->format.version < 5)
		unit->ranges = skeleton->ranges_base;
}

bool
split_unit_open(struct split_files *files, const struct debug_unit *skeleton, struct split_unit *ret)
{
	*ret = (struct split_unit){.fd = -1};
	if (!skeleton->has_split_id || !files->files)
		return false;
	if (!open_in_package(files, skeleton->split_id, ret) || !find_half(ret, skeleton->split_id)) {
		split_unit_close(ret);
		if (!open_by_path(files, skeleton, ret))
			return false;
	}
	take_bases(ret->unit, skeleton);
	return true;
}

void
split_unit_close(struct split_unit *unit)
{
	debug_units_destroy(&unit->file.units);
	if (unit->fd < 0)
		return; /* the package goes on */
	debug_sections_close(unit->file.sections);
	close_fd(&unit->fd);
}
