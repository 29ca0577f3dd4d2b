/* --event: a selection, or one printable line about what is wrong and nothing selected. */

#include "tests/fuzz/fuzz.h"

#include "launcher/event_grammar.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct event_selection selection = {0}, second;
	char problem[EVENT_PROBLEM_MAX];
	char *text = malloc(size + 1);

	memset(problem, 1, sizeof(problem)); /* no terminator but its own */
	if (size > 0)
		memcpy(text, bytes, size);
	text[size] = '\0';
	int result = event_grammar_parse(text, &selection, problem);
	CHECK(result == 0 || result == -EINVAL);
	if (result == 0) {
		CHECK(selection.cpu && selection.cpu_frequency_hz >= EVENT_FREQUENCY_MIN_HZ &&
		      selection.cpu_frequency_hz <= EVENT_FREQUENCY_MAX_HZ);
		second = selection;
		CHECK(event_grammar_parse(text, &second, problem) == -EINVAL); /* every event once */
		CHECK(memcmp(&second, &selection, sizeof(second)) == 0);
	} else {
		CHECK(!selection.cpu && selection.cpu_frequency_hz == 0);
		CHECK(memchr(problem, '\0', sizeof(problem)) && problem[0]);
		for (const char *at = problem; *at; at++)
			CHECK(isprint((unsigned char)*at));
	}
	free(text);
	return 0;
}
