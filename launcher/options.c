/* Walks argv, then envp, through the option table into struct launch_options, and says precisely what it did
 * not like. getopt_long is not used: it keeps its state in globals, accepts abbreviations, and cannot take
 * '_' for '-'. */

#include "launcher/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/option_table.h"
#include "launcher/quote.h"

#define SERVICE_FALLBACK "myservice" /* what ddprof calls everything that was not named */

#define FAIL(error, ...) (snprintf((error)->text, sizeof((error)->text), __VA_ARGS__), -EINVAL)

/* `variable`: the one the value is from, or NULL. */
static int
set_value(struct option_values *values, enum option_id id, enum option_origin origin, const char *variable,
	  const char *value, struct option_error *ret_error)
{
	const struct option_row *row = &option_table[id];
	char problem[OPTION_PROBLEM_MAX];

	if (option_read_value(row, value, values, problem) == 0) {
		values->options.origins[id] = origin;
		values->options.variables[id] = variable;
		return 0;
	}
	ret_error->origin = origin;
	return FAIL(ret_error, "%s%s: %s", variable ? "" : "--", variable ? variable : row->name, problem);
}

static void
set_defaults(struct option_values *values)
{
	struct option_error never;

	*values = (struct option_values){0};
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_table[id];

		if (option_is_string(row))
			*(const char **)((char *)values + row->offset) = "";
		if (row->default_text)
			(void)set_value(values, id, OPTION_FROM_DEFAULT, NULL, row->default_text, &never);
	}
}

/* ---- the command line ---- */

#define LONG_NAME_MAX 32

static char
fold_dash(char c)
{
	return c == '-' ? '_' : c;
}

static bool
is_long_name(const char *text, size_t length, const char *name)
{
	for (size_t i = 0; i < length; i++) {
		if (fold_dash(text[i]) != name[i]) /* also where name ends first: text holds no NUL */
			return false;
	}
	return name[length] == '\0';
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, one row of the matrix at a time. length is at most LONG_NAME_MAX. */
static size_t
edit_distance(const char *text, size_t length, const char *name)
{
	size_t row[LONG_NAME_MAX + 1];

	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (size_t j = 1; name[j - 1]; j++) {
		size_t diagonal = row[0];

		row[0] = j;
		for (size_t i = 1; i <= length; i++) {
			size_t substituted = diagonal + (fold_dash(text[i - 1]) != name[j - 1]);

			diagonal = row[i];
			row[i] = smaller(substituted, smaller(row[i], row[i - 1]) + 1);
		}
	}
	return row[length];
}

static int
fail_unknown(const char *text, size_t length, struct option_error *ret_error)
{
	const char *nearest = NULL;
	size_t nearest_distance = 3; /* two mistakes are a typing error, three are another word */

	for (int id = 0; id < OPTION_COUNT && length <= LONG_NAME_MAX; id++) {
		size_t distance = edit_distance(text, length, option_table[id].name);

		if (distance < nearest_distance && distance < length) {
			nearest = option_table[id].name;
			nearest_distance = distance;
		}
	}
	if (nearest)
		return FAIL(ret_error, "--%s: unknown option; did you mean --%s?", quoted(text, length).text,
			    nearest);
	return FAIL(ret_error, "--%s: unknown option; --help lists them all", quoted(text, length).text);
}

/* A walk over argv. An option's value is the rest of its own argument, or all of the next one. */
struct argument_cursor {
	char *const *argv;
	int argc;
	int index; /* of the argument being read */
};

/* An option whose name has been understood; attached is the value in the same argument, or NULL. */
static int
read_option(struct argument_cursor *arguments, struct option_values *values, enum option_id id,
	    const char *attached, struct option_error *ret_error)
{
	const struct option_row *row = &option_table[id];
	const char *value = attached;

	bool takes_value = row->kind != OPTION_KIND_FLAG && row->kind != OPTION_KIND_AUDIT;

	if (!takes_value && attached)
		return FAIL(ret_error, "--%s: '%s' is one value too many; it takes none", row->name,
			    quoted(attached, strlen(attached)).text);
	if (takes_value && !attached) {
		if (arguments->index + 1 >= arguments->argc)
			return FAIL(ret_error, "--%s: needs a value, %s", row->name, row->accepts);
		value = arguments->argv[++arguments->index];
	}
	if (row->kind == OPTION_KIND_SECRET)
		return FAIL(ret_error,
			    "--%s: refused, for everybody on this machine can read command lines; %s",
			    row->name, row->instead);
	if (id == OPTION_EVENT) {
		if (strcmp(value, "help") == 0) {
			values->options.event_help = true;
			return 0;
		}
		/* The first one replaces the default, the others add to it. */
		if (values->options.origins[id] == OPTION_FROM_DEFAULT)
			values->events = (struct event_selection){0};
	}
	return set_value(values, id, OPTION_FROM_COMMAND_LINE, NULL, value, ret_error);
}

static int
read_long(struct argument_cursor *arguments, struct option_values *values, struct option_error *ret_error)
{
	const char *text = arguments->argv[arguments->index] + strlen("--");
	size_t length = strcspn(text, "=");

	for (int id = 0; id < OPTION_COUNT; id++) {
		if (is_long_name(text, length, option_table[id].name))
			return read_option(arguments, values, id, text[length] ? text + length + 1 : NULL,
					   ret_error);
	}
	return fail_unknown(text, length, ret_error);
}

/* "-Sname" or "-S name". The only flags are -h and -v, which end the reading: there is nothing to cluster. */
static int
read_short(struct argument_cursor *arguments, struct option_values *values, struct option_error *ret_error)
{
	const char *text = arguments->argv[arguments->index] + strlen("-");

	for (int id = 0; id < OPTION_COUNT; id++) {
		if (option_table[id].letter == text[0])
			return read_option(arguments, values, id, text[1] ? text + 1 : NULL, ret_error);
	}
	return FAIL(ret_error, "-%s: unknown option; --help lists them all", quoted(text, 1).text);
}

static bool
is_help_asked(const struct launch_options *options)
{
	return options->help || options->print_version || options->event_help;
}

static int
read_command_line(struct option_values *values, int argc, char *const argv[], struct option_error *ret_error)
{
	struct argument_cursor arguments = {argv, argc, 1};

	ret_error->origin = OPTION_FROM_COMMAND_LINE;
	for (; arguments.index < argc; arguments.index++) {
		const char *argument = argv[arguments.index];
		int error;

		if (strcmp(argument, "--") == 0) {
			arguments.index++;
			break;
		}
		if (argument[0] != '-' || argument[1] == '\0')
			break;
		if (argument[1] == '-')
			error = read_long(&arguments, values, ret_error);
		else
			error = read_short(&arguments, values, ret_error);
		if (error)
			return error;
		if (values->options.audit) {
			arguments.index++;
			break;
		}
		if (is_help_asked(&values->options)) {
			arguments.index = argc;
			break;
		}
	}
	values->options.command_index = arguments.index < argc ? arguments.index : argc;
	return 0;
}

/* ---- the environment ---- */

static const char *
find_variable(char *const envp[], const char *name)
{
	size_t length = strlen(name);

	for (; *envp; envp++) {
		if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
			return *envp + length + 1;
	}
	return NULL;
}

/* The first of the row's variables that is set to anything; NULL: none is. */
static const char *
find_value(char *const envp[], const struct option_row *row, const char **ret_variable)
{
	for (size_t i = 0; (*ret_variable = option_variable(row, i)); i++) {
		const char *value = find_variable(envp, *ret_variable);

		if (value && *value)
			return value;
	}
	return NULL;
}

/* A fleet's DD_TAGS is nobody's to mend on this host: its good tags count, as they do for ddprof. True: there
 * is a warning instead of an error. */
static bool
keep_good_tags(struct option_values *values, const char *value, const char *variable, const char *problem)
{
	static char kept[OPTION_TAGS_MAX + 1]; /* options borrow */
	struct option_error never;
	size_t used = 0;

	if (strlen(value) > OPTION_TAGS_MAX)
		return false;
	for (const char *at = value; *at; at += strspn(at, ",")) {
		size_t length = strcspn(at, ","), before = used;

		used += (size_t)snprintf(kept + used, sizeof(kept) - used, "%s%.*s", used ? "," : "",
					 (int)length, at);
		if (set_value(values, OPTION_TAGS, OPTION_FROM_ENVIRONMENT, variable, kept, &never) < 0) {
			used = before;
			kept[used] = '\0';
		}
		at += length;
	}
	values->options.tags = kept;
	snprintf(values->options.warning, sizeof(values->options.warning), "%s; it is left out", problem);
	return true;
}

/* Goes through all variables even after a bad one, so that the good ones count. Tells of the first. */
static int
read_environment(struct option_values *values, char *const envp[], struct option_error *ret_error)
{
	struct option_error ignored, tags;
	int result = 0;

	for (int id = 0; id < OPTION_COUNT; id++) {
		const char *variable;
		const char *value = find_value(envp, &option_table[id], &variable);
		struct event_selection default_events = values->events;
		int error;

		if (!value || values->options.origins[id] == OPTION_FROM_COMMAND_LINE)
			continue;
		if (id == OPTION_EVENT)
			values->events = (struct event_selection){0};
		if (id == OPTION_TAGS) {
			error = set_value(values, id, OPTION_FROM_ENVIRONMENT, variable, value, &tags);
			if (error && keep_good_tags(values, value, variable, tags.text))
				continue;
			if (error && !result)
				*ret_error = tags;
		} else {
			error = set_value(values, id, OPTION_FROM_ENVIRONMENT, variable, value,
					  result || option_table[id].is_shared ? &ignored : ret_error);
		}
		if (error && option_table[id].is_shared) {
			values->options.is_unreadable[id] = true;
			values->options.origins[id] = OPTION_FROM_ENVIRONMENT;
			values->options.variables[id] = variable;
		} else if (error) {
			values->events = default_events;
			result = error;
		}
	}
	return result;
}

/* The service is called like its program, unless that name would not pass as a value of --service. */
static void
name_service(struct option_values *values, const char *command)
{
	const char *slash = command ? strrchr(command, '/') : NULL;
	const char *name = slash ? slash + 1 : command;
	struct option_error ignored;

	values->options.service = SERVICE_FALLBACK;
	if (name)
		(void)set_value(values, OPTION_SERVICE, OPTION_FROM_DEFAULT, NULL, name, &ignored);
}

int
options_parse(int argc, char *const argv[], char *const envp[], struct launch_options *ret,
	      struct option_error *ret_error)
{
	struct option_values values;
	struct option_error error = {0};
	int result;

	set_defaults(&values);
	result = read_command_line(&values, argc, argv, &error);
	if (result == 0 && values.options.kept_capabilities && !values.options.drop_caps &&
	    !is_help_asked(&values.options))
		result = FAIL(&error,
			      "--keep_cap: only together with --drop_caps; without it the command keeps "
			      "every capability you have");
	if (result) {
		*ret_error = error;
		return result;
	}
	if (!is_help_asked(&values.options) && !values.options.audit)
		result = read_environment(&values, envp, &error);
	if (values.options.origins[OPTION_SERVICE] == OPTION_FROM_DEFAULT)
		name_service(&values, argv[values.options.command_index]);
	values.options.frequency_hz = values.events.cpu_frequency_hz;
	*ret = values.options;
	/* Disabled, nothing of the environment is going to be used: no reason to complain about it. */
	if (!ret->enabled)
		return 0;
	if (result)
		*ret_error = error;
	return result;
}
