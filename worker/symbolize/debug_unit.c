/* No .debug_aranges: clang and rustc write none, and a unit's own entry says the same at about the same
 * price. */
#include "worker/symbolize/debug_unit.h"

#include "worker/base/leb128.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

enum {
	UNITS_MAX = 1 << 19,       /* Chromium has 40,000 */
	HEADER_MAX = 40,           /* of a DWARF 5 type unit in 64-bit DWARF */
	FIRST_ENTRY_MAX = 4 << 10, /* with its strings inside: paths */
	RANGE_ENTRY_MAX = 1 + 2 * 10,
	RANGE_PIECE = 512, /* of a list: most have a few entries, a unit's own may have thousands */
};

struct scan {
	struct debug_sections *sections;
	debug_range_visit *visit;
	void *context;
	struct debug_units *units;
};

/* A length of 4 bytes, or 0xffffffff and one of 8. */
static uint64_t
read_length(struct cursor *in, struct debug_format *ret)
{
	uint64_t length = cursor_u32(in);

	ret->offset_size = length == UINT32_MAX ? 8 : 4;
	return length == UINT32_MAX ? cursor_u64(in) : length;
}

static uint64_t
read_offset(struct cursor *in, struct debug_format format)
{
	return format.offset_size == 8 ? cursor_u64(in) : cursor_u32(in);
}

/* Where the entries begin depends on the kind of unit (7.5.1). False: not one we know, but `end` is good
 * unless it is 0. */
static bool
read_header(struct cursor in, uint64_t offset, uint64_t section_size, struct debug_unit *ret)
{
	const uint8_t *start = in.at;
	uint8_t kind = DW_UT_compile, address_size = 0;
	uint64_t length = read_length(&in, &ret->format), header_size = (uint64_t)(in.at - start);

	ret->offset = offset;
	if (in.failed || length > section_size - offset - header_size)
		return false;
	ret->end = offset + header_size + length;
	ret->format.version = cursor_u16(&in);
	if (ret->format.version < 2 || ret->format.version > 5)
		return false;
	if (ret->format.version >= 5) {
		kind = cursor_u8(&in);
		address_size = cursor_u8(&in);
	}
	ret->abbreviations = read_offset(&in, ret->format);
	if (ret->format.version < 5)
		address_size = cursor_u8(&in);
	ret->has_split_id = kind == DW_UT_skeleton || kind == DW_UT_split_compile;
	ret->split_id = ret->has_split_id ? cursor_u64(&in) : 0;
	ret->is_of_types = kind == DW_UT_type || kind == DW_UT_split_type;
	ret->first_entry = offset + (uint64_t)(in.at - start);
	return !in.failed && address_size == 8 && ret->first_entry <= ret->end;
}

bool
debug_unit_first_entry(struct debug_sections *sections, const struct debug_unit *unit,
		       struct debug_entry *ret)
{
	uint64_t left = unit->end - unit->first_entry;
	struct cursor in = debug_section_cursor(sections, DEBUG_INFO_ELSEWHERE, unit->first_entry,
						left < FIRST_ENTRY_MAX ? left : FIRST_ENTRY_MAX);
	uint64_t code = cursor_uleb128(&in);
	const struct abbreviation *abbreviation;
	struct abbreviations *table;
	bool is_read;

	if (code == 0 || abbreviations_read(sections, unit->abbreviations, unit->format, code, &table))
		return false;
	abbreviation = abbreviations_find(table, code);
	is_read = abbreviation && debug_entry_read(&in, unit->format, table, abbreviation, ret);
	abbreviations_free(table);
	return is_read;
}

/* A missing base is that of the first table, after its header (as in split units). */
static uint64_t
base_of(const struct debug_unit *unit, const struct debug_value *value, uint64_t header_size)
{
	if (value->kind != VALUE_NONE)
		return value->number;
	return unit->format.version < 5 ? 0 : header_size + (unit->format.offset_size == 8 ? 8 : 0);
}

static void
set_bases(struct debug_sections *sections, const struct debug_entry *entry, struct debug_unit *unit)
{
	unit->string_offsets = base_of(unit, &entry->values[ENTRY_STRING_OFFSETS], 8);
	unit->addresses = base_of(unit, &entry->values[ENTRY_ADDRESSES], 8);
	unit->range_lists = base_of(unit, &entry->values[ENTRY_RANGE_LISTS], 12);
	unit->ranges_base = entry->values[ENTRY_RANGES_BASE].number;
	unit->has_statements = entry->values[ENTRY_STATEMENTS].kind == VALUE_CONSTANT;
	unit->statements = entry->values[ENTRY_STATEMENTS].number;
	if (unit->format.version < 5) {
		unit->has_split_id = entry->values[ENTRY_SPLIT_ID].kind == VALUE_CONSTANT;
		unit->split_id = entry->values[ENTRY_SPLIT_ID].number;
	}
	(void)debug_unit_address(sections, unit, &entry->values[ENTRY_LOW_PC], &unit->low_pc);
}

static int
scan_entry(const struct scan *scan, struct debug_unit *unit, size_t number)
{
	struct debug_entry entry;

	if (!debug_unit_first_entry(scan->sections, unit, &entry))
		return 0;
	set_bases(scan->sections, &entry, unit);
	return scan->visit
		       ? debug_unit_ranges(scan->sections, unit, &entry, scan->visit, scan->context, number)
		       : 0;
}

static int
add_unit(struct debug_units *units, const struct debug_unit *unit)
{
	if (units->count == units->capacity) {
		size_t capacity = units->capacity ? units->capacity * 2 : 64;
		struct debug_unit *grown =
			capacity > UNITS_MAX ? NULL : realloc(units->list, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		units->list = grown;
		units->capacity = capacity;
	}
	units->list[units->count++] = *unit;
	return 0;
}

int
debug_units_read(struct debug_sections *sections, debug_range_visit *visit, void *context,
		 struct debug_units *ret)
{
	struct scan scan = {sections, visit, context, ret};
	uint64_t size = debug_section_size(sections, DEBUG_INFO), offset = 0;
	int error = 0;

	while (offset < size && !error) {
		struct debug_unit unit = {0};
		struct cursor in = debug_section_cursor(sections, DEBUG_INFO_ELSEWHERE, offset, HEADER_MAX);
		bool is_known = read_header(in, offset, size, &unit);

		if (!debug_sections_charge(sections, HEADER_MAX))
			return -ERANGE;
		if (unit.end <= offset)
			break;
		offset = unit.end;
		if (!is_known)
			continue;
		error = add_unit(ret, &unit);
		if (!error && !unit.is_of_types)
			error = scan_entry(&scan, &ret->list[ret->count - 1], ret->count - 1);
	}
	return error;
}

bool
debug_unit_read_at(struct debug_sections *sections, const struct debug_pieces *pieces, struct debug_unit *ret)
{
	uint64_t size = debug_section_size(sections, DEBUG_INFO);
	struct debug_unit unit = {0};
	struct debug_entry entry;
	struct cursor in = debug_section_cursor(sections, DEBUG_INFO_ELSEWHERE, pieces->info, HEADER_MAX);

	if (in.failed || !read_header(in, pieces->info, size, &unit) || unit.is_of_types)
		return false;
	unit.abbreviations += pieces->abbreviations;
	if (!debug_unit_first_entry(sections, &unit, &entry))
		return false;
	set_bases(sections, &entry, &unit);
	unit.string_offsets += pieces->string_offsets;
	unit.range_lists += pieces->range_lists;
	unit.ranges = pieces->range_lists;
	*ret = unit;
	return true;
}

void
debug_units_destroy(struct debug_units *units)
{
	free(units->list);
	*units = (struct debug_units){0};
}

const struct debug_unit *
debug_units_find(const struct debug_units *units, uint64_t offset)
{
	size_t low = 0, high = units->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct debug_unit *unit = &units->list[middle];

		if (offset < unit->offset)
			high = middle;
		else if (offset >= unit->end)
			low = middle + 1;
		else
			return offset >= unit->first_entry ? unit : NULL;
	}
	return NULL;
}

/* The number at base + index * size of a table; false also when that overflows. */
static bool
read_indexed(struct debug_sections *sections, enum debug_section section, uint64_t base, uint64_t index,
	     uint8_t size, uint64_t *ret)
{
	const uint8_t *bytes;
	uint64_t offset, value = 0;

	if (__builtin_mul_overflow(index, size, &offset) || __builtin_add_overflow(offset, base, &offset))
		return false;
	bytes = debug_section_view(sections, section, offset, size);
	if (!bytes)
		return false;
	memcpy(&value, bytes, size);
	*ret = value;
	return true;
}

bool
debug_unit_address(struct debug_sections *sections, const struct debug_unit *unit,
		   const struct debug_value *value, uint64_t *ret)
{
	if (value->kind == VALUE_ADDRESS_INDEX)
		return read_indexed(sections, DEBUG_ADDR, unit->addresses, value->number, 8, ret);
	if (value->kind != VALUE_ADDRESS)
		return false;
	*ret = value->number;
	return true;
}

bool
debug_unit_reference(const struct debug_unit *unit, const struct debug_value *value, uint64_t *ret)
{
	if (value->kind != VALUE_UNIT_REFERENCE && value->kind != VALUE_REFERENCE)
		return false;
	*ret = value->number + (value->kind == VALUE_UNIT_REFERENCE ? unit->offset : 0);
	return true;
}

const char *
debug_unit_text(struct debug_sections *sections, const struct debug_unit *unit,
		const struct debug_value *value)
{
	struct debug_sections *alternate = debug_sections_alternate(sections);
	uint64_t offset = value->number;

	switch (value->kind) {
	case VALUE_TEXT:
		return strlen(value->text) < DEBUG_STRING_MAX ? value->text : NULL;
	case VALUE_LINE_STRING:
		return debug_section_string(sections, DEBUG_LINE_STR, offset);
	case VALUE_STRING_INDEX:
		if (!read_indexed(sections, DEBUG_STR_OFFSETS, unit->string_offsets, offset,
				  unit->format.offset_size, &offset))
			return NULL;
		return debug_section_string(sections, DEBUG_STR, offset);
	case VALUE_STRING:
		return debug_section_string(sections, DEBUG_STR, offset);
	case VALUE_ALTERNATE_STRING:
		return alternate ? debug_section_string(alternate, DEBUG_STR, offset) : NULL;
	default:
		return NULL;
	}
}

/* Linkers leave 0, 1 or the highest numbers where they dropped the code. */
static int
visit_range(const struct scan *scan, size_t number, uint64_t start, uint64_t limit)
{
	return start > 1 && start < limit ? scan->visit(scan->context, number, start, limit) : 0;
}

/* Lists are read through a cursor that goes on where it ends before an entry may. */
static void
make_room(const struct scan *scan, enum debug_section section, uint64_t offset, size_t size,
	  struct cursor *in)
{
	if (cursor_left(in) < size)
		*in = debug_section_cursor(scan->sections, section, offset, RANGE_PIECE);
}

/* DWARF 2 to 4, .debug_ranges: pairs of offsets from a base, which a pair with -1 sets. */
static int
walk_ranges(const struct scan *scan, const struct debug_unit *unit, uint64_t offset, size_t number)
{
	uint64_t base = unit->low_pc;
	struct cursor in = cursor_over("", 0);
	int error = 0;

	for (; !error; offset += 16) {
		make_room(scan, DEBUG_RANGES, offset, 16, &in);
		uint64_t start = cursor_u64(&in), limit = cursor_u64(&in);

		if (in.failed || (start == 0 && limit == 0))
			break;
		if (!debug_sections_charge(scan->sections, 16))
			return -ERANGE;
		if (start == UINT64_MAX)
			base = limit;
		else
			error = visit_range(scan, number, base + start, base + limit);
	}
	return error;
}

/* One entry of a DWARF 5 list (7.25) at the cursor; false: it was the last one, or cannot be read. */
static bool
read_list_entry(const struct scan *scan, const struct debug_unit *unit, struct cursor *in, uint64_t *base,
		uint64_t *ret_start, uint64_t *ret_limit)
{
	struct debug_value index = {.kind = VALUE_ADDRESS_INDEX}, index2 = index;
	uint8_t kind = cursor_u8(in);
	bool is_good = true;

	*ret_start = *ret_limit = 0;
	switch (kind) {
	case DW_RLE_base_addressx:
		index.number = cursor_uleb128(in);
		is_good = debug_unit_address(scan->sections, unit, &index, base);
		break;
	case DW_RLE_startx_endx:
		index.number = cursor_uleb128(in);
		index2.number = cursor_uleb128(in);
		is_good = debug_unit_address(scan->sections, unit, &index, ret_start) &&
			  debug_unit_address(scan->sections, unit, &index2, ret_limit);
		break;
	case DW_RLE_startx_length:
		index.number = cursor_uleb128(in);
		is_good = debug_unit_address(scan->sections, unit, &index, ret_start);
		*ret_limit = *ret_start + cursor_uleb128(in);
		break;
	case DW_RLE_offset_pair:
		is_good = *base > 1; /* else of code that was dropped */
		*ret_start = *base + cursor_uleb128(in);
		*ret_limit = *base + cursor_uleb128(in);
		break;
	case DW_RLE_base_address:
		*base = cursor_u64(in);
		break;
	case DW_RLE_start_end:
		*ret_start = cursor_u64(in);
		*ret_limit = cursor_u64(in);
		break;
	case DW_RLE_start_length:
		*ret_start = cursor_u64(in);
		*ret_limit = *ret_start + cursor_uleb128(in);
		break;
	default: /* DW_RLE_end_of_list, or unknown */
		return false;
	}
	return is_good && !in->failed;
}

static int
walk_range_list(const struct scan *scan, const struct debug_unit *unit, uint64_t offset, size_t number)
{
	uint64_t base = unit->low_pc, start, limit;
	struct cursor in = cursor_over("", 0);
	int error = 0;

	while (!error) {
		make_room(scan, DEBUG_RNGLISTS, offset, RANGE_ENTRY_MAX, &in);
		const uint8_t *before = in.at;

		if (in.failed || !read_list_entry(scan, unit, &in, &base, &start, &limit))
			break;
		if (!debug_sections_charge(scan->sections, 16))
			return -ERANGE;
		offset += (uint64_t)(in.at - before);
		error = visit_range(scan, number, start, limit);
	}
	return error;
}

int
debug_unit_ranges(struct debug_sections *sections, const struct debug_unit *unit,
		  const struct debug_entry *entry, debug_range_visit *visit, void *context, size_t number)
{
	const struct debug_value *ranges = &entry->values[ENTRY_RANGES];
	const struct debug_value *high = &entry->values[ENTRY_HIGH_PC];
	struct scan scan = {sections, visit, context, NULL};
	uint64_t low_pc, limit, offset = ranges->number;

	if (ranges->kind == VALUE_LIST_INDEX) {
		if (!read_indexed(sections, DEBUG_RNGLISTS, unit->range_lists, ranges->number,
				  unit->format.offset_size, &offset))
			return 0;
		return walk_range_list(&scan, unit, unit->range_lists + offset, number);
	}
	offset += unit->ranges;
	if (ranges->kind == VALUE_CONSTANT)
		return unit->format.version >= 5 ? walk_range_list(&scan, unit, offset, number)
						 : walk_ranges(&scan, unit, offset, number);
	if (!debug_unit_address(sections, unit, &entry->values[ENTRY_LOW_PC], &low_pc))
		return 0;
	if (high->kind == VALUE_CONSTANT)
		limit = low_pc + high->number;
	else if (!debug_unit_address(sections, unit, high, &limit))
		return 0;
	return visit_range(&scan, number, low_pc, limit);
}
