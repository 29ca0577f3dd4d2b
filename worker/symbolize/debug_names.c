/* A chain of references is short in true files (inlined call, abstract function, declaration in its class),
 * and mostly leads to where one led before. */
#include "worker/symbolize/debug_names.h"

#include "worker/base/leb128.h"

#include <stdlib.h>

enum {
	REFERENCES_MAX = 8,
	ENTRY_BYTES_MAX = 4 << 10, /* that we read to find a function's name */
	KNOWN_BYTES_MAX = 32 << 20,
};

struct known_name {
	uint64_t offset;
	uint64_t is_alternate; /* key until here */
	const char *name;
};

/* An entry to look at: the attributes of one are read at a time. */
struct place {
	struct debug_file *file;
	const struct debug_unit *unit;
};

void
debug_names_init(struct debug_names *names, struct debug_file *file, struct debug_file *alternate,
		 struct arena *arena)
{
	*names = (struct debug_names){
		.file = file,
		.alternate = alternate,
		.arena = arena,
		.budget.limit = KNOWN_BYTES_MAX,
		.known = RECORD_TABLE(struct known_name, offsetof(struct known_name, name)),
	};
}

void
debug_names_destroy(struct debug_names *names)
{
	for (size_t i = 0; i < TABLES_KEPT; i++)
		abbreviations_free(names->kept[i].abbreviations);
	record_table_clear(&names->known, &names->budget);
}

static const char *
keep_text(struct debug_names *names, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = arena_allocate(names->arena, size);

	return copy ? memcpy(copy, text, size) : NULL;
}

static const struct abbreviations *
abbreviations_of(struct debug_names *names, const struct place *place)
{
	struct kept_table *kept = &names->kept[names->next_kept];

	for (size_t i = 0; i < TABLES_KEPT; i++)
		if (names->kept[i].unit == place->unit)
			return names->kept[i].abbreviations;
	abbreviations_free(kept->abbreviations);
	*kept = (struct kept_table){0};
	if (abbreviations_read(place->file->sections, place->unit->abbreviations, place->unit->format, 0,
			       &kept->abbreviations))
		return NULL;
	kept->unit = place->unit;
	names->next_kept = (names->next_kept + 1) % TABLES_KEPT;
	return kept->abbreviations;
}

static bool
read_entry(struct debug_names *names, struct place *place, uint64_t offset, struct debug_entry *ret)
{
	const struct abbreviation *abbreviation;
	const struct abbreviations *table;
	struct cursor in;
	uint64_t left;

	place->unit = debug_units_find(&place->file->units, offset);
	table = place->unit ? abbreviations_of(names, place) : NULL;
	if (!table)
		return false;
	left = place->unit->end - offset;
	in = debug_section_cursor(place->file->sections, DEBUG_INFO_ELSEWHERE, offset,
				  left < ENTRY_BYTES_MAX ? left : ENTRY_BYTES_MAX);
	abbreviation = abbreviations_find(table, cursor_uleb128(&in));
	return abbreviation && debug_sections_charge(place->file->sections, 1 + abbreviation->count) &&
	       debug_entry_read(&in, place->unit->format, table, abbreviation, ret);
}

/* Where an entry says that more about it is. */
static bool
follow(struct debug_names *names, const struct debug_entry *entry, struct place *place, uint64_t *ret)
{
	const struct debug_value *value = &entry->values[ENTRY_ABSTRACT_ORIGIN];

	if (value->kind == VALUE_NONE)
		value = &entry->values[ENTRY_SPECIFICATION];
	if (value->kind != VALUE_ALTERNATE_REFERENCE)
		return debug_unit_reference(place->unit, value, ret);
	if (!names->alternate->sections)
		return false;
	place->file = names->alternate;
	*ret = value->number;
	return true;
}

static const char *
text_of(struct debug_names *names, const struct place *place, const struct debug_value *value)
{
	const char *text = debug_unit_text(place->file->sections, place->unit, value);

	return text && text[0] ? keep_text(names, text) : NULL;
}

static const char *
search(struct debug_names *names, struct place place, uint64_t offset)
{
	const char *plain = NULL, *linkage;
	struct debug_entry entry;

	for (unsigned i = 0; i < REFERENCES_MAX; i++) {
		if (!read_entry(names, &place, offset, &entry))
			break;
		linkage = text_of(names, &place, &entry.values[ENTRY_LINKAGE_NAME]);
		if (linkage)
			return linkage;
		if (!plain)
			plain = text_of(names, &place, &entry.values[ENTRY_NAME]);
		if (!follow(names, &entry, &place, &offset))
			break;
	}
	return plain;
}

const char *
debug_names_of(struct debug_names *names, const struct debug_unit *unit, const struct debug_entry *entry)
{
	struct place place = {names->file, unit};
	const char *name = text_of(names, &place, &entry->values[ENTRY_LINKAGE_NAME]);
	struct known_name known = {0};
	uint32_t number;

	if (name)
		return name;
	if (!follow(names, entry, &place, &known.offset))
		return text_of(names, &place, &entry->values[ENTRY_NAME]);
	known.is_alternate = place.file == names->alternate;
	number = record_table_find(&names->known, &known);
	if (number != HASH_INDEX_NONE)
		return ((const struct known_name *)record_table_at(&names->known, number))->name;
	known.name = search(names, place, known.offset);
	if (!known.name) {
		place = (struct place){names->file, unit};
		known.name = text_of(names, &place, &entry->values[ENTRY_NAME]);
	}
	(void)record_table_put(&names->known, &names->budget, &known, &number); /* only slower without */
	return known.name;
}
