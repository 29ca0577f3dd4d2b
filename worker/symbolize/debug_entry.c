/* Abbreviation codes are dense, so that a table indexed by code finds one in a load. Where all forms of an
 * abbreviation have a fixed size, an entry nobody looks at is passed over in one addition. */
#include "worker/symbolize/debug_entry.h"

#include "worker/base/leb128.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

enum {
	CODE_MAX = 1 << 18,
	TABLE_BYTES_MAX = 4 << 20,
	ATTRIBUTES_MAX = 1 << 20,
	ENTRY_ATTRIBUTES_MAX = 128, /* of one abbreviation; compilers write up to 30 */
};

struct attribute {
	uint8_t name; /* enum entry_attribute */
	uint16_t form;
	uint16_t run;       /* how many attributes from here on are of fixed size; 0: this one is not */
	uint32_t run_bytes; /* all of these */
	int64_t implicit;
};

/* FIXED: bytes that make a constant, or another kind. OFFSET: 4 or 8 bytes. */
#define FORM_ALTERNATE_REFERENCE 0x2d /* DW_FORM_GNU_ref_alt, in the row after the last of DWARF 5 */
enum shape { SHAPE_UNKNOWN, SHAPE_FIXED, SHAPE_OFFSET, SHAPE_ULEB, SHAPE_SLEB, SHAPE_BLOCK, SHAPE_SPECIAL };

/* DWARF 5, 7.5.6, and the GNU extensions for split and shared (dwz) files; `size`: of FIXED, or of a
 * BLOCK's length (0: ULEB128). */
static const struct {
	uint8_t shape, size, kind;
} forms[] = {
	[DW_FORM_addr] = {SHAPE_FIXED, 8, VALUE_ADDRESS},
	[DW_FORM_block2] = {SHAPE_BLOCK, 2, VALUE_NONE},
	[DW_FORM_block4] = {SHAPE_BLOCK, 4, VALUE_NONE},
	[DW_FORM_data2] = {SHAPE_FIXED, 2, VALUE_CONSTANT},
	[DW_FORM_data4] = {SHAPE_FIXED, 4, VALUE_CONSTANT},
	[DW_FORM_data8] = {SHAPE_FIXED, 8, VALUE_CONSTANT},
	[DW_FORM_string] = {SHAPE_SPECIAL, 0, VALUE_TEXT},
	[DW_FORM_block] = {SHAPE_BLOCK, 0, VALUE_NONE},
	[DW_FORM_block1] = {SHAPE_BLOCK, 1, VALUE_NONE},
	[DW_FORM_data1] = {SHAPE_FIXED, 1, VALUE_CONSTANT},
	[DW_FORM_flag] = {SHAPE_FIXED, 1, VALUE_CONSTANT},
	[DW_FORM_sdata] = {SHAPE_SLEB, 0, VALUE_CONSTANT},
	[DW_FORM_strp] = {SHAPE_OFFSET, 0, VALUE_STRING},
	[DW_FORM_udata] = {SHAPE_ULEB, 0, VALUE_CONSTANT},
	[DW_FORM_ref_addr] = {SHAPE_OFFSET, 0, VALUE_REFERENCE}, /* DWARF 2: 8 bytes */
	[DW_FORM_ref1] = {SHAPE_FIXED, 1, VALUE_UNIT_REFERENCE},
	[DW_FORM_ref2] = {SHAPE_FIXED, 2, VALUE_UNIT_REFERENCE},
	[DW_FORM_ref4] = {SHAPE_FIXED, 4, VALUE_UNIT_REFERENCE},
	[DW_FORM_ref8] = {SHAPE_FIXED, 8, VALUE_UNIT_REFERENCE},
	[DW_FORM_ref_udata] = {SHAPE_ULEB, 0, VALUE_UNIT_REFERENCE},
	[DW_FORM_indirect] = {SHAPE_SPECIAL, 0, VALUE_NONE},
	[DW_FORM_sec_offset] = {SHAPE_OFFSET, 0, VALUE_CONSTANT},
	[DW_FORM_exprloc] = {SHAPE_BLOCK, 0, VALUE_NONE},
	[DW_FORM_flag_present] = {SHAPE_FIXED, 0, VALUE_CONSTANT},
	[DW_FORM_strx] = {SHAPE_ULEB, 0, VALUE_STRING_INDEX},
	[DW_FORM_addrx] = {SHAPE_ULEB, 0, VALUE_ADDRESS_INDEX},
	[DW_FORM_ref_sup4] = {SHAPE_FIXED, 4, VALUE_ALTERNATE_REFERENCE},
	[DW_FORM_strp_sup] = {SHAPE_OFFSET, 0, VALUE_ALTERNATE_STRING},
	[DW_FORM_data16] = {SHAPE_FIXED, 16, VALUE_NONE},
	[DW_FORM_line_strp] = {SHAPE_OFFSET, 0, VALUE_LINE_STRING},
	[DW_FORM_ref_sig8] = {SHAPE_FIXED, 8, VALUE_NONE}, /* a type */
	[DW_FORM_implicit_const] = {SHAPE_SPECIAL, 0, VALUE_CONSTANT},
	[DW_FORM_loclistx] = {SHAPE_ULEB, 0, VALUE_NONE},
	[DW_FORM_rnglistx] = {SHAPE_ULEB, 0, VALUE_LIST_INDEX},
	[DW_FORM_ref_sup8] = {SHAPE_FIXED, 8, VALUE_ALTERNATE_REFERENCE},
	[DW_FORM_strx1] = {SHAPE_FIXED, 1, VALUE_STRING_INDEX},
	[DW_FORM_strx2] = {SHAPE_FIXED, 2, VALUE_STRING_INDEX},
	[DW_FORM_strx3] = {SHAPE_FIXED, 3, VALUE_STRING_INDEX},
	[DW_FORM_strx4] = {SHAPE_FIXED, 4, VALUE_STRING_INDEX},
	[DW_FORM_addrx1] = {SHAPE_FIXED, 1, VALUE_ADDRESS_INDEX},
	[DW_FORM_addrx2] = {SHAPE_FIXED, 2, VALUE_ADDRESS_INDEX},
	[DW_FORM_addrx3] = {SHAPE_FIXED, 3, VALUE_ADDRESS_INDEX},
	[DW_FORM_addrx4] = {SHAPE_FIXED, 4, VALUE_ADDRESS_INDEX},
	[FORM_ALTERNATE_REFERENCE] = {SHAPE_OFFSET, 0, VALUE_ALTERNATE_REFERENCE},
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

/* The extensions have numbers far beyond. */
static uint16_t
known_form(uint16_t form)
{
	switch (form) {
	case DW_FORM_GNU_addr_index:
		return DW_FORM_addrx;
	case DW_FORM_GNU_str_index:
		return DW_FORM_strx;
	case DW_FORM_GNU_ref_alt:
		return FORM_ALTERNATE_REFERENCE;
	case DW_FORM_GNU_strp_alt:
		return DW_FORM_strp_sup;
	default:
		return form < FORMS ? form : 0;
	}
}

static bool
is_reference_of_dwarf2(struct debug_format format, uint16_t form)
{
	return form == DW_FORM_ref_addr && format.version == 2;
}

/* Bytes of a form whatever the value; SIZE_VARIES when that depends. */
static uint32_t
fixed_size(struct debug_format format, uint16_t form)
{
	switch (forms[form].shape) {
	case SHAPE_FIXED:
		return forms[form].size;
	case SHAPE_OFFSET:
		return is_reference_of_dwarf2(format, form) ? 8 : format.offset_size;
	default:
		return form == DW_FORM_implicit_const ? 0 : SIZE_VARIES;
	}
}

static uint64_t
read_number(struct cursor *in, uint32_t size)
{
	uint64_t value = 0;
	const uint8_t *bytes = cursor_bytes(in, size);

	if (bytes)
		memcpy(&value, bytes, size < sizeof(value) ? size : sizeof(value));
	return value;
}

static bool
read_text(struct cursor *in, struct debug_value *ret)
{
	const uint8_t *end = memchr(in->at, '\0', cursor_left(in));

	ret->text = (const char *)in->at;
	if (!end) {
		cursor_fail(in);
		return false;
	}
	in->at = end + 1;
	return true;
}

static bool
read_special(struct cursor *in, struct debug_format format, uint16_t form, int64_t implicit,
	     struct debug_value *ret)
{
	if (form == DW_FORM_string)
		return read_text(in, ret);
	if (form == DW_FORM_implicit_const) {
		ret->number = (uint64_t)implicit;
		return true;
	}
	uint64_t actual = cursor_uleb128(in);
	/* Nested, they would let a byte of input cost a call each. */
	if (actual == DW_FORM_indirect || actual == DW_FORM_implicit_const || actual > UINT16_MAX)
		return false;
	return debug_value_read(in, format, (uint16_t)actual, 0, ret);
}

bool
debug_value_read(struct cursor *in, struct debug_format format, uint16_t form, int64_t implicit,
		 struct debug_value *ret)
{
	form = known_form(form);
	ret->kind = forms[form].kind;
	ret->number = form == DW_FORM_flag_present;
	switch (forms[form].shape) {
	case SHAPE_FIXED:
	case SHAPE_OFFSET:
		if (form != DW_FORM_flag_present)
			ret->number = read_number(in, fixed_size(format, form));
		return !in->failed;
	case SHAPE_ULEB:
		ret->number = cursor_uleb128(in);
		return !in->failed;
	case SHAPE_SLEB:
		ret->number = (uint64_t)cursor_sleb128(in);
		return !in->failed;
	case SHAPE_BLOCK:
		return cursor_bytes(in, forms[form].size ? read_number(in, forms[form].size)
							 : cursor_uleb128(in));
	case SHAPE_SPECIAL:
		return read_special(in, format, form, implicit, ret);
	default:
		return false;
	}
}

static enum entry_attribute
attribute_of(uint64_t name)
{
	switch (name) {
	case DW_AT_name:
		return ENTRY_NAME;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name:
		return ENTRY_LINKAGE_NAME;
	case DW_AT_low_pc:
		return ENTRY_LOW_PC;
	case DW_AT_high_pc:
		return ENTRY_HIGH_PC;
	case DW_AT_ranges:
		return ENTRY_RANGES;
	case DW_AT_abstract_origin:
		return ENTRY_ABSTRACT_ORIGIN;
	case DW_AT_specification:
		return ENTRY_SPECIFICATION;
	case DW_AT_call_file:
		return ENTRY_CALL_FILE;
	case DW_AT_call_line:
		return ENTRY_CALL_LINE;
	case DW_AT_sibling:
		return ENTRY_SIBLING;
	case DW_AT_stmt_list:
		return ENTRY_STATEMENTS;
	case DW_AT_comp_dir:
		return ENTRY_FOLDER;
	case DW_AT_str_offsets_base:
		return ENTRY_STRING_OFFSETS;
	case DW_AT_addr_base:
	case DW_AT_GNU_addr_base:
		return ENTRY_ADDRESSES;
	case DW_AT_rnglists_base:
		return ENTRY_RANGE_LISTS;
	case DW_AT_GNU_ranges_base:
		return ENTRY_RANGES_BASE;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		return ENTRY_SPLIT_NAME;
	case DW_AT_GNU_dwo_id:
		return ENTRY_SPLIT_ID;
	default:
		return ENTRY_OTHER;
	}
}

static int
add_attribute(struct abbreviations *table, const struct attribute *attribute)
{
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 256;
		struct attribute *grown = capacity > ATTRIBUTES_MAX
						  ? NULL
						  : realloc(table->attributes, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		table->attributes = grown;
		table->capacity = capacity;
	}
	table->attributes[table->count++] = *attribute;
	return 0;
}

/* A table may have no attributes at all, and a null pointer may not even be added 0 to. */
static struct attribute *
attributes_of(const struct abbreviations *table, const struct abbreviation *abbreviation)
{
	return abbreviation->count ? table->attributes + abbreviation->first : NULL;
}

static void
find_runs(struct abbreviations *table, const struct abbreviation *abbreviation)
{
	struct attribute *attributes = attributes_of(table, abbreviation);

	for (size_t i = abbreviation->count; i > 0; i--) {
		struct attribute *now = &attributes[i - 1];
		const struct attribute *next = i < abbreviation->count ? &attributes[i] : NULL;
		uint32_t size = fixed_size(table->format, known_form(now->form));

		if (size == SIZE_VARIES)
			continue;
		now->run = (uint16_t)(1 + (next ? next->run : 0));
		now->run_bytes = size + (next ? next->run_bytes : 0);
	}
}

static int
read_attributes(struct cursor *in, struct abbreviations *table, struct abbreviation *ret)
{
	ret->first = (uint32_t)table->count;
	for (;;) {
		uint64_t name = cursor_uleb128(in), form = cursor_uleb128(in);
		struct attribute attribute = {.name = (uint8_t)attribute_of(name), .form = (uint16_t)form};
		uint32_t size;
		int error;

		if (in->failed)
			return -EBADMSG;
		if (name == 0 && form == 0)
			break;
		if (form > UINT16_MAX || known_form(attribute.form) == 0)
			return -EBADMSG;
		if (form == DW_FORM_implicit_const)
			attribute.implicit = cursor_sleb128(in);
		size = fixed_size(table->format, known_form(attribute.form));
		ret->size = size == SIZE_VARIES || ret->size == SIZE_VARIES ? SIZE_VARIES : ret->size + size;
		ret->has_sibling |= attribute.name == ENTRY_SIBLING;
		ret->has_code |= attribute.name == ENTRY_LOW_PC || attribute.name == ENTRY_RANGES;
		error = table->count - ret->first < ENTRY_ATTRIBUTES_MAX ? add_attribute(table, &attribute)
									 : -EBADMSG;
		if (error)
			return error;
	}
	ret->count = (uint32_t)table->count - ret->first;
	find_runs(table, ret);
	return 0;
}

static int
make_room_for_code(struct abbreviations *table, uint64_t code)
{
	size_t limit = table->code_limit ? table->code_limit * 2 : 128;
	struct abbreviation *grown;

	if (code < table->code_limit)
		return 0;
	if (code >= CODE_MAX)
		return -EBADMSG;
	while (limit <= code)
		limit *= 2;
	grown = realloc(table->by_code, limit * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + table->code_limit, 0, (limit - table->code_limit) * sizeof(*grown));
	table->by_code = grown;
	table->code_limit = limit;
	return 0;
}

/* The attributes of one that nobody wants: compilers put a unit's own abbreviation last of hundreds. */
static bool
skip_attributes(struct cursor *in)
{
	for (;;) {
		uint64_t name = cursor_uleb128(in), form = cursor_uleb128(in);

		if (form == DW_FORM_implicit_const)
			(void)cursor_sleb128(in);
		if (in->failed || (name == 0 && form == 0))
			return !in->failed;
	}
}

/* Until the code 0 that ends a table, or the one that is wanted. */
static int
read_table(struct cursor *in, uint64_t only_code, struct abbreviations *table)
{
	for (;;) {
		uint64_t code = cursor_uleb128(in);
		struct abbreviation abbreviation = {0};
		uint64_t tag;
		int error;

		if (code == 0)
			return in->failed ? -EBADMSG : 0;
		tag = cursor_uleb128(in);
		abbreviation.tag = (uint16_t)tag;
		abbreviation.has_children = cursor_u8(in) == DW_CHILDREN_yes;
		if (in->failed || tag == 0 || tag > UINT16_MAX)
			return -EBADMSG;
		if (only_code && code != only_code) {
			if (!skip_attributes(in))
				return -EBADMSG;
			continue;
		}
		error = make_room_for_code(table, code);
		if (!error)
			error = read_attributes(in, table, &abbreviation);
		if (error)
			return error;
		table->by_code[code] = abbreviation;
		if (code == only_code)
			return 0;
	}
}

int
abbreviations_read(struct debug_sections *sections, uint64_t offset, struct debug_format format,
		   uint64_t only_code, struct abbreviations **ret)
{
	/* Its length is nowhere, and most are of a few kilobytes. */
	for (size_t size = 16 << 10;; size = TABLE_BYTES_MAX) {
		struct cursor in = debug_section_cursor(sections, DEBUG_ABBREV, offset, size);
		struct abbreviations *table = calloc(1, sizeof(*table));
		const uint8_t *start = in.at;
		int error;

		if (!table)
			return -ENOMEM;
		table->format = format;
		error = in.failed ? -EBADMSG : read_table(&in, only_code, table);
		if (!debug_sections_charge(sections, (uint64_t)(in.at - start)) && !error)
			error = -ERANGE;
		if (!error) {
			*ret = table;
			return 0;
		}
		abbreviations_free(table);
		if (!in.failed || size == TABLE_BYTES_MAX)
			return error;
	}
}

void
abbreviations_free(struct abbreviations *abbreviations)
{
	if (!abbreviations)
		return;
	free(abbreviations->by_code);
	free(abbreviations->attributes);
	free(abbreviations);
}

bool
debug_entry_read(struct cursor *in, struct debug_format format, const struct abbreviations *abbreviations,
		 const struct abbreviation *abbreviation, struct debug_entry *ret)
{
	const struct attribute *attributes = attributes_of(abbreviations, abbreviation);

	*ret = (struct debug_entry){.tag = abbreviation->tag, .has_children = abbreviation->has_children};
	for (uint32_t i = 0; i < abbreviation->count; i++) {
		struct debug_value value = {0};

		if (!debug_value_read(in, format, attributes[i].form, attributes[i].implicit, &value))
			return false;
		if (attributes[i].name != ENTRY_OTHER)
			ret->values[attributes[i].name] = value;
	}
	return true;
}

/* One of no fixed size. The common ones without a call: their value is not wanted. */
static bool
skip_value(struct cursor *in, struct debug_format format, const struct attribute *attribute)
{
	uint16_t form = known_form(attribute->form);
	struct debug_value value;

	switch (forms[form].shape) {
	case SHAPE_ULEB:
	case SHAPE_SLEB:
		(void)cursor_uleb128(in);
		return !in->failed;
	case SHAPE_BLOCK:
		return cursor_bytes(in, forms[form].size == 1   ? cursor_u8(in)
					: forms[form].size == 0 ? cursor_uleb128(in)
								: read_number(in, forms[form].size));
	default:
		return debug_value_read(in, format, attribute->form, attribute->implicit, &value);
	}
}

static bool
skip_all(struct cursor *in, struct debug_format format, const struct abbreviations *abbreviations,
	 const struct abbreviation *abbreviation)
{
	const struct attribute *attribute = attributes_of(abbreviations, abbreviation);
	const struct attribute *end = attribute + abbreviation->count;

	while (attribute < end) {
		if (!attribute->run) {
			if (!skip_value(in, format, attribute++))
				return false;
			continue;
		}
		if (!cursor_bytes(in, attribute->run_bytes))
			return false;
		attribute += attribute->run;
	}
	return true;
}

bool
debug_entry_skip(struct cursor *in, struct debug_format format, const struct abbreviations *abbreviations,
		 const struct abbreviation *abbreviation, struct debug_value *ret_sibling)
{
	const struct attribute *attributes = attributes_of(abbreviations, abbreviation);

	if (!ret_sibling)
		return abbreviation->size != SIZE_VARIES ? cursor_bytes(in, abbreviation->size) != NULL
							 : skip_all(in, format, abbreviations, abbreviation);
	for (uint32_t i = 0; i < abbreviation->count; i++) {
		struct debug_value value = {0};

		if (!debug_value_read(in, format, attributes[i].form, attributes[i].implicit, &value))
			return false;
		if (ret_sibling && attributes[i].name == ENTRY_SIBLING)
			*ret_sibling = value;
	}
	return true;
}
