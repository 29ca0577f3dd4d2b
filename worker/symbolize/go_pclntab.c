/* Layouts after debug/gosym/pclntab.go and runtime/symtab.go of Go. Offsets are checked when they are
 * followed; what lies outside of the section names nothing.
 *
 *   header    magic, 0, 0, minimal instruction, pointer size, then words; the last five are offsets
 *   functab   { where a function begins, offset of its description } sorted, one more entry for the end
 *   _func     where it begins again, offset of its name, ...
 */
#include "worker/symbolize/go_pclntab.h"

#include "worker/base/cursor.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <stdlib.h>

enum {
	TABLE_BYTES_MAX = 256 << 20, /* kubelet has 25 MB */
	MODULE_BYTES_MAX = 4096,
	RELOCATIONS_MAX = 64 << 20,
	POINTER_SIZE = 8,
	WORDS_AT = 8,          /* in the header */
	TEXT_START_WORD = 2,   /* of the header's words, Go 1.18 to 1.25 */
	MODULE_TEXT_WORD = 22, /* of runtime.moduledata, which Go 1.26 gave a section of its own */
};

struct layout {
	uint32_t magic;
	bool has_offsets;                   /* in the header; else everything counts from its start */
	bool is_relative;                   /* functab: 32 bits from the start of the code; else addresses */
	uint8_t names_word, functions_word; /* which of the header's words hold these offsets */
};

static const struct layout layouts[] = {
	{0xfffffffb, false, false, 0, 0}, /* Go 1.2 */
	{0xfffffffa, true, false, 2, 6},  /* 1.16 */
	{0xfffffff0, true, true, 3, 7},   /* 1.18 */
	{0xfffffff1, true, true, 3, 7},   /* 1.20 */
};

struct go_pclntab {
	struct elf_bytes bytes;
	const struct layout *layout;
	uint64_t text_start;
	uint64_t names, functions; /* offsets of funcnametab, and of functab and what it counts from */
	uint64_t functab;
	uint64_t count;
};

/* ---- reading ---- */

/* `size` is 4 or 8; 0 outside. */
static uint64_t
number_at(const struct elf_bytes *bytes, uint64_t offset, unsigned size)
{
	if (offset > bytes->size || size > bytes->size - offset)
		return 0;
	struct cursor cursor = cursor_over((const uint8_t *)bytes->bytes + offset, size);
	return size == 4 ? cursor_u32(&cursor) : cursor_u64(&cursor);
}

static uint64_t
header_word(const struct elf_bytes *bytes, unsigned word)
{
	return number_at(bytes, WORDS_AT + (uint64_t)word * POINTER_SIZE, POINTER_SIZE);
}

/* ---- where the code begins ---- */

/* What the loader will store there, for a program that may be loaded anywhere. */
static uint64_t
relocated_word(struct elf_source *source, uint64_t address)
{
	static const char *const sections[] = {".rela", ".rela.dyn"};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct elf_bytes bytes;

		if (elf_source_section(source, sections[i], RELOCATIONS_MAX, &bytes) != 0)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= bytes.size; at += sizeof(Elf64_Rela))
			if (number_at(&bytes, at, 8) == address)
				return number_at(&bytes, at + offsetof(Elf64_Rela, r_addend), 8);
	}
	return 0;
}

/* A word of a section, as the running program sees it; 0: unknown. */
static uint64_t
loaded_word(struct elf_source *source, const char *section, size_t size_max, uint64_t offset)
{
	struct elf_bytes bytes;
	uint64_t address;

	if (elf_source_section(source, section, size_max, &bytes) != 0 ||
	    !elf_source_section_address(source, section, &address))
		return 0;
	uint64_t word = number_at(&bytes, offset, POINTER_SIZE);
	return word ? word : relocated_word(source, address + offset);
}

static uint64_t
find_text_start(struct elf_source *source, const char *section)
{
	uint64_t start = loaded_word(source, section, TABLE_BYTES_MAX,
				     WORDS_AT + (uint64_t)TEXT_START_WORD * POINTER_SIZE);

	return start ? start
		     : loaded_word(source, ".go.module", MODULE_BYTES_MAX,
				   (uint64_t)MODULE_TEXT_WORD * POINTER_SIZE);
}

/* ---- opening ---- */

static const struct layout *
layout_of(const struct elf_bytes *bytes)
{
	uint32_t magic = (uint32_t)number_at(bytes, 0, 4);

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].magic == magic && bytes->size > WORDS_AT &&
		    ((const uint8_t *)bytes->bytes)[7] == POINTER_SIZE)
			return &layouts[i];
	return NULL;
}

static unsigned
entry_size(const struct go_pclntab *table)
{
	return table->layout->is_relative ? 8 : 16;
}

static int
read_header(struct go_pclntab *table, struct elf_source *source, const char *section)
{
	const struct elf_bytes *bytes = &table->bytes;

	table->layout = layout_of(bytes);
	if (!table->layout)
		return -EBADMSG;
	table->count = header_word(bytes, 0);
	if (table->layout->has_offsets) {
		table->names = header_word(bytes, table->layout->names_word);
		table->functions = table->functab = header_word(bytes, table->layout->functions_word);
	} else {
		table->functab = WORDS_AT + POINTER_SIZE;
	}
	if (table->functab >= bytes->size || table->names >= bytes->size || table->count == 0 ||
	    table->count >= (bytes->size - table->functab) / entry_size(table))
		return -EBADMSG;
	if (table->layout->is_relative)
		table->text_start = find_text_start(source, section);
	return table->layout->is_relative && table->text_start == 0 ? -ENOENT : 0;
}

int
go_pclntab_open(struct elf_source *source, struct go_pclntab **ret)
{
	static const char *const sections[] = {".gopclntab", ".data.rel.ro.gopclntab"};
	int error = -ENOENT;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct go_pclntab table = {0};

		error = elf_source_section(source, sections[i], TABLE_BYTES_MAX, &table.bytes);
		if (error == -ENOENT)
			continue;
		if (!error)
			error = read_header(&table, source, sections[i]);
		if (error)
			return error;
		*ret = malloc(sizeof(table));
		if (!*ret)
			return -ENOMEM;
		**ret = table;
		return 0;
	}
	return error;
}

void
go_pclntab_close(struct go_pclntab *table)
{
	free(table);
}

/* ---- looking up ---- */

/* Where function `number` begins; of the one after the last: where the code ends. */
static uint64_t
start_of(const struct go_pclntab *table, uint64_t number)
{
	unsigned size = entry_size(table);
	uint64_t start = number_at(&table->bytes, table->functab + number * size, size / 2);

	return table->layout->is_relative ? table->text_start + start : start;
}

static const char *
name_of(const struct go_pclntab *table, uint64_t number)
{
	unsigned size = entry_size(table);
	uint64_t offset = number_at(&table->bytes, table->functab + number * size + size / 2, size / 2);
	/* after the function's own start; from the header on, offsets of 32 bits cannot overflow */
	uint64_t described = table->functions + (offset < table->bytes.size ? offset : table->bytes.size);
	uint64_t name = table->names + number_at(&table->bytes, described + size / 2, 4);

	if (described >= table->bytes.size || name >= table->bytes.size)
		return NULL;
	const char *text = (const char *)table->bytes.bytes + name;
	size_t left = table->bytes.size - name;
	size_t most = left < SYMBOL_NAME_MAX ? left : SYMBOL_NAME_MAX;
	return text[0] && memchr(text, 0, most) ? text : NULL;
}

const char *
go_pclntab_find(const struct go_pclntab *table, uint64_t address)
{
	uint64_t low = 0, high = table->count;

	if (address < start_of(table, 0) || address >= start_of(table, table->count))
		return NULL;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (address < start_of(table, middle))
			high = middle;
		else
			low = middle;
	}
	return name_of(table, low);
}
