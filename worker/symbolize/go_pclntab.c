/* Offsets are checked when they are followed; what lies outside of the section names nothing.
 *
 *   header    magic, 0, 0, minimal instruction, pointer size, then words; the last five are offsets
 *   functab   { where a function begins, offset of its description } sorted, one more entry for the end
 *   _func     where it begins again, offset of its name, ...
 *
 * The index is read as a whole, as it is searched all over; everything else through windows. */
#include "worker/symbolize/go_pclntab.h"

#include "worker/symbolize/go_table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

enum {
	FUNCTIONS_MAX = 4 << 20, /* kubelet has 100,000 */
	TEXT_BYTES_MAX = 32 << 20,
	MODULE_DATA_MAX = 64 << 20, /* of .noptrdata, of relocations: searched */
	POINTER_SIZE = 8,
	WORDS_AT = 8,          /* in the header */
	TEXT_START_WORD = 2,   /* of the header's words, Go 1.18 to 1.25 */
	MODULE_TEXT_WORD = 22, /* of runtime.moduledata */
};

static const struct go_layout layouts[] = {
	{.magic = 0xfffffffb}, /* Go 1.2 */
	{.magic = 0xfffffffa,  /* 1.16: its inline trees are at absolute addresses, and of two kinds */
	 .has_offsets = true,
	 .names_word = 2,
	 .units_word = 3,
	 .files_word = 4,
	 .values_word = 5,
	 .functions_word = 6,
	 .function_size = 44},
	{.magic = 0xfffffff0, /* 1.18 */
	 .has_offsets = true,
	 .is_relative = true,
	 .names_word = 3,
	 .units_word = 4,
	 .files_word = 5,
	 .values_word = 6,
	 .functions_word = 7,
	 .function_size = 40,
	 .inlined_size = 20,
	 .inlined_name = 12,
	 .inlined_place = 16,
	 .module_inlined = 38},
	{.magic = 0xfffffff1, /* 1.20 */
	 .has_offsets = true,
	 .is_relative = true,
	 .names_word = 3,
	 .units_word = 4,
	 .files_word = 5,
	 .values_word = 6,
	 .functions_word = 7,
	 .function_size = 44,
	 .inlined_size = 16,
	 .inlined_name = 4,
	 .inlined_place = 8,
	 .module_inlined = 40},
};

/* ---- numbers ---- */

/* `size` is 4 or 8; 0 outside. */
static uint64_t
read_number(struct cursor in, unsigned size)
{
	return size == 4 ? cursor_u32(&in) : cursor_u64(&in);
}

/* Of a whole section. */
static uint64_t
number_at(const struct elf_bytes *bytes, uint64_t offset)
{
	if (offset > bytes->size)
		return 0;
	return read_number(cursor_over((const uint8_t *)bytes->bytes + offset, bytes->size - offset), 8);
}

static uint64_t
header_word(struct go_pclntab *table, unsigned word)
{
	return read_number(section_window_cursor(&table->windows[GO_FUNCTIONS],
						 WORDS_AT + (uint64_t)word * POINTER_SIZE, POINTER_SIZE),
			   8);
}

/* ---- where the code begins, and inline trees: runtime.moduledata ---- */

static const char *const relocations[] = {".rela", ".rela.dyn"};

/* A relocation of the program if it may be loaded anywhere: the first one for this address, or (address 0)
 * with this value at an address inside of a region. 0 is the answer that there is none. */
static uint64_t
find_relocation(struct elf_source *source, uint64_t address, uint64_t value, const struct elf_region *inside)
{
	for (size_t i = 0; i < sizeof(relocations) / sizeof(relocations[0]); i++) {
		struct elf_bytes bytes;

		if (elf_source_section(source, relocations[i], MODULE_DATA_MAX, &bytes) != 0)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= bytes.size; at += sizeof(Elf64_Rela)) {
			uint64_t place = number_at(&bytes, at);
			uint64_t stored = number_at(&bytes, at + offsetof(Elf64_Rela, r_addend));

			if (address && place == address)
				return stored;
			if (!address && stored == value && place >= inside->address &&
			    place - inside->address < inside->size)
				return place;
		}
	}
	return 0;
}

/* A word as the running program sees it; 0: unknown. */
static uint64_t
loaded_word(struct elf_source *source, uint64_t address)
{
	struct elf_region region;
	uint64_t word = 0;

	if (!elf_source_region_at(source, address, &region) || address % POINTER_SIZE != 0 ||
	    !elf_source_read(source, region.offset + (address - region.address), &word, sizeof(word)))
		return 0;
	return word ? word : find_relocation(source, address, 0, NULL);
}

/* Its first word points to our table. Go 1.26 gave it a section of its own; before that it is somewhere in
 * another one. 0: unknown. */
static uint64_t
find_module(struct elf_source *source, uint64_t table_address)
{
	struct elf_region region;
	struct elf_bytes bytes;

	if (elf_source_region(source, ".go.module", &region) == 0)
		return region.address;
	if (elf_source_region(source, ".noptrdata", &region) != 0 || region.address % POINTER_SIZE != 0 ||
	    elf_source_section(source, ".noptrdata", MODULE_DATA_MAX, &bytes) != 0)
		return 0;
	for (uint64_t at = 0; at + POINTER_SIZE <= bytes.size; at += POINTER_SIZE)
		if (number_at(&bytes, at) == table_address)
			return region.address + at;
	return find_relocation(source, 0, table_address, &region);
}

static uint64_t
module_word(struct elf_source *source, uint64_t module, unsigned word)
{
	return module ? loaded_word(source, module + (uint64_t)word * POINTER_SIZE) : 0;
}

/* The module's data is believed when it knows where the code begins. */
static void
find_inlined(struct go_pclntab *table, struct elf_source *source, uint64_t module)
{
	struct section_window *window = &table->windows[GO_INLINED];
	uint64_t address;

	window->region.size = 0;
	if (!table->layout->inlined_size ||
	    module_word(source, module, MODULE_TEXT_WORD) != table->text_start)
		return;
	address = module_word(source, module, table->layout->module_inlined);
	if (address && elf_source_region_at(source, address, &window->region))
		table->inlined = address - window->region.address;
}

static int
find_code(struct go_pclntab *table, struct elf_source *source)
{
	uint64_t module = 0;

	if (!table->layout->is_relative)
		return 0;
	table->text_start = loaded_word(source, table->region.address + WORDS_AT +
							(uint64_t)TEXT_START_WORD * POINTER_SIZE);
	module = find_module(source, table->region.address);
	if (!table->text_start)
		table->text_start = module_word(source, module, MODULE_TEXT_WORD);
	find_inlined(table, source, module);
	return table->text_start ? 0 : -ENOENT;
}

/* ---- opening ---- */

static const struct go_layout *
layout_of(struct go_pclntab *table)
{
	struct cursor in = section_window_cursor(&table->windows[GO_FUNCTIONS], 0, WORDS_AT);
	uint32_t magic = cursor_u32(&in);
	const uint8_t *rest = cursor_bytes(&in, 4);

	if (!rest || rest[3] != POINTER_SIZE)
		return NULL;
	table->quantum = rest[2];
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].magic == magic)
			return &layouts[i];
	return NULL;
}

static unsigned
entry_size(const struct go_pclntab *table)
{
	return table->layout->is_relative ? 8 : 16;
}

static int
read_index(struct go_pclntab *table, struct elf_source *source)
{
	uint64_t size = table->region.size, needed = table->count * entry_size(table) + entry_size(table) / 2;

	if (table->functab >= size || table->count == 0 || table->count > FUNCTIONS_MAX ||
	    needed > size - table->functab)
		return -EBADMSG;
	table->index = malloc(needed);
	if (!table->index)
		return -ENOMEM;
	return elf_source_read(source, table->region.offset + table->functab, table->index, needed)
		       ? 0
		       : -EBADMSG;
}

static int
read_header(struct go_pclntab *table, struct elf_source *source)
{
	const struct go_layout *layout = table->layout = layout_of(table);

	if (!layout)
		return -EBADMSG;
	table->count = header_word(table, 0);
	if (layout->has_offsets) {
		table->names = header_word(table, layout->names_word);
		table->units = header_word(table, layout->units_word);
		table->files = header_word(table, layout->files_word);
		table->values = header_word(table, layout->values_word);
		table->functions = table->functab = header_word(table, layout->functions_word);
	} else {
		table->functab = WORDS_AT + POINTER_SIZE;
	}
	/* What is inside of the section cannot overflow by adding 32 bits. */
	if (table->names >= table->region.size || table->units > table->region.size ||
	    table->files > table->region.size || table->values > table->region.size)
		return -EBADMSG;
	int error = read_index(table, source);
	return error ? error : find_code(table, source);
}

static int
open_region(struct elf_source *source, const struct elf_region *region, struct go_pclntab **ret)
{
	struct go_pclntab *table = calloc(1, sizeof(*table));
	int error;

	if (!table)
		return -ENOMEM;
	table->region = *region;
	table->arena.limit = table->budget.limit = TEXT_BYTES_MAX;
	table->texts = RECORD_TABLE(struct go_text, offsetof(struct go_text, text));
	for (size_t i = 0; i < GO_WINDOWS; i++) {
		table->windows[i].source = source;
		table->windows[i].region = *region;
	}
	error = read_header(table, source);
	if (error) {
		go_pclntab_close(table);
		return error;
	}
	*ret = table;
	return 0;
}

int
go_pclntab_open(struct elf_source *source, struct go_pclntab **ret)
{
	static const char *const sections[] = {".gopclntab", ".data.rel.ro.gopclntab"};
	int error = -ENOENT;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && error == -ENOENT; i++) {
		struct elf_region region;

		error = elf_source_region(source, sections[i], &region);
		if (!error)
			return open_region(source, &region, ret);
	}
	return error;
}

void
go_pclntab_close(struct go_pclntab *table)
{
	if (!table)
		return;
	record_table_clear(&table->texts, &table->budget);
	arena_destroy(&table->arena);
	free(table->index);
	free(table);
}

/* ---- looking up ---- */

/* Where function `number` begins; of the one after the last: where the code ends. */
static uint64_t
start_of(const struct go_pclntab *table, uint64_t number)
{
	unsigned size = entry_size(table);
	uint64_t start = read_number(cursor_over(table->index + number * size, size / 2), size / 2);

	return table->layout->is_relative ? table->text_start + start : start;
}

const char *
go_pclntab_text(struct go_pclntab *table, enum go_window window, uint64_t offset)
{
	struct go_text known = {.offset = offset};
	uint32_t number = record_table_find(&table->texts, &offset);
	const char *text;

	if (number != HASH_INDEX_NONE)
		return ((const struct go_text *)record_table_at(&table->texts, number))->text;
	text = section_window_text(&table->windows[window], offset);
	if (text && text[0]) {
		size_t size = strlen(text) + 1;
		char *copy = arena_allocate(&table->arena, size);

		known.text = copy ? memcpy(copy, text, size) : NULL;
	}
	(void)record_table_put(&table->texts, &table->budget, &known, &number); /* only slower without */
	return known.text;
}

static void
describe_function(struct go_pclntab *table, uint64_t number, struct go_function *ret)
{
	unsigned size = entry_size(table);
	uint64_t offset =
		read_number(cursor_over(table->index + number * size + size / 2, size / 2), size / 2);
	struct cursor in;

	if (offset >= table->region.size)
		offset = table->region.size;
	*ret = (struct go_function){.start = start_of(table, number), .described = table->functions + offset};
	/* after the function's own start */
	in = section_window_cursor(&table->windows[GO_FUNCTIONS], ret->described + size / 2, 4);
	uint64_t name = cursor_u32(&in);
	if (!in.failed)
		ret->name = go_pclntab_text(table, GO_NAMES, table->names + name);
}

bool
go_pclntab_function(struct go_pclntab *table, uint64_t address, struct go_function *ret)
{
	uint64_t low = 0, high = table->count;

	if (address < start_of(table, 0) || address >= start_of(table, table->count))
		return false;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (address < start_of(table, middle))
			high = middle;
		else
			low = middle;
	}
	describe_function(table, low, ret);
	return true;
}

const char *
go_pclntab_find(struct go_pclntab *table, uint64_t address)
{
	struct go_function function;

	return go_pclntab_function(table, address, &function) ? function.name : NULL;
}
