#pragma once
/* The table behind options.h, shared by the code that reads options and the code that prints them; nobody
 * else's. */

#include "launcher/event_grammar.h"
#include "launcher/options.h"

#define OPTION_PROBLEM_MAX EVENT_PROBLEM_MAX /* the longest of all messages is one about events */

#define OTHER_VARIABLES_MAX 3

enum option_kind {
	OPTION_KIND_TEXT,   /* valid UTF-8: it becomes a string of the profile, whose readers insist */
	OPTION_KIND_PATH,   /* any bytes, as the kernel has it */
	OPTION_KIND_URL,    /* as a path, but with what is secret in it never shown */
	OPTION_KIND_SECRET, /* never shown, and refused on the command line, which everybody can read */
	OPTION_KIND_TAGS,
	OPTION_KIND_NUMBER,
	OPTION_KIND_EVENTS,
	OPTION_KIND_BOOLEAN,
	OPTION_KIND_LEVEL,
	OPTION_KIND_METHOD,
	OPTION_KIND_CAPABILITY, /* each one given is added to the set */
	OPTION_KIND_FLAG,       /* takes no value, and has no variable */
	OPTION_KIND_AUDIT,      /* the same; the field gets the option's name */
};

/* What is being put together; the table's offsets point into it. */
struct option_values {
	struct launch_options options;
	struct event_selection events;
};

struct option_row {
	const char *name; /* with '_'; '-' is accepted as well */
	char letter;      /* 0: none */
	const char *variable;
	const char *other_variables[OTHER_VARIABLES_MAX]; /* looked at after it, in this order */
	const char *placeholder;
	const char *default_text; /* parsed like any other value; NULL: help_default says what happens */
	const char *help_default; /* for people, instead of default_text */
	const char *accepts;      /* completes "'x' is not ..." */
	const char *help;
	bool is_shared;      /* its variables are read by others too: a bad value counts when it is used */
	const char *instead; /* of a secret: what to use instead of the command line */
	enum option_kind kind;
	size_t offset;         /* of the value in struct option_values */
	unsigned int min, max; /* of a number, or of a text's length in bytes */
	unsigned int multiple; /* of a number; 0: any */
};

struct log_level_row {
	const char *name;
	enum log_level level;
};

/* The row's variables in order, then NULL. */
static inline const char *
option_variable(const struct option_row *row, size_t index)
{
	if (index == 0)
		return row->variable;
	return index <= OTHER_VARIABLES_MAX ? row->other_variables[index - 1] : NULL;
}

/* Whether its value is a string, "" when there is none. */
static inline bool
option_is_string(const struct option_row *row)
{
	return row->kind == OPTION_KIND_TEXT || row->kind == OPTION_KIND_PATH ||
	       row->kind == OPTION_KIND_URL || row->kind == OPTION_KIND_SECRET ||
	       row->kind == OPTION_KIND_TAGS;
}

extern const struct option_row option_table[OPTION_COUNT];

extern const char *const unwind_method_names[]; /* by enum unwind_method; ends with NULL */

/* The first row of a level is its name, the others are aliases. Ends with a NULL name. */
extern const struct log_level_row log_level_table[];

/* Reads value as the row's kind into its field of *values. Returns 0, or -EINVAL with one printable line in
 * ret_problem
 * ("'x' is not a number of seconds from 1 to 3600"); *values is then untouched. */
int option_read_value(const struct option_row *row, const char *value, struct option_values *values,
		      char ret_problem[OPTION_PROBLEM_MAX]);
