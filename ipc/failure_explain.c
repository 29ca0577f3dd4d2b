/* The whole sentence about a failure, for people. Apart from the table, which the opener uses without stdio.
 */

#include "ipc/failure.h"

#include <stdio.h>
#include <string.h>

static void
format_detail(char *ret, size_t capacity, enum failure_detail detail, int number)
{
	switch (detail) {
	case FAILURE_DETAIL_LINE:
		snprintf(ret, capacity, " (line %d)", number);
		break;
	case FAILURE_DETAIL_HERTZ:
		snprintf(ret, capacity, " (at most %d Hz)", number);
		break;
	case FAILURE_DETAIL_BYTES:
		snprintf(ret, capacity, " (at most %d bytes)", number);
		break;
	default:
		snprintf(ret, capacity, ": %s", strerror(number));
	}
}

void
failure_explain(char *ret, size_t capacity, unsigned failure, int number)
{
	char detail[80] = "";

	if (number)
		format_detail(detail, sizeof(detail), failure_detail(failure), number);
	snprintf(ret, capacity, "%s%s; %s", failure_reason(failure), detail, failure_fix(failure));
}
