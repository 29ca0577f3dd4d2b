/* Shows the option table to people: --help, --show_config, and docs/Commands.md. */

#include "launcher/options.h"

#include <stdio.h>
#include <string.h>

#include "launcher/option_table.h"
#include "launcher/url.h"
#include "policy/kept_capabilities.h"

#define HELP_WIDTH 80
#define HELP_INDENT 8
#define CONFIG_NAME_WIDTH 24

static const struct {
	const char *code;
	const char *meaning;
} exit_table[] = {
	{"125", "our own failure: a bad option, or `--require` or `--drop_caps` impossible"},
	{"126", "the command exists but cannot be executed"},
	{"127", "the command was not found"},
	{"else", "the command's own status; death by a signal is passed on as such"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What a reader should see as the default, or NULL for a flag. */
static const char *
default_shown(const struct option_row *row)
{
	return row->help_default ? row->help_default : row->default_text;
}

/* ---- help ---- */

struct paragraph {
	int fd;
	int column;
};

static void
print_word(struct paragraph *paragraph, const char *word, int length)
{
	if (paragraph->column > 0 && paragraph->column + 1 + length > HELP_WIDTH) {
		dprintf(paragraph->fd, "\n");
		paragraph->column = 0;
	}
	if (paragraph->column == 0)
		paragraph->column = dprintf(paragraph->fd, "%*s%.*s", HELP_INDENT, "", length, word);
	else
		paragraph->column += dprintf(paragraph->fd, " %.*s", length, word);
}

static void
print_words(struct paragraph *paragraph, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, " ");

		if (length > 0)
			print_word(paragraph, text, (int)length);
		text += length + (text[length] == ' ');
	}
}

/* Where a group of options begins; in the table's order. */
static const struct {
	enum option_id first;
	const char *title;
} groups[] = {
	{OPTION_SERVICE, "Whose profiles they are"},
	{OPTION_OUTPUT, "Where they go: files"},
	{OPTION_URL, "Where they go: Datadog"},
	{OPTION_OTLP, "Where they go: OpenTelemetry"},
	{OPTION_PYROSCOPE_URL, "Where they go: Pyroscope"},
	{OPTION_CA_FILE, "How they get there"},
	{OPTION_UPLOAD_PERIOD, "What is sampled"},
	{OPTION_INLINED_FUNCTIONS, "Names"},
	{OPTION_ENABLE, "The command"},
	{OPTION_LOG_LEVEL, "Messages"},
	{OPTION_CHECK, "For auditors"},
	{OPTION_VERSION, "About"},
};

/* NULL: none begins here. */
static const char *
group_title(int id)
{
	for (size_t i = 0; i < COUNT_OF(groups); i++)
		if ((int)groups[i].first == id)
			return groups[i].title;
	return NULL;
}

static void
print_option_help(const struct option_row *row, int fd)
{
	struct paragraph paragraph = {fd, 0};
	char remark[256];

	if (row->letter)
		dprintf(fd, "  -%c, --%s", row->letter, row->name);
	else
		dprintf(fd, "      --%s", row->name);
	dprintf(fd, "%s%s\n", row->placeholder ? " " : "", row->placeholder ? row->placeholder : "");

	print_words(&paragraph, row->help);
	if (row->variable) {
		size_t used = (size_t)snprintf(remark, sizeof(remark), "[%s", row->variable);

		for (size_t i = 1; option_variable(row, i); i++)
			used += (size_t)snprintf(remark + used, sizeof(remark) - used, ", %s",
						 option_variable(row, i));
		snprintf(remark + used, sizeof(remark) - used, "; default: %s]", default_shown(row));
		print_words(&paragraph, remark);
	}
	dprintf(fd, "\n");
}

void
options_print_help(int fd)
{
	dprintf(fd, "Usage: ddprof-launch [options] [--] command [arguments...]\n\n"
		    "Runs the command and profiles it: pprof files, or uploads. Options end at the\n"
		    "first argument that is none. '_' and '-' are the same in a long option. The\n"
		    "command line beats the environment [in brackets], which beats the default.\n\n");
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (group_title(id))
			dprintf(fd, "%s%s:\n", id > 0 ? "\n" : "", group_title(id));
		print_option_help(&option_table[id], fd);
	}
	dprintf(fd, "\nExit status:\n");
	for (size_t i = 0; i < COUNT_OF(exit_table); i++)
		dprintf(fd, "  %-4s  %s\n", exit_table[i].code, exit_table[i].meaning);
}

/* ---- configuration ---- */

static const char *
level_name(enum log_level level)
{
	for (const struct log_level_row *row = log_level_table; row->name; row++) {
		if (row->level == level)
			return row->name;
	}
	return "?";
}

static void
print_capabilities(uint64_t set, int fd)
{
	char name[CAPABILITY_NAME_MAX];
	const char *separator = "";

	for (int capability = 0; capability < 64; capability++) {
		if (!(set & CAPABILITY_BIT(capability)))
			continue;
		capability_name(capability, name);
		dprintf(fd, "%s%s", separator, name);
		separator = ",";
	}
}

static void
print_value(const struct option_row *row, const struct option_values *values, int fd)
{
	const void *field = (const char *)values + row->offset;

	switch (row->kind) {
	case OPTION_KIND_TEXT:
	case OPTION_KIND_PATH:
	case OPTION_KIND_TAGS:
	case OPTION_KIND_AUDIT:
		dprintf(fd, "%s", *(const char *const *)field);
		break;
	case OPTION_KIND_URL:
		url_print_without_secrets(*(const char *const *)field, fd);
		break;
	case OPTION_KIND_SECRET:
		dprintf(fd, "%s", **(const char *const *)field ? "set, not shown" : "");
		break;
	case OPTION_KIND_NUMBER:
		if (*(const unsigned int *)field > 0)
			dprintf(fd, "%u", *(const unsigned int *)field);
		else
			dprintf(fd, "%s", row->help_default);
		break;
	case OPTION_KIND_METHOD:
		dprintf(fd, "%s", unwind_method_names[*(const enum unwind_method *)field]);
		break;
	case OPTION_KIND_EVENTS:
		dprintf(fd, "sCPU freq=%u", values->options.frequency_hz);
		break;
	case OPTION_KIND_LEVEL:
		dprintf(fd, "%s", level_name(*(const enum log_level *)field));
		break;
	case OPTION_KIND_CAPABILITY:
		print_capabilities(*(const uint64_t *)field, fd);
		break;
	case OPTION_KIND_BOOLEAN:
	case OPTION_KIND_FLAG:
		dprintf(fd, "%s", *(const bool *)field ? "true" : "false");
		break;
	}
}

void
options_print_config(const struct launch_options *options, int fd)
{
	struct option_values values = {.options = *options};

	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_table[id];

		if (id == OPTION_HELP || id == OPTION_VERSION || row->kind == OPTION_KIND_AUDIT)
			continue;
		dprintf(fd, "%-*s", CONFIG_NAME_WIDTH, row->name);
		if (options->is_unreadable[id])
			dprintf(fd, "set, but unusable");
		else
			print_value(row, &values, fd);
		if (options->origins[id] == OPTION_FROM_ENVIRONMENT)
			dprintf(fd, "  (environment %s)\n", options->variables[id]);
		else if (options->origins[id] == OPTION_FROM_COMMAND_LINE)
			dprintf(fd, "  (command line)\n");
		else
			dprintf(fd, "  (default)\n");
	}
}

/* ---- docs/Commands.md ---- */

/* Text inside a table cell: a '|' would end it, and a '\' is one only when doubled. */
static void
print_cell(const char *text, int fd)
{
	while (*text) {
		size_t plain = strcspn(text, "|\\");

		dprintf(fd, "%.*s", (int)plain, text);
		text += plain;
		if (*text)
			dprintf(fd, "\\%c", *text++);
	}
}

static void
print_option_row(const struct option_row *row, int fd)
{
	dprintf(fd, "| ");
	if (row->letter)
		dprintf(fd, "`-%c`, ", row->letter);
	dprintf(fd, "`--%s%s%s`", row->name, row->placeholder ? " " : "",
		row->placeholder ? row->placeholder : "");
	dprintf(fd, " | ");
	for (size_t i = 0; option_variable(row, i); i++)
		dprintf(fd, "%s`%s`", i > 0 ? ", " : "", option_variable(row, i));
	dprintf(fd, "%s", row->variable ? " | " : "|");
	if (row->variable)
		print_cell(default_shown(row), fd);
	dprintf(fd, " | ");
	print_cell(row->help, fd);
	dprintf(fd, " |\n");
}

static void
print_markdown_options(int fd)
{
	dprintf(fd, "## Options\n\n"
		    "Options end at the first argument that is none, or at `--`; the rest is the command and "
		    "is passed on "
		    "byte for byte,\nas is the environment. Long names are accepted with `_` or `-`, and "
		    "with `=` before the "
		    "value or without.\n\n"
		    "The command line beats the environment, which beats the default. An empty variable "
		    "counts as unset. A "
		    "bad value on\nthe command line ends in exit status 125; a bad value in the environment "
		    "is reported, and "
		    "the command runs without\nbeing profiled (with `--require`: 125).\n\n"
		    "| option | environment | default | meaning |\n| --- | --- | --- | --- |\n");
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (group_title(id))
			dprintf(fd, "| **%s** | | | |\n", group_title(id));
		print_option_row(&option_table[id], fd);
	}
	dprintf(fd, "\n## Events\n\nThe value of `--event` and `DD_PROFILING_NATIVE_EVENTS`; `ddprof-launch "
		    "-e help` prints "
		    "this.\n\n```\n");
	event_grammar_print(fd);
	dprintf(fd, "```\n\n");
}

static void
print_markdown_exit(int fd)
{
	dprintf(fd, "## Exit status\n\nAs with `env(1)`:\n\n| status | meaning |\n| --- | --- |\n");
	for (size_t i = 0; i < COUNT_OF(exit_table); i++)
		dprintf(fd, "| %s | %s |\n", exit_table[i].code, exit_table[i].meaning);
}

void
options_print_markdown(int fd)
{
	dprintf(fd, "<!-- Generated from the option table in launcher/option_table.c by generate_commands: "
		    "do not "
		    "edit. -->\n\n"
		    "# ddprof-launch\n\n"
		    "```\nddprof-launch [options] [--] command [arguments...]\n```\n\n"
		    "Runs the command and writes its CPU profile. Not being able to profile never harms the "
		    "command: it runs, "
		    "and one line\nsays why there is no profile and what the smallest fix is (`--require` "
		    "turns that into exit "
		    "status 125).\n\n"
		    "By default this process *becomes* the command: same PID, same parent, same descriptors, "
		    "and nobody waits "
		    "for us, so the\nlast profile appears shortly after the command's end. With `--wait` it "
		    "stays as the "
		    "command's parent, in the same\nprocess group, passes signals on, and exits with the "
		    "command's status "
		    "once the last profile is written: what a\nterminal or a CI job wants.\n\n");
	print_markdown_options(fd);
	print_markdown_exit(fd);
	dprintf(fd, "\n## Files\n\n"
		    "Profiles are gzip-compressed pprof files in the folder `--output` names:\n\n"
		    "```\n<service>-<pid>-<YYYYmmddTHHMMSSZ>-<seq>.pprof\n```\n\n"
		    "One for every `--upload_period` and one at the command's end; the time is UTC, `<seq>` "
		    "counts from 0. A "
		    "file gets its\nname when it is complete, so whatever has that name can be read: by "
		    "`ddprof-report FILE`, "
		    "`go tool pprof` or Datadog.\n");
}
