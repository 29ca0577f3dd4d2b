/* Which options there are, what their values may look like, and how each value is read. Policy as data: a new
 * option is a row here and a field in options.h. */

#include "launcher/option_table.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "launcher/quote.h"
#include "policy/kept_capabilities.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
#define VALUE(field) offsetof(struct option_values, field)

#define NAME_RANGE TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters"
#define PATH_RANGE TEXT_OF(OPTION_PATH_MAX) " bytes without control characters"

/* clang-format off */
const struct option_row option_table[OPTION_COUNT] = {
	[OPTION_SERVICE] = {
		.name = "service", .letter = 'S', .variable = "DD_SERVICE", .placeholder = "NAME",
		.help_default = "the command's base name",
		.help = "Service the profiles belong to; the first part of their file names.",
		.accepts = "1 to " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.service), .min = 1, .max = OPTION_NAME_MAX,
	},
	[OPTION_ENVIRONMENT] = {
		.name = "environment", .letter = 'E', .variable = "DD_ENV", .placeholder = "NAME",
		.default_text = "", .help_default = "none",
		.help = "Deployment environment: the profiles' 'env' tag.",
		.accepts = "at most " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.environment), .max = OPTION_NAME_MAX,
	},
	[OPTION_SERVICE_VERSION] = {
		.name = "service_version", .letter = 'V', .variable = "DD_VERSION", .placeholder = "VERSION",
		.default_text = "", .help_default = "none",
		.help = "Version of the service: the profiles' 'version' tag.",
		.accepts = "at most " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.version), .max = OPTION_NAME_MAX,
	},
	[OPTION_TAGS] = {
		.name = "tags", .letter = 'T', .variable = "DD_TAGS", .placeholder = "KEY:VALUE,...",
		.default_text = "", .help_default = "none",
		.help = "More tags. Each is at most " TEXT_OF(OPTION_TAG_MAX) " bytes, begins with a letter and goes on "
			"with letters, digits and _-:./\\ only.",
		.accepts = "at most " TEXT_OF(OPTION_TAGS_MAX) " bytes of KEY:VALUE,...",
		.kind = OPTION_KIND_TAGS, .offset = VALUE(options.tags), .max = OPTION_TAGS_MAX,
	},
	[OPTION_OUTPUT] = {
		.name = "output", .variable = "DDPROF_OUTPUT", .placeholder = "DIR",
		.default_text = ".", .help_default = "the current folder",
		.help = "Folder the profiles are written to. It is opened with your rights, before the command runs.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.output), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_UPLOAD_PERIOD] = {
		.name = "upload_period", .letter = 'u', .variable = "DD_PROFILING_UPLOAD_PERIOD", .placeholder = "SECONDS",
		.default_text = TEXT_OF(OPTION_UPLOAD_PERIOD_DEFAULT_S),
		.help = "Time between two profiles. The last one, at the command's end, may cover less.",
		.accepts = "a number of seconds from " TEXT_OF(OPTION_UPLOAD_PERIOD_MIN_S)
			   " to " TEXT_OF(OPTION_UPLOAD_PERIOD_MAX_S),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.upload_period_s),
		.min = OPTION_UPLOAD_PERIOD_MIN_S, .max = OPTION_UPLOAD_PERIOD_MAX_S,
	},
	[OPTION_EVENT] = {
		.name = "event", .letter = 'e', .variable = "DD_PROFILING_NATIVE_EVENTS", .placeholder = "EVENT",
		.default_text = "sCPU freq=" TEXT_OF(EVENT_FREQUENCY_DEFAULT_HZ),
		.help = "What is sampled, and how often. May be repeated; '-e help' explains the grammar.",
		.accepts = "at most " TEXT_OF(OPTION_EVENTS_MAX) " bytes of the grammar '-e help' shows",
		.kind = OPTION_KIND_EVENTS, .offset = VALUE(events), .max = OPTION_EVENTS_MAX,
	},
	[OPTION_UNWIND] = {
		.name = "unwind", .variable = "DD_PROFILING_UNWIND", .placeholder = "METHOD",
		.default_text = "auto",
		.help = "How callers are found: 'dwarf' by the programs' unwinding tables in a copy of the stack; 'fp' by the "
			"kernel, which follows frame pointers: stacks through code without them are incomplete; 'auto' by what "
			"the first samples show.",
		.accepts = "auto, dwarf or fp",
		.kind = OPTION_KIND_METHOD, .offset = VALUE(options.unwind),
	},
	[OPTION_STACK_SAMPLE_SIZE] = {
		.name = "stack_sample_size", .variable = "DD_PROFILING_SAMPLE_STACK_USER", .placeholder = "BYTES",
		.help_default = "as needed",
		.help = "How much of the user stack each sample copies, always: a multiple of 8 from "
			TEXT_OF(OPTION_STACK_SAMPLE_MIN_BYTES) " to " TEXT_OF(OPTION_STACK_SAMPLE_MAX_BYTES)
			". Deeper stacks come out incomplete; '--unwind auto' then means 'dwarf'. Otherwise it begins with "
			TEXT_OF(STACK_DEFAULT_BYTES) " and follows what stacks need.",
		.accepts = "a number of bytes, multiple of 8, from " TEXT_OF(OPTION_STACK_SAMPLE_MIN_BYTES)
			   " to " TEXT_OF(OPTION_STACK_SAMPLE_MAX_BYTES),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.stack_sample_size), .multiple = 8,
		.min = OPTION_STACK_SAMPLE_MIN_BYTES, .max = OPTION_STACK_SAMPLE_MAX_BYTES,
	},
	[OPTION_INLINED_FUNCTIONS] = {
		.name = "inlined_functions", .letter = 'I', .variable = "DD_PROFILING_INLINED_FUNCTIONS",
		.placeholder = "BOOL", .default_text = "true",
		.help = "Whether to show functions that were inlined, source files and lines, where programs have debug "
			"information (DWARF).",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.inlined_functions),
	},
	[OPTION_DISABLE_SYMBOLIZATION] = {
		.name = "disable_symbolization", .variable = "DD_PROFILING_DISABLE_SYMBOLIZATION", .placeholder = "BOOL",
		.default_text = "false",
		.help = "Whether to leave out names: profiles have addresses, files with their paths and build ids only. "
			"ddprof-symbolizer names them later.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.disable_symbolization),
	},
	[OPTION_KERNEL_FRAMES] = {
		.name = "kernel_frames", .variable = "DD_PROFILING_KERNEL_FRAMES", .placeholder = "BOOL",
		.default_text = "true",
		.help = "Whether to show which functions time in the kernel was spent for, as frames '[kernel]', where the "
			"administrator's policy allows it (docs/policy.md). Otherwise it is one such frame for all of it.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.kernel_frames),
	},
	[OPTION_ENABLE] = {
		.name = "enable", .variable = "DD_PROFILING_ENABLED", .placeholder = "BOOL",
		.default_text = "true",
		.help = "Whether to profile. With 'false' the command is executed and nothing else happens.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.enabled),
	},
	[OPTION_REQUIRE] = {
		.name = "require",
		.help = "When profiling is impossible, exit with 125 instead of running the command without it.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.require),
	},
	[OPTION_WAIT] = {
		.name = "wait",
		.help = "Stay as the command's parent, pass signals on, and exit with its status once the last profile "
			"is written. Otherwise this process becomes the command.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.wait),
	},
	[OPTION_DROP_CAPS] = {
		.name = "drop_caps",
		.help = "Run the command without capabilities, with no_new_privs, and with perf_event_open, bpf and the like "
			"refused (docs/syscalls.md); it is profiled all the same. If that cannot be had in full, exit with 125 "
			"instead of running it. Without this option the command has exactly the rights you have.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.drop_caps),
	},
	[OPTION_KEEP_CAP] = {
		.name = "keep_cap", .placeholder = "NAME", .help_default = "none",
		.help = "A capability that --drop_caps leaves to the command, such as cap_net_bind_service; you must have it. "
			"May be repeated.",
		.accepts = "the name of a capability, such as cap_net_bind_service",
		.kind = OPTION_KIND_CAPABILITY, .offset = VALUE(options.kept_capabilities),
	},
	[OPTION_LOG_LEVEL] = {
		.name = "log_level", .letter = 'l', .variable = "DD_PROFILING_NATIVE_LOG_LEVEL", .placeholder = "LEVEL",
		.default_text = "notice",
		.help = "The least severe message shown: debug, informational, notice, warn or error. "
			"The summary at the end is a notice.",
		.accepts = "debug, informational, notice, warn or error",
		.kind = OPTION_KIND_LEVEL, .offset = VALUE(options.log_level),
	},
	[OPTION_LOG_MODE] = {
		.name = "log_mode", .letter = 'o', .variable = "DD_PROFILING_NATIVE_LOG_MODE", .placeholder = "WHERE",
		.default_text = "stderr",
		.help = "Where messages go once the command runs: stdout, stderr, syslog, disabled, or a file's path. "
			"stdout and stderr mean syslog unless they are a terminal or a regular file: no pipe of yours is "
			"kept open.",
		.accepts = "stdout, stderr, syslog, disabled or a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.log_mode), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_SHOW_CONFIG] = {
		.name = "show_config",
		.help = "Print every setting and where it comes from, then go on.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.show_config),
	},
	[OPTION_CHECK] = {
		.name = "check", .placeholder = "[--json]",
		.help = "Find out, by trying, whether profiling works for you here, and if not what the smallest fix is.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_PRINT_POLICY] = {
		.name = "print_policy", .placeholder = "[ROLE]",
		.help = "Print what is allowed: policy file, events and limits; with ROLE its system calls and filter.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_ATTEST] = {
		.name = "attest", .placeholder = "[PID]",
		.help = "Prove of every process of ours in running sessions (or in that of PID, the command's or any "
			"of ours) that it has no right left. Exit status 0: all holds; 1: something does not; "
			"2: no such session.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_VERSION] = {
		.name = "version", .letter = 'v', .help = "Print the version and exit.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.print_version),
	},
	[OPTION_HELP] = {
		.name = "help", .letter = 'h', .help = "Print this and exit.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.help),
	},
};
/* clang-format on */

const struct log_level_row log_level_table[] = {
	{"debug", LOG_LEVEL_DEBUG},        {"informational", LOG_LEVEL_INFORMATIONAL},
	{"info", LOG_LEVEL_INFORMATIONAL}, {"notice", LOG_LEVEL_NOTICE},
	{"warn", LOG_LEVEL_WARN},          {"warning", LOG_LEVEL_WARN},
	{"error", LOG_LEVEL_ERROR},        {NULL, LOG_LEVEL_ERROR},
};

static const struct {
	const char *name;
	bool value;
} boolean_table[] = {
	{"true", true},   {"yes", true}, {"on", true},   {"1", true},
	{"false", false}, {"no", false}, {"off", false}, {"0", false},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Each parser returns 0 with *field set, or -EINVAL with *field untouched; ret_problem is empty, and is for
 * those who can say more than "'x' is not what this option accepts". */

static int
parse_path(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	size_t length = strlen(value);

	(void)ret_problem;
	if (length < row->min || length > row->max)
		return -EINVAL;
	for (const char *at = value; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return -EINVAL;
	}
	*(const char **)field = value;
	return 0;
}

/* Length of the UTF-8 character at text, 0 when it is malformed or a control character (C1 ones drive
 * terminals too). */
static size_t
utf8_printable_length(const char *text)
{
	/* By length: anything less is a control character or overlong. */
	static const uint32_t smallest[] = {0, 0x20, 0xa0, 0x800, 0x10000};
	unsigned char lead = (unsigned char)text[0];
	size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
	uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);

	/* The NUL at the end is no continuation byte: this never reads past it. */
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}

	bool is_surrogate = code >> 11 == 0xd800 >> 11;

	if (code < smallest[length] || code == 0x7f || code > 0x10ffff || is_surrogate)
		return 0;
	return length;
}

static int
parse_text(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	for (const char *at = value; *at;) {
		size_t length = utf8_printable_length(at);

		if (length == 0)
			return -EINVAL;
		at += length;
	}
	return parse_path(row, value, field, ret_problem);
}

/* ASCII whatever the locale: the launcher never calls setlocale, and a tag must mean the same everywhere. */
static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_tag_character(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || (c && strchr("_-:./\\", c));
}

static bool
is_tag(const char *tag, size_t length)
{
	if (length == 0 || length > OPTION_TAG_MAX || !is_letter(tag[0]) || tag[length - 1] == ':')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_tag_character(tag[i]))
			return false;
	}
	return memchr(tag, ':', length);
}

static int
parse_tags(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	if (strlen(value) > row->max)
		return -EINVAL;
	for (const char *at = value; *value; at++) { /* an empty value is no tags, not one empty tag */
		size_t length = strcspn(at, ",");

		if (!is_tag(at, length)) {
			snprintf(ret_problem, OPTION_PROBLEM_MAX,
				 "tag '%s' is not KEY:VALUE, at most " TEXT_OF(
					 OPTION_TAG_MAX) " bytes, first a letter, then letters, digits and "
							 "_-:./\\, no colon at the end",
				 quoted(at, length).text);
			return -EINVAL;
		}
		at += length;
		if (!*at)
			break;
	}
	*(const char **)field = value;
	return 0;
}

static int
parse_number(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	unsigned int number = 0;

	(void)ret_problem;
	for (const char *at = value; *at; at++) {
		if (*at < '0' || *at > '9' || number > row->max)
			return -EINVAL;
		number = number * 10 + (unsigned int)(*at - '0');
	}
	if (!*value || number < row->min || number > row->max ||
	    (row->multiple && number % row->multiple != 0))
		return -EINVAL;
	*(unsigned int *)field = number;
	return 0;
}

static int
parse_events(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	if (strlen(value) > row->max)
		return -EINVAL;
	return event_grammar_parse(value, field, ret_problem);
}

static int
parse_boolean(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (size_t i = 0; i < COUNT_OF(boolean_table); i++) {
		if (strcasecmp(value, boolean_table[i].name) == 0) {
			*(bool *)field = boolean_table[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static int
parse_level(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (const struct log_level_row *level = log_level_table; level->name; level++) {
		if (strcasecmp(value, level->name) == 0) {
			*(enum log_level *)field = level->level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *const unwind_method_names[] = {
	[UNWIND_AUTO] = "auto", [UNWIND_DWARF] = "dwarf", [UNWIND_FP] = "fp", NULL};

static int
parse_method(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (int method = 0; unwind_method_names[method]; method++) {
		if (strcasecmp(value, unwind_method_names[method]) == 0) {
			*(enum unwind_method *)field = (enum unwind_method)method;
			return 0;
		}
	}
	return -EINVAL;
}

static int
parse_capability(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	int capability = capability_from_name(value);

	(void)row;
	(void)ret_problem;
	if (capability < 0)
		return -EINVAL;
	*(uint64_t *)field |= CAPABILITY_BIT(capability);
	return 0;
}

static int
parse_flag(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)value;
	(void)ret_problem;
	*(bool *)field = true;
	return 0;
}

static int
parse_audit(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)value;
	(void)ret_problem;
	*(const char **)field = row->name;
	return 0;
}

static int (*const parsers[])(const struct option_row *, const char *, void *, char *) = {
	[OPTION_KIND_TEXT] = parse_text,     [OPTION_KIND_PATH] = parse_path,
	[OPTION_KIND_TAGS] = parse_tags,     [OPTION_KIND_NUMBER] = parse_number,
	[OPTION_KIND_EVENTS] = parse_events, [OPTION_KIND_BOOLEAN] = parse_boolean,
	[OPTION_KIND_LEVEL] = parse_level,   [OPTION_KIND_CAPABILITY] = parse_capability,
	[OPTION_KIND_FLAG] = parse_flag,     [OPTION_KIND_AUDIT] = parse_audit,
	[OPTION_KIND_METHOD] = parse_method,
};

int
option_read_value(const struct option_row *row, const char *value, struct option_values *values,
		  char ret_problem[OPTION_PROBLEM_MAX])
{
	int error;

	ret_problem[0] = '\0';
	error = parsers[row->kind](row, value, (char *)values + row->offset, ret_problem);
	if (error && !ret_problem[0])
		snprintf(ret_problem, OPTION_PROBLEM_MAX, "'%s' is not %s", quoted(value, strlen(value)).text,
			 row->accepts);
	return error;
}
