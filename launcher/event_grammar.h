#pragma once
/* The value of --event, "EVENT [key=value ...][; EVENT ...]", as the Datadog profiler spells it. Only sCPU
 * for now. */

#include "policy/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define EVENT_FREQUENCY_MIN_HZ 1
#define EVENT_FREQUENCY_MAX_HZ FREQUENCY_MAX_HZ
#define EVENT_FREQUENCY_DEFAULT_HZ FREQUENCY_DEFAULT_HZ

#define EVENT_PROBLEM_MAX 512 /* long enough for every message */

/* Start from {0}: nothing selected. */
struct event_selection {
	bool cpu;
	unsigned int cpu_frequency_hz; /* 0 until cpu is selected */
};

/* Adds the events of text to *selection, which may hold events of an earlier text: naming one twice is an
 * error wherever the two names are. Returns 0, or -EINVAL with one printable line, saying what would be
 * accepted, in ret_problem; *selection is then untouched. */
int event_grammar_parse(const char *text, struct event_selection *selection,
			char ret_problem[EVENT_PROBLEM_MAX]);

/* The grammar, its events and its keys, for a reader at a terminal (at most 100 columns). */
void event_grammar_print(int fd);
