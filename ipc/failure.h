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
	FAILURE_TOO_MANY_PROCESSES,
	FAILURE_TOO_LITTLE_MEMORY,
	FAILURE_FILE_SIZE,
	FAILURE_LOCKED_MEMORY,
	FAILURE_PRIVILEGES,
	FAILURE_PARENT,
	FAILURE_IDENTITY,
	FAILURE_SUID_DUMPABLE,
	FAILURE_NO_NEW_PRIVS,
	FAILURE_EVENTS_BLOCKED,
	FAILURE_PERFMON_REFUSED,
	FAILURE_WORKER_MODE,
	FAILURE_WORKER_USER,
	FAILURE_POLICY_FILE,
	FAILURE_POLICY_LINE,
	FAILURE_POLICY_GROUP,
	FAILURE_POLICY_EVENT,
	FAILURE_POLICY_FREQUENCY,
	FAILURE_POLICY_STACK,
	FAILURE_COUNT,
};

/* What the number beside a failure means. */
enum failure_detail {
	FAILURE_DETAIL_ERRNO,
	FAILURE_DETAIL_LINE, /* of the policy file */
	FAILURE_DETAIL_HERTZ,
	FAILURE_DETAIL_BYTES,
};
enum failure_detail failure_detail(unsigned failure);

/* One word for log lines ("policy-group"), what went wrong, and the smallest fix; never NULL. */
const char *failure_word(unsigned failure);
const char *failure_reason(unsigned failure);
const char *failure_fix(unsigned failure);

/* The whole sentence, "reason: detail; fix", for a failure and the number that came with it: an errno, or
 * where the failure is about a number (a line of the policy, a limit of it) that number; 0: none. At most
 * `capacity` bytes, terminated. */
void failure_explain(char *ret, size_t capacity, unsigned failure, int number);
