#pragma once
/* Why profiling could not start, as one closed list: the privileged side sends a number, the launcher
 * prints the sentence. Nothing a caller controls can travel the other way inside a message. */

#include <stddef.h>

enum failure {
	FAILURE_NONE,
	FAILURE_OPENER_MISSING,
	FAILURE_OPENER_DIED,
	FAILURE_NO_ANSWER,
	FAILURE_SETUP,
	FAILURE_OUTPUT,
	FAILURE_SANDBOX,
	FAILURE_REQUEST,
	FAILURE_WORKER_MISSING,
	FAILURE_WORKER_DIED,
	FAILURE_EVENTS_REFUSED,
	FAILURE_EVENTS_UNSUPPORTED,
	FAILURE_TOO_MANY_FILES,
	FAILURE_LOCKED_MEMORY,
	FAILURE_PRIVILEGES,
	FAILURE_PARENT,
	FAILURE_COUNT,
};

/* What went wrong and the smallest fix; never NULL. */
const char *failure_reason(unsigned failure);
const char *failure_fix(unsigned failure);
