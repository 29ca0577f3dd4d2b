/* Turns the text of --event into a selection, or into one sentence about what is wrong with it. */

#include "launcher/event_grammar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/quote.h"

#define OPTION_SEPARATORS " \t,"

/* A piece of the text being parsed, borrowed from it. */
struct span {
	const char *at;
	size_t length;
};

#define EVENT_CPU "sCPU" /* the software task clock: every thread's CPU time */

enum key {
	KEY_FREQUENCY,
	KEY_PERIOD,
};

/* period is known so that it can be told apart from a typing error: ddprof reads "sCPU p=50" as 50 Hz, and
 * guessing which of the two somebody meant is worse than asking. */
static const struct {
	const char *name;
	enum key key;
} key_table[] = {
	{"frequency", KEY_FREQUENCY}, {"freq", KEY_FREQUENCY}, {"f", KEY_FREQUENCY},
	{"period", KEY_PERIOD},       {"per", KEY_PERIOD},     {"p", KEY_PERIOD},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PROBLEM(out, ...) ((void)snprintf((out), EVENT_PROBLEM_MAX, __VA_ARGS__), -EINVAL)
#define QUOTED(span) quoted((span).at, (span).length).text
#define ACCEPTED_EVENTS "accepted: " EVENT_CPU
#define ACCEPTED_KEYS "accepted: frequency, freq or f"

static bool
span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && memcmp(span.at, text, span.length) == 0;
}

/* Cuts the next non-empty piece between separators off *rest; an empty piece when there is none left. */
static struct span
next_piece(struct span *rest, const char *separators)
{
	struct span piece = {rest->at, 0};
	const char *end = rest->at + rest->length;

	while (piece.at < end && strchr(separators, *piece.at))
		piece.at++;
	while (piece.at + piece.length < end && !strchr(separators, piece.at[piece.length]))
		piece.length++;
	rest->at = piece.at + piece.length;
	rest->length = (size_t)(end - rest->at);
	return piece;
}

/* Decimal digits only. A number too long to matter comes back as one no limit accepts. */
static bool
read_number(struct span span, unsigned int *ret)
{
	unsigned int value = 0;

	if (span.length == 0)
		return false;
	for (size_t i = 0; i < span.length; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
		if (value <= EVENT_FREQUENCY_MAX_HZ)
			value = value * 10 + (unsigned int)(span.at[i] - '0');
	}
	*ret = value;
	return true;
}

static bool
find_key(struct span name, enum key *ret)
{
	for (size_t i = 0; i < COUNT_OF(key_table); i++) {
		if (span_is(name, key_table[i].name)) {
			*ret = key_table[i].key;
			return true;
		}
	}
	return false;
}

/* One "key=value" of sCPU. has_key remembers what the event was already given. */
static int
parse_option(struct span option, struct event_selection *selection, bool has_key[2], char *ret_problem)
{
	const char *equals = memchr(option.at, '=', option.length);
	struct span name = {option.at, equals ? (size_t)(equals - option.at) : option.length};
	struct span value = {name.at + name.length + 1, option.length - name.length - 1};
	enum key key;

	if (!find_key(name, &key))
		return PROBLEM(ret_problem, "'%s' is not a key of " EVENT_CPU " (" ACCEPTED_KEYS ")",
			       QUOTED(name));
	if (!equals)
		return PROBLEM(ret_problem, "'%s' lacks a value (accepted: %s=HZ)", QUOTED(name),
			       QUOTED(name));
	if (has_key[key])
		return PROBLEM(ret_problem, "'%s' gives sCPU a second %s (accepted: one)", QUOTED(option),
			       key == KEY_FREQUENCY ? "frequency" : "period");
	has_key[key] = true;
	if (has_key[KEY_FREQUENCY] && has_key[KEY_PERIOD])
		return PROBLEM(ret_problem, "sCPU has both a period and a frequency (" ACCEPTED_KEYS ")");
	if (key == KEY_PERIOD)
		return 0; /* refused once the event is complete, in case a frequency is still to come */

	if (!read_number(value, &selection->cpu_frequency_hz) ||
	    selection->cpu_frequency_hz < EVENT_FREQUENCY_MIN_HZ ||
	    selection->cpu_frequency_hz > EVENT_FREQUENCY_MAX_HZ)
		return PROBLEM(ret_problem, "'%s' is not a frequency in Hz from %d to %d", QUOTED(value),
			       EVENT_FREQUENCY_MIN_HZ, EVENT_FREQUENCY_MAX_HZ);
	return 0;
}

/* One event with its options. */
static int
parse_event(struct span event, struct event_selection *selection, char *ret_problem)
{
	struct span name = next_piece(&event, OPTION_SEPARATORS);
	bool has_key[2] = {false};

	if (!span_is(name, EVENT_CPU))
		return PROBLEM(ret_problem, "'%s' is not an event (" ACCEPTED_EVENTS ")", QUOTED(name));
	if (selection->cpu)
		return PROBLEM(ret_problem, "sCPU is given twice (accepted: every event once)");
	selection->cpu = true;
	selection->cpu_frequency_hz = EVENT_FREQUENCY_DEFAULT_HZ;

	for (;;) {
		struct span option = next_piece(&event, OPTION_SEPARATORS);

		if (option.length == 0)
			break;
		int error = parse_option(option, selection, has_key, ret_problem);
		if (error)
			return error;
	}
	if (has_key[KEY_PERIOD])
		return PROBLEM(ret_problem,
			       "sCPU is sampled by frequency, not by period (" ACCEPTED_KEYS ")");
	return 0;
}

static bool
is_blank(struct span span)
{
	return next_piece(&span, OPTION_SEPARATORS).length == 0;
}

int
event_grammar_parse(const char *text, struct event_selection *selection, char ret_problem[EVENT_PROBLEM_MAX])
{
	struct span rest = {text, strlen(text)};
	struct event_selection result = *selection;
	bool has_event = false;

	for (;;) {
		struct span event = next_piece(&rest, ";");

		if (event.length == 0)
			break;
		if (is_blank(event)) /* "sCPU; " is what a shell loop leaves behind */
			continue;
		int error = parse_event(event, &result, ret_problem);
		if (error)
			return error;
		has_event = true;
	}
	if (!has_event)
		return PROBLEM(ret_problem, "'%s' names no event (" ACCEPTED_EVENTS ")",
			       quoted(text, strlen(text)).text);
	*selection = result;
	return 0;
}

void
event_grammar_print(int fd)
{
	dprintf(fd,
		"EVENT [key=value ...] [; EVENT ...]\n\n"
		"';' separates events; spaces, tabs and commas separate the options of one.\n"
		"--event may be repeated; an event may be named once.\n\n"
		"  " EVENT_CPU "    CPU time of every thread (software task clock)\n"
		"            frequency=HZ, freq=HZ or f=HZ: samples per second of CPU time,\n"
		"            %d to %d, default %d; above %d only by the administrator's policy\n\n"
		"Example: --event '" EVENT_CPU " freq=199'\n",
		EVENT_FREQUENCY_MIN_HZ, EVENT_FREQUENCY_MAX_HZ, EVENT_FREQUENCY_DEFAULT_HZ,
		FREQUENCY_POLICY_HZ);
}
