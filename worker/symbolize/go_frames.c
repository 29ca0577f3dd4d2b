/* What a function's code says of itself is in tables of pairs: how much the value changes, and for how many
 * bytes of code it then holds (runtime/symtab.go: step). A description has the offsets of its tables:
 *
 *     which file (a number in the unit's list)      0x10: 3   0x40: 7   0x48: 3
 *     which line                                    0x10: 21  0x28: 22  0x40: 90  0x48: 23
 *     which inlined call (number in its tree)       0x10: -1  0x40: 0   0x48: -1
 *
 * A call in the tree has the name of what was inlined, and an address of the function outside of the inlined
 * code whose file and line are those of the call. */
#include "worker/symbolize/go_frames.h"

#include "worker/base/leb128.h"
#include "worker/symbolize/go_table.h"
#include "worker/symbolize/inline_chain.h"

#include <errno.h>

enum {
	PAIR_BYTES_MAX = 2 * 10,
	INLINED_VALUES = 2, /* PCDATA_InlTreeIndex */
	INLINED_TREE = 3,   /* FUNCDATA_InlTree */
};

/* The tables of one function; offset 0 of a table: there is none. */
struct go_tables {
	struct go_pclntab *table;
	struct debug_budget *budget;
	uint64_t start;
	uint32_t files, lines, inlined; /* offsets of values */
	uint32_t unit;                  /* its first file in the list of files of units */
	bool has_tree;
	uint64_t tree; /* in GO_INLINED */
};

/* ---- values ---- */

/* Even numbers go up, odd ones down. */
static uint32_t
value_change(uint64_t zigzag)
{
	uint32_t value = (uint32_t)zigzag;

	return -(value & 1) ^ (value >> 1);
}

/* The value at an address. False: none covers it, or the budget ends. */
static bool
value_at(const struct go_tables *tables, uint32_t offset, uint64_t address, uint32_t *ret)
{
	struct section_window *window = &tables->table->windows[GO_VALUES];
	uint64_t at = tables->table->values + offset, now = tables->start;
	uint32_t value = UINT32_MAX; /* they count from -1 */
	struct cursor in = section_window_cursor(window, at, SECTION_WINDOW_SIZE);

	for (bool is_first = true; offset != 0; is_first = false) {
		const uint8_t *before = in.at;
		uint64_t change = cursor_uleb128(&in), length = cursor_uleb128(&in);

		if (in.failed || (change == 0 && !is_first))
			return false;
		value += value_change(change);
		now += length * tables->table->quantum;
		if (address < now) {
			*ret = value;
			return true;
		}
		at += (uint64_t)(in.at - before);
		if (!debug_budget_charge(tables->budget, (uint64_t)(in.at - before)))
			return false;
		if (cursor_left(&in) < PAIR_BYTES_MAX)
			in = section_window_cursor(window, at, SECTION_WINDOW_SIZE);
	}
	return false;
}

/* ---- a function's tables ---- */

/* The offsets of tables of values, and then those of other data, follow the description. */
static uint32_t
described_offset(struct go_pclntab *table, const struct go_function *function, uint64_t number)
{
	struct cursor in =
		section_window_cursor(&table->windows[GO_FUNCTIONS],
				      function->described + table->layout->function_size + 4 * number, 4);
	uint32_t offset = cursor_u32(&in);

	return in.failed ? UINT32_MAX : offset;
}

static bool
read_tables(struct go_pclntab *table, const struct go_function *function, struct debug_budget *budget,
	    struct go_tables *ret)
{
	size_t size = table->layout->function_size, start_size = table->layout->is_relative ? 4 : 8;
	struct cursor in = section_window_cursor(&table->windows[GO_FUNCTIONS], function->described, size);
	const uint8_t *bytes = in.at;
	uint32_t value_tables, data;

	*ret = (struct go_tables){.table = table, .budget = budget, .start = function->start};
	if (size == 0 || cursor_left(&in) < size)
		return false;
	(void)cursor_bytes(&in,
			   start_size + 16); /* its start, name, arguments, return of defers, stack depth */
	ret->files = cursor_u32(&in);
	ret->lines = cursor_u32(&in);
	value_tables = cursor_u32(&in);
	ret->unit = cursor_u32(&in);
	data = bytes[size - 1];
	if (!table->layout->inlined_size || value_tables <= INLINED_VALUES || data <= INLINED_TREE)
		return true;
	ret->inlined = described_offset(table, function, INLINED_VALUES);
	ret->tree = described_offset(table, function, (uint64_t)value_tables + INLINED_TREE);
	if (ret->tree == UINT32_MAX)
		ret->inlined = 0;
	ret->tree += table->inlined;
	return true;
}

static const char *
file_at(const struct go_tables *tables, uint64_t address)
{
	struct go_pclntab *table = tables->table;
	uint32_t number;

	if (!value_at(tables, tables->files, address, &number))
		return NULL;
	struct cursor in = section_window_cursor(&table->windows[GO_UNITS],
						 table->units + 4 * ((uint64_t)tables->unit + number), 4);
	uint32_t offset = cursor_u32(&in);
	return in.failed || offset == UINT32_MAX ? NULL
						 : go_pclntab_text(table, GO_FILES, table->files + offset);
}

static void
find_place(const struct go_tables *tables, uint64_t address, struct source_frame *ret)
{
	uint32_t line;

	ret->file = file_at(tables, address);
	ret->line =
		ret->file && value_at(tables, tables->lines, address, &line) && line <= INT32_MAX ? line : 0;
}

/* The innermost call inlined at *address, which becomes that of the call. False: none. */
static bool
leave_inlined(const struct go_tables *tables, uint64_t *address, const char **ret_name)
{
	struct go_pclntab *table = tables->table;
	const struct go_layout *layout = table->layout;
	uint32_t number;

	if (!value_at(tables, tables->inlined, *address, &number) || number > INT32_MAX)
		return false;
	struct cursor in = section_window_cursor(&table->windows[GO_INLINED],
						 tables->tree + (uint64_t)number * layout->inlined_size,
						 layout->inlined_size);
	struct cursor place = in;
	(void)cursor_bytes(&in, layout->inlined_name);
	(void)cursor_bytes(&place, layout->inlined_place);
	uint64_t name = cursor_u32(&in), offset = cursor_u32(&place);
	if (in.failed || place.failed)
		return false;
	*ret_name = go_pclntab_text(table, GO_NAMES, table->names + name);
	*address = tables->start + offset;
	return true;
}

int
go_frames_find(struct go_pclntab *table, uint64_t address, struct debug_budget *budget, struct arena *arena,
	       struct source_location *ret)
{
	struct source_frame frames[CHAIN_DEPTH_MAX] = {0};
	struct go_function function;
	struct go_tables tables;
	size_t count = 0;

	*ret = (struct source_location){0};
	if (!go_pclntab_function(table, address, &function) ||
	    !read_tables(table, &function, budget, &tables))
		return 0;
	/* A tree that leads in circles fills the chain, and ends there. */
	for (bool is_inlined = true; is_inlined && count < CHAIN_DEPTH_MAX; count++) {
		find_place(&tables, address, &frames[count]);
		is_inlined = leave_inlined(&tables, &address, &frames[count].function);
	}
	frames[count - 1].function = function.name;
	if (budget->work_left == 0)
		return -ERANGE;
	struct source_frame *kept = arena_allocate_array(arena, count, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*ret = (struct source_location){.frames = memcpy(kept, frames, count * sizeof(*kept)),
					.count = count};
	return 0;
}
