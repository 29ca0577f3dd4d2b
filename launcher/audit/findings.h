#pragma once
/* What was looked at and what came of it: one name, one verdict, one sentence and perhaps a fix for each, to
 * be shown to a person or to a machine. Never more than FINDINGS_MAX. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define FINDINGS_MAX 40
#define FINDING_TEXT_MAX 512

enum finding_verdict {
	FINDING_OK,
	FINDING_INFO, /* not for us to judge */
	FINDING_WARN, /* works, but not as it should */
	FINDING_FAIL,
};

struct finding {
	const char *name;
	enum finding_verdict verdict;
	char text[FINDING_TEXT_MAX], fix[FINDING_TEXT_MAX]; /* printable UTF-8; fix may be empty */
};

/* Start from {0}. */
struct findings {
	size_t count;
	struct finding at[FINDINGS_MAX];
};

/* `fix` may be NULL; a warning or failure should have one. What is unprintable is escaped. */
void findings_add(struct findings *findings, const char *name, enum finding_verdict verdict, const char *fix,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

const struct finding *findings_first_failure(const struct findings *findings); /* or NULL */

/* Aligned lines, each after `indent` spaces. */
void findings_print(const struct findings *findings, FILE *to, int indent);

/* One JSON object: works, conclusion, fix, findings[{name, verdict, finding, fix}]. 0 or -errno. */
int findings_print_json(const struct findings *findings, bool works, const char *conclusion, const char *fix,
			FILE *to);
