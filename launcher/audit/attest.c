/* Proves of running sessions that our processes have nothing left: reads /proc, judges, prints. An ordinary
 * user sees less than root and is told so; what cannot be seen is no failure. */

#include "launcher/audit/attest_judge.h"
#include "launcher/audit/audit.h"
#include "launcher/audit/sessions.h"

#include "ipc/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS 3 /* a role that starts or is restarted just now is not confined yet */
#define BETWEEN_LOOKS_MS 300

static struct session_list sessions;

/* false: it is gone. */
static bool
judge_process(const struct session_process *found, struct findings *findings)
{
	struct attested process;

	if (session_process_read(found, &process) < 0)
		return false;
	attest_judge(&process, findings);
	return true;
}

static void
print_name(pid_t pid)
{
	char path[32], name[64], escaped[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	length = read_small_file(path, name, sizeof(name));
	if (length <= 0)
		return;
	text_escape(escaped, sizeof(escaped), name, (size_t)length - 1);
	printf(" (%s)", escaped);
}

/* Symbolizer and exporter start after the launch; any role may just be restarting. */
static void
print_missing(const struct session *session)
{
	static const enum role roles[][2] = {
		{ROLE_UNWINDER, ROLE_UNWINDER},
		{ROLE_SYMBOLIZER, ROLE_SYMBOLIZER},
		{ROLE_EXPORTER, ROLE_UPLOADER}, /* one or the other */
	};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!session_has_role(session, roles[i][0]) && !session_has_role(session, roles[i][1]))
			printf("\n  %s: not running now\n", role_policy(roles[i][0])->name);
}

static void
print_target(const struct session *session)
{
	struct process_status status;
	struct findings findings = {0};

	if (session->target == 0) {
		printf("\n  target: not visible%s\n", geteuid() == 0 ? "" : ", run as root");
		return;
	}
	printf("\n  target %d", session->target);
	print_name(session->target);
	if (process_status_read(session->target, &status) < 0) {
		printf(": not visible\n");
		return;
	}
	printf(": for information\n");
	attest_describe_target(&status, &findings);
	findings_print(&findings, stdout, 4);
}

static bool
session_holds(const struct session *session)
{
	for (size_t i = 0; i < session->count; i++) {
		struct findings findings = {0};

		if (!session->process[i].is_known ||
		    (judge_process(&session->process[i], &findings) && findings_first_failure(&findings)))
			return false;
	}
	return true;
}

/* Judged again: the verdict is of what is shown. */
static bool
print_session(const struct session *session)
{
	bool holds = true;

	printf("session of supervisor %d\n", session->process[0].pid);
	for (size_t i = 0; i < session->count; i++) {
		const struct session_process *process = &session->process[i];
		struct findings findings = {0};

		if (!process->is_known) {
			printf("\n  process %d", process->pid);
			print_name(process->pid);
			printf("\n    FAIL  not one of ours, yet a child of the supervisor\n");
			holds = false;
		} else if (judge_process(process, &findings)) {
			printf("\n  %s %d\n", role_policy(process->role)->name, process->pid);
			findings_print(&findings, stdout, 4);
			holds = holds && !findings_first_failure(&findings);
		}
	}
	print_missing(session);
	print_target(session);
	printf("\n");
	return holds;
}

/* True when every session that is wanted holds. *ret_count: how many those are. */
static bool
look(pid_t wanted, size_t *ret_count)
{
	bool holds = true;

	*ret_count = 0;
	sessions_find(&sessions);
	for (size_t i = 0; i < sessions.count; i++) {
		if (wanted && !session_has(&sessions.session[i], wanted))
			continue;
		++*ret_count;
		holds = session_holds(&sessions.session[i]) && holds;
	}
	return holds;
}

static int
complain_about_none(pid_t wanted)
{
	const char *hint = geteuid() == 0 ? "" : "; run as root to see whom a session profiles";

	if (wanted)
		fprintf(stderr, "ddprof-launch: --attest: no session has or profiles process %d%s\n", wanted,
			hint);
	else
		fprintf(stderr, "ddprof-launch: --attest: no session is running\n");
	return AUDIT_EXIT_USAGE;
}

static bool
parse_pid(const char *text, pid_t *ret)
{
	char *end;

	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno || *end || value < 1 || value > INT32_MAX)
		return false;
	*ret = (pid_t)value;
	return true;
}

int
attest_main(const char *pid)
{
	const struct timespec pause = {.tv_nsec = BETWEEN_LOOKS_MS * 1000000L};
	pid_t wanted = 0;
	size_t count;

	if (pid && !parse_pid(pid, &wanted)) {
		fprintf(stderr, "ddprof-launch: --attest: takes the number of a process\n");
		return AUDIT_EXIT_USAGE;
	}
	for (int i = 0; !look(wanted, &count) && i < LOOKS; i++)
		nanosleep(&pause, NULL);
	if (count == 0)
		return complain_about_none(wanted);
	bool holds = true;
	for (size_t i = 0; i < sessions.count; i++)
		if (!wanted || session_has(&sessions.session[i], wanted))
			holds = print_session(&sessions.session[i]) && holds;
	printf("%zu session%s: %s\n", count, count == 1 ? "" : "s",
	       holds ? "everything holds" : "NOT everything holds, see FAIL");
	return holds ? 0 : 1;
}
