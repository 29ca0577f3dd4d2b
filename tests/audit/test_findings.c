/* A person and a machine are told the same, and hostile names drive neither a terminal nor a parser. */

#include "launcher/audit/findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
fill(struct findings *findings)
{
	findings_add(findings, "one", FINDING_OK, NULL, "%d", 1);
	findings_add(findings, "longer", FINDING_WARN, "do it", "a\x1b[2J\"\n");
	findings_add(findings, "bad", FINDING_FAIL, "mend it", "\xff");
	findings_add(findings, "worse", FINDING_FAIL, NULL, "x");
}

static void
test_text(void **state)
{
	static struct findings findings;
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	fill(&findings);
	findings_print(&findings, to, 2);
	fclose(to);
	assert_string_equal(text, "  ok    one     1\n"
				  "  warn  longer  a\\x1b[2J\"\\x0a\n"
				  "                fix: do it\n"
				  "  FAIL  bad     \\xff\n"
				  "                fix: mend it\n"
				  "  FAIL  worse   x\n");
	free(text);
}

static void
test_json(void **state)
{
	static struct findings findings;
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	fill(&findings);
	assert_int_equal(findings_print_json(&findings, false, "bad: \"", "mend it", to), 0);
	fclose(to);
	assert_non_null(strstr(text, "\"works\": false"));
	assert_non_null(strstr(text, "\"conclusion\": \"bad: \\\"\""));
	assert_non_null(strstr(text, "\"verdict\": \"fail\""));
	assert_non_null(strstr(text, "\"finding\": \"a\\\\x1b[2J\\\"\\\\x0a\""));
	free(text);
}

static void
test_first_failure(void **state)
{
	static struct findings findings;

	(void)state;
	assert_null(findings_first_failure(&findings));
	fill(&findings);
	assert_string_equal(findings_first_failure(&findings)->name, "bad");
}

/* A text longer than a finding is cut, not spilt. */
static void
test_long_text(void **state)
{
	static struct findings findings;
	char text[2 * FINDING_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	findings_add(&findings, "long", FINDING_OK, text, "%s", text);
	assert_true(strlen(findings.at[0].text) < FINDING_TEXT_MAX);
	assert_true(strlen(findings.at[0].fix) < FINDING_TEXT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_first_failure),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
