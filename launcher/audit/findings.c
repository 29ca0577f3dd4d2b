/* One list, two ways to show it: they can never disagree. */

#include "launcher/audit/findings.h"

#include "ipc/text.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

static const char *const verdict_names[] = {
	[FINDING_OK] = "ok",
	[FINDING_INFO] = "info",
	[FINDING_WARN] = "warn",
	[FINDING_FAIL] = "FAIL",
};

void
findings_add(struct findings *findings, const char *name, enum finding_verdict verdict, const char *fix,
	     const char *format, ...)
{
	assert(findings->count < FINDINGS_MAX); /* every list is made from tables shorter than that */
	struct finding *finding = &findings->at[findings->count++];
	char text[FINDING_TEXT_MAX];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	finding->name = name;
	finding->verdict = verdict;
	text_escape(finding->text, sizeof(finding->text), text, strlen(text));
	text_escape(finding->fix, sizeof(finding->fix), fix ? fix : "", fix ? strlen(fix) : 0);
}

const struct finding *
findings_first_failure(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->at[i].verdict == FINDING_FAIL)
			return &findings->at[i];
	return NULL;
}

void
findings_print(const struct findings *findings, FILE *to, int indent)
{
	int widest = 0;

	for (size_t i = 0; i < findings->count; i++) {
		int width = (int)strlen(findings->at[i].name);

		widest = width > widest ? width : widest;
	}
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->at[i];

		fprintf(to, "%*s%-4s  %-*s  %s\n", indent, "", verdict_names[finding->verdict], widest,
			finding->name, finding->text);
		if (finding->fix[0])
			fprintf(to, "%*s      %-*s  fix: %s\n", indent, "", widest, "", finding->fix);
	}
}

static json_t *
finding_to_json(const struct finding *finding)
{
	static const char *const names[] = {
		[FINDING_OK] = "ok",
		[FINDING_INFO] = "info",
		[FINDING_WARN] = "warn",
		[FINDING_FAIL] = "fail",
	};

	return json_pack("{ssssssss}", "name", finding->name, "verdict", names[finding->verdict], "finding",
			 finding->text, "fix", finding->fix);
}

int
findings_print_json(const struct findings *findings, bool works, const char *conclusion, const char *fix,
		    FILE *to)
{
	json_t *list = json_array();
	int result = list ? 0 : -ENOMEM;

	for (size_t i = 0; result == 0 && i < findings->count; i++)
		if (json_array_append_new(list, finding_to_json(&findings->at[i])) < 0)
			result = -ENOMEM;
	json_t *whole = json_pack("{sbsssssO}", "works", works, "conclusion", conclusion, "fix", fix,
				  "findings", list);
	if (result == 0 && (!whole || json_dumpf(whole, to, JSON_INDENT(2)) < 0 || fputc('\n', to) == EOF))
		result = -EIO;
	json_decref(whole);
	json_decref(list);
	return result;
}
