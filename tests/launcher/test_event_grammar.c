/* The event grammar: what is accepted with which frequency, and what is refused with which words. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "launcher/event_grammar.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void
test_accepted(void **state)
{
	static const struct {
		const char *text;
		unsigned int frequency_hz;
	} rows[] = {
		{"sCPU", 99},
		{"sCPU f=1", 1},
		{"sCPU freq=199", 199},
		{"sCPU frequency=5000", 5000},
		{"sCPU,f=10", 10},
		{"sCPU\tf=10", 10},
		{" \tsCPU ,\t f=0010 , ", 10},
		{"sCPU;", 99},
		{";; sCPU f=5 ; ,", 5},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct event_selection selection = {0};
		char problem[EVENT_PROBLEM_MAX] = "";

		if (event_grammar_parse(rows[i].text, &selection, problem) != 0)
			fail_msg("'%s' was refused: %s", rows[i].text, problem);
		assert_true(selection.cpu);
		assert_int_equal(selection.cpu_frequency_hz, rows[i].frequency_hz);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text;
		const char *problem;
	} rows[] = {
		{"", "'' names no event (accepted: sCPU)"},
		{" ; ,;", "' ; ,;' names no event (accepted: sCPU)"},
		{"hCPU", "'hCPU' is not an event (accepted: sCPU)"},
		{"scpu", "'scpu' is not an event (accepted: sCPU)"},
		{"sCPUx", "'sCPUx' is not an event (accepted: sCPU)"},
		{"sCP", "'sCP' is not an event (accepted: sCPU)"},
		{"f=99", "'f=99' is not an event (accepted: sCPU)"},
		{"sCPU;sALLOC", "'sALLOC' is not an event (accepted: sCPU)"},
		{"sCPU;sCPU", "sCPU is given twice (accepted: every event once)"},
		{"sCPU mode=l", "'mode' is not a key of sCPU (accepted: frequency, freq or f)"},
		{"sCPU =5", "'' is not a key of sCPU (accepted: frequency, freq or f)"},
		{"sCPU fr=5", "'fr' is not a key of sCPU (accepted: frequency, freq or f)"},
		{"sCPU freq:5", "'freq:5' is not a key of sCPU (accepted: frequency, freq or f)"},
		{"sCPU freq", "'freq' lacks a value (accepted: freq=HZ)"},
		{"sCPU f = 5", "'f' lacks a value (accepted: f=HZ)"},
		{"sCPU f=", "'' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=0", "'0' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=5001", "'5001' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=4294967297", "'4294967297' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=-1", "'-1' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=+9", "'+9' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=0x10", "'0x10' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=9.5", "'9.5' is not a frequency in Hz from 1 to 5000"},
		{"sCPU f=9 freq=9", "'freq=9' gives sCPU a second frequency (accepted: one)"},
		{"sCPU p=9 per=9", "'per=9' gives sCPU a second period (accepted: one)"},
		{"sCPU p=9 f=9", "sCPU has both a period and a frequency (accepted: frequency, freq or f)"},
		{"sCPU f=9 period=9",
		 "sCPU has both a period and a frequency (accepted: frequency, freq or f)"},
		{"sCPU p=50", "sCPU is sampled by frequency, not by period (accepted: frequency, freq or f)"},
		{"\033[31m\xff", "'?[31m?' is not an event (accepted: sCPU)"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct event_selection selection = {0};
		char problem[EVENT_PROBLEM_MAX] = "";

		if (event_grammar_parse(rows[i].text, &selection, problem) != -EINVAL)
			fail_msg("'%s' was accepted", rows[i].text);
		assert_string_equal(problem, rows[i].problem);
		assert_false(selection.cpu);
		assert_int_equal(selection.cpu_frequency_hz, 0);
	}
}

static void
test_duplicate_across_texts(void **state)
{
	struct event_selection selection = {0};
	char problem[EVENT_PROBLEM_MAX];

	(void)state;
	assert_int_equal(event_grammar_parse("sCPU f=7", &selection, problem), 0);
	assert_int_equal(event_grammar_parse("sCPU f=8", &selection, problem), -EINVAL);
	assert_string_equal(problem, "sCPU is given twice (accepted: every event once)");
	assert_int_equal(selection.cpu_frequency_hz, 7);
}

static void
test_long_text_is_cut_in_the_message(void **state)
{
	struct event_selection selection = {0};
	char problem[EVENT_PROBLEM_MAX];
	char text[3000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(event_grammar_parse(text, &selection, problem), -EINVAL);
	assert_non_null(strstr(problem, "xxx...' is not an event (accepted: sCPU)"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_duplicate_across_texts),
		cmocka_unit_test(test_long_text_is_cut_in_the_message),
	};

	return cmocka_run_group_tests_name("event_grammar", tests, NULL, NULL);
}
