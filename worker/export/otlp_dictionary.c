/* On the tables that profiles are collected in; what has a varying number of parts is kept as words. */

#include "worker/export/otlp_dictionary.h"

#include "ipc/text.h"
#include "worker/export/otlp_messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct attribute_record {
	uint32_t key, unit;      /* string numbers */
	uint32_t value, is_text; /* a number of `values`, if it is text */
	int64_t number;
};

#define LOCATION_HEAD_WORDS 2 /* mapping, address */
#define LINE_WORDS 3          /* function, line, column */

static void
fail(struct dictionary *d, int error)
{
	if (!d->error)
		d->error = error;
}

static uint32_t
put_record(struct dictionary *d, struct record_table *table, const void *record)
{
	uint32_t number = 0;

	if (!d->error)
		fail(d, record_table_put(table, &d->budget, record, &number));
	return d->error ? 0 : number;
}

static uint32_t
put_printable(struct dictionary *d, struct string_table *table, const char *text)
{
	uint32_t number = 0;

	if (!d->error)
		fail(d, string_table_put(table, &d->budget, text, &number));
	return d->error ? 0 : number;
}

/* Receivers drop a whole message for one string that is not UTF-8. */
static uint32_t
put_string(struct dictionary *d, struct string_table *table, const char *text)
{
	size_t length = strlen(text);

	if (text_is_printable(text, length))
		return put_printable(d, table, text);
	char *escaped = malloc(length * TEXT_ESCAPE_MAX + 1);
	if (!escaped) {
		fail(d, -ENOMEM);
		return 0;
	}
	text_escape(escaped, length * TEXT_ESCAPE_MAX + 1, text, length);
	uint32_t number = put_printable(d, table, escaped);
	free(escaped);
	return number;
}

/* NULL: failed. */
static uint64_t *
begin_words(struct dictionary *d, struct stack_table *table, size_t count)
{
	int error = 0;
	uint64_t *words = d->error ? NULL : stack_table_begin(table, &d->budget, count, &error);

	fail(d, error);
	return words;
}

static uint32_t
put_words(struct dictionary *d, struct stack_table *table, size_t count)
{
	uint32_t number = 0;

	fail(d, stack_table_put(table, &d->budget, count, &number));
	return d->error ? 0 : number;
}

void
dictionary_init(struct dictionary *dictionary, size_t memory_limit_bytes)
{
	static const struct dictionary_function no_function;
	static const struct dictionary_mapping no_mapping;
	static const struct attribute_record no_attribute;

	*dictionary = (struct dictionary){
		.budget.limit = memory_limit_bytes,
		.functions = RECORD_TABLE(struct dictionary_function, sizeof(struct dictionary_function)),
		.mappings = RECORD_TABLE(struct dictionary_mapping, sizeof(struct dictionary_mapping)),
		.attributes = RECORD_TABLE(struct attribute_record, sizeof(struct attribute_record)),
	};
	(void)dictionary_string(dictionary, "");
	(void)put_record(dictionary, &dictionary->functions, &no_function);
	(void)put_record(dictionary, &dictionary->mappings, &no_mapping);
	(void)put_record(dictionary, &dictionary->attributes, &no_attribute);
	(void)dictionary_location(dictionary, 0, 0, NULL, 0);
	(void)dictionary_stack(dictionary, NULL, 0);
	(void)dictionary_list(dictionary, NULL, 0);
}

void
dictionary_destroy(struct dictionary *dictionary)
{
	string_table_clear(&dictionary->strings, &dictionary->budget);
	string_table_clear(&dictionary->values, &dictionary->budget);
	record_table_clear(&dictionary->functions, &dictionary->budget);
	record_table_clear(&dictionary->mappings, &dictionary->budget);
	record_table_clear(&dictionary->attributes, &dictionary->budget);
	stack_table_clear(&dictionary->locations, &dictionary->budget);
	stack_table_clear(&dictionary->stacks, &dictionary->budget);
	stack_table_clear(&dictionary->lists, &dictionary->budget);
}

uint32_t
dictionary_string(struct dictionary *dictionary, const char *text)
{
	return put_string(dictionary, &dictionary->strings, text);
}

uint32_t
dictionary_function(struct dictionary *dictionary, const struct dictionary_function *function)
{
	return put_record(dictionary, &dictionary->functions, function);
}

uint32_t
dictionary_mapping(struct dictionary *dictionary, const struct dictionary_mapping *mapping)
{
	return put_record(dictionary, &dictionary->mappings, mapping);
}

uint32_t
dictionary_text_attribute(struct dictionary *dictionary, const char *key, const char *value)
{
	const struct attribute_record record = {
		.key = dictionary_string(dictionary, key),
		.value = put_string(dictionary, &dictionary->values, value),
		.is_text = 1,
	};

	return put_record(dictionary, &dictionary->attributes, &record);
}

uint32_t
dictionary_number_attribute(struct dictionary *dictionary, const char *key, int64_t value, const char *unit)
{
	const struct attribute_record record = {
		.key = dictionary_string(dictionary, key),
		.unit = dictionary_string(dictionary, unit),
		.number = value,
	};

	return put_record(dictionary, &dictionary->attributes, &record);
}

uint32_t
dictionary_attribute_key(const struct dictionary *dictionary, uint32_t attribute)
{
	const struct attribute_record *record = record_table_at(&dictionary->attributes, attribute);

	return record->key;
}

uint32_t
dictionary_location(struct dictionary *dictionary, uint32_t mapping, uint64_t address,
		    const struct dictionary_line *lines, size_t line_count)
{
	size_t count = LOCATION_HEAD_WORDS + line_count * LINE_WORDS;
	uint64_t *words = begin_words(dictionary, &dictionary->locations, count);

	if (!words)
		return 0;
	*words++ = mapping;
	*words++ = address;
	for (size_t i = 0; i < line_count; i++) {
		*words++ = lines[i].function;
		*words++ = (uint64_t)lines[i].line;
		*words++ = (uint64_t)lines[i].column;
	}
	return put_words(dictionary, &dictionary->locations, count);
}

static uint32_t
put_numbers(struct dictionary *d, struct stack_table *table, const uint32_t *numbers, size_t count)
{
	uint64_t *words = begin_words(d, table, count);

	if (!words)
		return 0;
	for (size_t i = 0; i < count; i++)
		words[i] = numbers[i];
	return put_words(d, table, count);
}

uint32_t
dictionary_stack(struct dictionary *dictionary, const uint32_t *locations, size_t count)
{
	return put_numbers(dictionary, &dictionary->stacks, locations, count);
}

uint32_t
dictionary_list(struct dictionary *dictionary, const uint32_t *attributes, size_t count)
{
	return put_numbers(dictionary, &dictionary->lists, attributes, count);
}

/* ---- out ---- */

static int32_t *
numbers_at(const struct stack_table *table, uint32_t number, struct arena *arena, size_t *ret_count)
{
	const struct stack_record *record = &table->records[number];
	int32_t *numbers = arena_allocate_array(arena, record->depth + 1, sizeof(*numbers));

	*ret_count = numbers ? record->depth : 0;
	for (size_t i = 0; i < *ret_count; i++)
		numbers[i] = (int32_t)table->frames[record->start + i];
	return numbers;
}

int32_t *
dictionary_list_at(struct dictionary *dictionary, uint32_t list, struct arena *arena, size_t *ret_count)
{
	return numbers_at(&dictionary->lists, list, arena, ret_count);
}

static Otlp__Function **
functions_message(const struct dictionary *d, struct arena *arena)
{
	Otlp__Function **list = NEW_MESSAGES(arena, Otlp__Function, OTLP__FUNCTION__INIT, d->functions.count);

	for (uint32_t i = 0; list && i < d->functions.count; i++) {
		const struct dictionary_function *from = record_table_at(&d->functions, i);

		list[i]->name_strindex = (int32_t)from->name;
		list[i]->system_name_strindex = (int32_t)from->system_name;
		list[i]->filename_strindex = (int32_t)from->filename;
		list[i]->start_line = from->start_line;
	}
	return list;
}

static Otlp__Mapping **
mappings_message(const struct dictionary *d, struct arena *arena)
{
	Otlp__Mapping **list = NEW_MESSAGES(arena, Otlp__Mapping, OTLP__MAPPING__INIT, d->mappings.count);

	for (uint32_t i = 0; list && i < d->mappings.count; i++) {
		const struct dictionary_mapping *from = record_table_at(&d->mappings, i);

		list[i]->memory_start = from->memory_start;
		list[i]->memory_limit = from->memory_limit;
		list[i]->file_offset = from->file_offset;
		list[i]->filename_strindex = (int32_t)from->filename;
		if (from->attribute == 0)
			continue;
		list[i]->attribute_indices = arena_allocate(arena, sizeof(int32_t));
		if (!list[i]->attribute_indices)
			return NULL;
		list[i]->attribute_indices[0] = (int32_t)from->attribute;
		list[i]->n_attribute_indices = 1;
	}
	return list;
}

static Otlp__KeyValueAndUnit **
attributes_message(const struct dictionary *d, struct arena *arena)
{
	Otlp__KeyValueAndUnit **list = NEW_MESSAGES(arena, Otlp__KeyValueAndUnit,
						    OTLP__KEY_VALUE_AND_UNIT__INIT, d->attributes.count);
	Otlp__AnyValue **values =
		NEW_MESSAGES(arena, Otlp__AnyValue, OTLP__ANY_VALUE__INIT, d->attributes.count);

	for (uint32_t i = 1; list && values && i < d->attributes.count; i++) {
		const struct attribute_record *from = record_table_at(&d->attributes, i);

		list[i]->key_strindex = (int32_t)from->key;
		list[i]->unit_strindex = (int32_t)from->unit;
		list[i]->value = values[i];
		if (from->is_text) {
			values[i]->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
			values[i]->string_value = (char *)(uintptr_t)string_table_at(&d->values, from->value);
		} else {
			values[i]->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
			values[i]->int_value = from->number;
		}
	}
	return values ? list : NULL;
}

static bool
fill_location(const struct dictionary *d, uint32_t number, struct arena *arena, Otlp__Location *ret)
{
	const struct stack_record *record = &d->locations.records[number];
	const uint64_t *words = &d->locations.frames[record->start];
	size_t line_count = (record->depth - LOCATION_HEAD_WORDS) / LINE_WORDS;

	ret->mapping_index = (int32_t)words[0];
	ret->address = words[1];
	ret->lines = NEW_MESSAGES(arena, Otlp__Line, OTLP__LINE__INIT, line_count);
	if (!ret->lines)
		return false;
	ret->n_lines = line_count;
	words += LOCATION_HEAD_WORDS;
	for (size_t i = 0; i < line_count; i++, words += LINE_WORDS) {
		ret->lines[i]->function_index = (int32_t)words[0];
		ret->lines[i]->line = (int64_t)words[1];
		ret->lines[i]->column = (int64_t)words[2];
	}
	return true;
}

static Otlp__Location **
locations_message(const struct dictionary *d, struct arena *arena)
{
	Otlp__Location **list = NEW_MESSAGES(arena, Otlp__Location, OTLP__LOCATION__INIT, d->locations.count);

	for (uint32_t i = 0; list && i < d->locations.count; i++)
		if (!fill_location(d, i, arena, list[i]))
			return NULL;
	return list;
}

static Otlp__Stack **
stacks_message(const struct dictionary *d, struct arena *arena)
{
	Otlp__Stack **list = NEW_MESSAGES(arena, Otlp__Stack, OTLP__STACK__INIT, d->stacks.count);

	for (uint32_t i = 0; list && i < d->stacks.count; i++) {
		list[i]->location_indices = numbers_at(&d->stacks, i, arena, &list[i]->n_location_indices);
		if (!list[i]->location_indices)
			return NULL;
	}
	return list;
}

static char **
strings_message(const struct dictionary *d, struct arena *arena)
{
	char **list = arena_allocate_array(arena, d->strings.count, sizeof(*list));

	for (uint32_t i = 0; list && i < d->strings.count; i++)
		list[i] = (char *)(uintptr_t)string_table_at(&d->strings, i);
	return list;
}

Otlp__ProfilesDictionary *
dictionary_message(struct dictionary *dictionary, struct arena *arena)
{
	const struct dictionary *d = dictionary;
	Otlp__ProfilesDictionary **made =
		NEW_MESSAGES(arena, Otlp__ProfilesDictionary, OTLP__PROFILES_DICTIONARY__INIT, 1);
	Otlp__ProfilesDictionary *message = made ? made[0] : NULL;

	if (!message || d->error)
		return NULL;
	message->mapping_table = mappings_message(d, arena);
	message->n_mapping_table = d->mappings.count;
	message->location_table = locations_message(d, arena);
	message->n_location_table = d->locations.count;
	message->function_table = functions_message(d, arena);
	message->n_function_table = d->functions.count;
	message->link_table = NEW_MESSAGES(arena, Otlp__Link, OTLP__LINK__INIT, 1);
	message->n_link_table = 1;
	message->string_table = strings_message(d, arena);
	message->n_string_table = d->strings.count;
	message->attribute_table = attributes_message(d, arena);
	message->n_attribute_table = d->attributes.count;
	message->stack_table = stacks_message(d, arena);
	message->n_stack_table = d->stacks.count;
	bool is_complete = message->mapping_table && message->location_table && message->function_table &&
			   message->link_table && message->string_table && message->attribute_table &&
			   message->stack_table;
	return is_complete ? message : NULL;
}
