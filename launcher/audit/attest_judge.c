/* The promises of docs/architecture.md about a running session, each as a check. */

#include "launcher/audit/attest_judge.h"

#include "policy/levels.h"

#include <string.h>

#define EVENTS_PER_CPU (-2) /* sideband, and samples of each level */
#define WAITING_PROFILES 64 /* of the supervisor's queue; locks of the spool */

/* What each role may hold at most; the same table as in the invariants' test, kept apart on purpose: two
 * people have to be wrong. */
static const int allowed[ROLE_COUNT][DESCRIPTOR_KINDS] = {
	[ROLE_SUPERVISOR] =
		{
			[DESCRIPTOR_NULL] = 3,
			[DESCRIPTOR_SOCKET] = 6,
			[DESCRIPTOR_EVENT] = EVENTS_PER_CPU,
			[DESCRIPTOR_MEMFD] = 4 + WAITING_PROFILES,
			[DESCRIPTOR_PROC] = 1,
			[DESCRIPTOR_SIGNALS] = 1,
			[DESCRIPTOR_FOLDER] = 3,
			[DESCRIPTOR_FILE] = 64,
			[DESCRIPTOR_LOG] = 1,
		},
	[ROLE_UNWINDER] =
		{
			[DESCRIPTOR_NULL] = 3,
			[DESCRIPTOR_SOCKET] = 2,
			[DESCRIPTOR_EVENT] = EVENTS_PER_CPU,
			[DESCRIPTOR_MEMFD] = 2,
			[DESCRIPTOR_FILE] = 64,
		},
	[ROLE_SYMBOLIZER] = {[DESCRIPTOR_NULL] = 3,
			     [DESCRIPTOR_SOCKET] = 2,
			     [DESCRIPTOR_MEMFD] = 2,
			     [DESCRIPTOR_FILE] = 64},
	/* Its channel. The folders for profiles, for the spool and of the prefix, /dev/null in place of one
	 * that there is not. Profiles that wait, in memory or in the spool. */
	[ROLE_EXPORTER] = {[DESCRIPTOR_NULL] = 6,
			   [DESCRIPTOR_SOCKET] = 1,
			   [DESCRIPTOR_FOLDER] = 3,
			   [DESCRIPTOR_MEMFD] = 1 + WAITING_PROFILES,
			   [DESCRIPTOR_FILE] = 1 + WAITING_PROFILES},
	/* ... and libcurl's own pair, connections (two at a time to a host of two addresses), a question to a
	 * name server */
	[ROLE_UPLOADER] = {[DESCRIPTOR_NULL] = 6,
			   [DESCRIPTOR_SOCKET] = 20,
			   [DESCRIPTOR_FOLDER] = 3,
			   [DESCRIPTOR_MEMFD] = 1 + WAITING_PROFILES,
			   [DESCRIPTOR_FILE] = 1 + WAITING_PROFILES},
};

static const char *const kind_names[DESCRIPTOR_KINDS] = {
	[DESCRIPTOR_NULL] = "/dev/null",   [DESCRIPTOR_SOCKET] = "socket",
	[DESCRIPTOR_EVENT] = "perf event", [DESCRIPTOR_MEMFD] = "memory",
	[DESCRIPTOR_PROC] = "/proc",       [DESCRIPTOR_SIGNALS] = "signals",
	[DESCRIPTOR_FOLDER] = "folder",    [DESCRIPTOR_FILE] = "file to read",
	[DESCRIPTOR_LOG] = "log",          [DESCRIPTOR_OTHER] = "other",
};

static const char *const set_names[SET_COUNT] = {
	[SET_INHERITABLE] = "inheritable set", [SET_PERMITTED] = "permitted set",
	[SET_EFFECTIVE] = "effective set",     [SET_BOUNDING] = "bounding set",
	[SET_AMBIENT] = "ambient set",
};

static void
judge(struct findings *findings, const char *name, bool holds, const char *value)
{
	findings_add(findings, name, holds ? FINDING_OK : FINDING_FAIL, NULL, "%s", value);
}

/* Only CAP_SETPCAP can shrink the bounding set; under no_new_privs no exec gives anything from it. */
static void
judge_bounding_set(const struct process_status *status, struct findings *findings)
{
	uint64_t set = status->capability[SET_BOUNDING];

	if (set == 0)
		judge(findings, set_names[SET_BOUNDING], true, "empty");
	else if (status->no_new_privs)
		judge(findings, set_names[SET_BOUNDING], true,
		      "not empty (an ordinary user cannot), but void under no_new_privs");
	else
		judge(findings, set_names[SET_BOUNDING], false, capability_names(set).text);
}

static void
judge_capabilities(const struct attested *process, struct findings *findings)
{
	for (int i = 0; i < SET_COUNT; i++) {
		uint64_t set = process->status.capability[i];

		if (i == SET_BOUNDING)
			judge_bounding_set(&process->status, findings);
		else
			judge(findings, set_names[i], set == 0, set ? capability_names(set).text : "empty");
	}
}

/* The opener's filter, the supervisor's, and a role's own, stacked. */
static void
judge_seccomp(const struct attested *process, struct findings *findings)
{
	int wanted = process->role == ROLE_SUPERVISOR ? 2 : 3, filters = process->status.seccomp_filters;
	bool is_on = process->status.seccomp == 2;

	if (!is_on)
		judge(findings, "seccomp", false, "no filter");
	else if (filters < 0)
		judge(findings, "seccomp", true, "filtered (this kernel does not tell how many filters)");
	else
		findings_add(findings, "seccomp", filters >= wanted ? FINDING_OK : FINDING_FAIL, NULL,
			     "%d filters, at least %d wanted", filters, wanted);
}

/* What the kernel shows nobody. The supervisor opens files, so that no Landlock domain fits it. */
static void
judge_self_report(const struct attested *process, struct findings *findings)
{
	const char *report = process->self_report;
	bool wants_landlock = process->kernel_has_landlock && process->role != ROLE_SUPERVISOR;
	const char *lacks = !report[0]                                                ? "anything"
			    : wants_landlock && strstr(report, "landlock=none")       ? "Landlock"
			    : process->kernel_has_mdwe && strstr(report, "mdwe=none") ? "MDWE"
			    : strstr(report, "keyring=caller")                        ? "its own keyring"
										      : NULL;

	if (lacks)
		findings_add(findings, "self-reported", FINDING_FAIL, NULL,
			     "%s: lacks %s, which this kernel has", report, lacks);
	else
		findings_add(findings, "self-reported", FINDING_OK, NULL, "%s (its own word)", report);
}

static void
judge_process(const struct attested *process, struct findings *findings)
{
	const struct process_status *status = &process->status;

	judge(findings, "no_new_privs", status->no_new_privs == 1, status->no_new_privs ? "set" : "not set");
	judge_seccomp(process, findings);
	judge_self_report(process, findings);
	if (process->is_dumpable == KNOWN_NOT)
		findings_add(findings, "dumpable", FINDING_INFO, NULL,
			     "not visible from outside for a process of root");
	else
		judge(findings, "dumpable", process->is_dumpable == KNOWN_NO,
		      process->is_dumpable == KNOWN_NO ? "no" : "yes: its user can trace and read it");
	judge(findings, "core limit", process->has_core_limit_zero == KNOWN_YES,
	      process->has_core_limit_zero == KNOWN_YES  ? "0"
	      : process->has_core_limit_zero == KNOWN_NO ? "not 0"
							 : "cannot be read");
	findings_add(findings, "threads", status->threads == 1 ? FINDING_OK : FINDING_FAIL, NULL, "%u",
		     status->threads);
	findings_add(findings, "traced", status->tracer == 0 ? FINDING_OK : FINDING_FAIL, NULL,
		     status->tracer ? "by process %d" : "no", status->tracer);
}

static void
judge_executable(const struct attested *process, struct findings *findings)
{
	if (process->is_our_executable == KNOWN_NOT)
		findings_add(findings, "executable", FINDING_INFO, NULL,
			     "not visible, taken from its name: run as root");
	else
		findings_add(findings, "executable",
			     process->is_our_executable == KNOWN_YES ? FINDING_OK : FINDING_FAIL, NULL,
			     "%s%s", process->executable,
			     process->is_our_executable == KNOWN_YES ? "" : " is not of this installation");
}

static void
judge_descriptors(const struct attested *process, struct findings *findings)
{
	char text[FINDING_TEXT_MAX] = "";
	size_t length = 0;
	bool holds = true;

	if (!process->descriptors_visible) {
		findings_add(findings, "descriptors", FINDING_INFO, NULL, "not visible: run as root");
		return;
	}
	for (int kind = 0; kind < DESCRIPTOR_KINDS; kind++) {
		int most = allowed[process->role][kind];
		unsigned limit = most == EVENTS_PER_CPU ? (1 + LEVEL_COUNT) * process->cpus : (unsigned)most;
		unsigned count = process->descriptors[kind];

		if (count == 0)
			continue;
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%u %s",
					   length ? ", " : "", count, kind_names[kind]);
		if (count > limit) {
			length += (size_t)snprintf(text + length, sizeof(text) - length, " (at most %u)",
						   limit);
			holds = false;
		}
	}
	judge(findings, "descriptors", holds, text);
}

void
attest_judge(const struct attested *process, struct findings *findings)
{
	judge_executable(process, findings);
	judge_capabilities(process, findings);
	judge_process(process, findings);
	judge_descriptors(process, findings);
}

void
attest_describe_target(const struct process_status *status, struct findings *findings)
{
	for (int i = 0; i < SET_COUNT; i++)
		findings_add(findings, set_names[i], FINDING_INFO, NULL, "%s",
			     status->capability[i] ? capability_names(status->capability[i]).text : "empty");
	findings_add(findings, "no_new_privs", FINDING_INFO, NULL, "%s",
		     status->no_new_privs ? "set" : "not set");
	if (status->seccomp == 2 && status->seccomp_filters >= 0)
		findings_add(findings, "seccomp", FINDING_INFO, NULL, "%d filters", status->seccomp_filters);
	else
		findings_add(findings, "seccomp", FINDING_INFO, NULL, "%s",
			     status->seccomp == 2 ? "filtered" : "no filter");
}
