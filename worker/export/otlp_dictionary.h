#pragma once
/* The tables of OTLP's ProfilesDictionary while they fill: each entry once, in order of arrival, entry 0 the
 * empty one. A failure is remembered; every number is 0 from then on. */

#include "worker/profile/arena.h"
#include "worker/profile/record_table.h"
#include "worker/profile/stack_table.h"
#include "worker/profile/string_table.h"

#include <otlp.pb-c.h>

struct dictionary {
	int error; /* 0, -ENOMEM, -ENOSPC (over the budget) */
	struct budget budget;
	struct string_table strings;
	struct string_table values; /* of attributes: these are written out, not referred to */
	struct record_table functions, mappings, attributes;
	struct stack_table locations; /* their fields as words: see dictionary_location */
	struct stack_table stacks;
	struct stack_table lists; /* of attributes; not a table of OTLP's */
};

/* Entry 0 of every table is there afterwards. */
void dictionary_init(struct dictionary *dictionary, size_t memory_limit_bytes);
void dictionary_destroy(struct dictionary *dictionary);

uint32_t dictionary_string(struct dictionary *dictionary, const char *text);

struct dictionary_function {
	uint32_t name, system_name, filename, zero; /* string numbers; no padding in a key */
	int64_t start_line;
};
uint32_t dictionary_function(struct dictionary *dictionary, const struct dictionary_function *function);

struct dictionary_mapping {
	uint64_t memory_start, memory_limit, file_offset;
	uint32_t filename;  /* string number */
	uint32_t attribute; /* 0: none */
};
uint32_t dictionary_mapping(struct dictionary *dictionary, const struct dictionary_mapping *mapping);

/* `unit`: "" for none. */
uint32_t dictionary_text_attribute(struct dictionary *dictionary, const char *key, const char *value);
uint32_t dictionary_number_attribute(struct dictionary *dictionary, const char *key, int64_t value,
				     const char *unit);
uint32_t dictionary_attribute_key(const struct dictionary *dictionary,
				  uint32_t attribute); /* string number */

struct dictionary_line {
	uint64_t function; /* number */
	int64_t line, column;
};
uint32_t dictionary_location(struct dictionary *dictionary, uint32_t mapping, uint64_t address,
			     const struct dictionary_line *lines, size_t line_count);

/* Numbers of locations, leaf first; and of attributes, in the order in which they are to appear. */
uint32_t dictionary_stack(struct dictionary *dictionary, const uint32_t *locations, size_t count);
uint32_t dictionary_list(struct dictionary *dictionary, const uint32_t *attributes, size_t count);

/* A list again, as a message has it; lives in the arena. NULL with *ret_count 0: empty, or out of memory (see
 * `error`). */
int32_t *dictionary_list_at(struct dictionary *dictionary, uint32_t list, struct arena *arena,
			    size_t *ret_count);

/* All tables as a message that lives in the arena; strings borrow from the dictionary. NULL: failed. */
Otlp__ProfilesDictionary *dictionary_message(struct dictionary *dictionary, struct arena *arena);
