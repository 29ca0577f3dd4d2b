/* The one word for each failure that log lines carry; apart from the sentences, which the opener does
 * without. */

#include "ipc/failure.h"

static const char *const words[FAILURE_COUNT] = {
	[FAILURE_NONE] = "ok",
	[FAILURE_OPENER_MISSING] = "opener-missing",
	[FAILURE_OPENER_DIED] = "opener-died",
	[FAILURE_NO_ANSWER] = "no-answer",
	[FAILURE_SETUP] = "setup",
	[FAILURE_OUTPUT] = "output",
	[FAILURE_SANDBOX] = "sandbox",
	[FAILURE_REQUEST] = "request",
	[FAILURE_WORKER_MISSING] = "worker-missing",
	[FAILURE_WORKER_DIED] = "worker-died",
	[FAILURE_EVENTS_REFUSED] = "events-refused",
	[FAILURE_EVENTS_UNSUPPORTED] = "events-unsupported",
	[FAILURE_TOO_MANY_FILES] = "too-many-files",
	[FAILURE_TOO_MANY_PROCESSES] = "too-many-processes",
	[FAILURE_TOO_LITTLE_MEMORY] = "too-little-memory",
	[FAILURE_FILE_SIZE] = "file-size",
	[FAILURE_LOCKED_MEMORY] = "locked-memory",
	[FAILURE_PRIVILEGES] = "privileges",
	[FAILURE_PARENT] = "parent",
	[FAILURE_IDENTITY] = "identity",
	[FAILURE_SUID_DUMPABLE] = "suid-dumpable",
	[FAILURE_NO_NEW_PRIVS] = "no-new-privs",
	[FAILURE_EVENTS_BLOCKED] = "events-blocked",
	[FAILURE_PERFMON_REFUSED] = "perfmon-refused",
	[FAILURE_WORKER_MODE] = "worker-mode",
	[FAILURE_WORKER_USER] = "worker-user",
	[FAILURE_POLICY_FILE] = "policy-file",
	[FAILURE_POLICY_LINE] = "policy-line",
	[FAILURE_POLICY_GROUP] = "policy-group",
	[FAILURE_POLICY_EVENT] = "policy-event",
	[FAILURE_POLICY_FREQUENCY] = "policy-frequency",
	[FAILURE_POLICY_STACK] = "policy-stack",
};

const char *
failure_word(unsigned failure)
{
	return failure < FAILURE_COUNT ? words[failure] : "unknown";
}
