/* Reads the file exactly as the opener does; only the words are added here. */

#include "launcher/audit/policy_text.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct {
	int error;
	const char *in_line, *in_file;
} problems[] = {
	{EINVAL, "not understood", "not a regular file"},
	{ERANGE, "a number out of its limits", NULL},
	{EEXIST, "this key was given before", NULL},
	{E2BIG, "too many groups", NULL},
	{ENOENT, "no such group or user in /etc/group or /etc/passwd", NULL},
	{EPERM, "the worker must not be root",
	 "it or a folder on the way is not root's, or others can write it"},
	{ELOOP, NULL, "it or a folder on the way is a symbolic link"},
	{EFBIG, NULL, "too large"},
};

static const char *
describe(const struct admin_policy_problem *problem)
{
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
		const char *text = problem->line ? problems[i].in_line : problems[i].in_file;

		if (problems[i].error == problem->error && text)
			return text;
	}
	return strerror(problem->error);
}

int
policy_text_load(struct admin_policy *ret, char ret_problem[POLICY_PROBLEM_MAX])
{
	struct admin_policy_problem problem = {0};
	OWNED_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = root < 0 ? -errno : admin_policy_load(root, 0, ret, &problem);

	if (result == 0)
		return 0;
	if (!problem.line && !problem.error)
		problem.error = -result;
	if (problem.line)
		snprintf(ret_problem, POLICY_PROBLEM_MAX, "line %u: %s", problem.line, describe(&problem));
	else
		snprintf(ret_problem, POLICY_PROBLEM_MAX, "%s", describe(&problem));
	return result;
}

static const char *
scope_name(enum admin_policy_scope scope)
{
	return scope == SCOPE_ROOT ? "root" : "nobody";
}

static void
print_groups(const struct admin_policy *policy, FILE *to)
{
	fprintf(to, "  %-26s ", "who may profile");
	if (policy->group_count == 0)
		fprintf(to, "everybody who can execute the opener");
	for (uint32_t i = 0; i < policy->group_count; i++)
		fprintf(to, "%sgroup %u", i ? ", " : "root, ", policy->group[i]);
	fprintf(to, "\n  %-26s", "events");
	for (int id = 0; id < EVENT_COUNT; id++)
		if (id != EVENT_SIDEBAND && policy->events >> id & 1)
			fprintf(to, " %s", event_policy(id)->name);
	fprintf(to, "\n");
}

int
policy_text_print(FILE *to)
{
	struct admin_policy policy;
	char problem[POLICY_PROBLEM_MAX];
	int result = policy_text_load(&policy, problem);

	if (result < 0) {
		fprintf(to, "policy: %s cannot be used, so nothing is profiled: %s\n", ADMIN_POLICY_FILE,
			problem);
		return result;
	}
	fprintf(to, "policy: %s%s\n", ADMIN_POLICY_FILE,
		access(ADMIN_POLICY_FILE, F_OK) < 0 ? " is absent: the defaults hold" : "");
	print_groups(&policy, to);
	fprintf(to, "  %-26s %u Hz\n", "max_frequency", policy.max_frequency_hz);
	fprintf(to, "  %-26s %u bytes\n", "max_stack", policy.max_stack_bytes);
	fprintf(to, "  %-26s %u bytes\n", "max_ring", policy.max_ring_bytes);
	fprintf(to, "  %-26s %s\n", "kernel_frames", policy.kernel_frames ? "yes" : "no");
	fprintf(to, "  %-26s %s\n", "attach", scope_name(policy.attach));
	fprintf(to, "  %-26s %s\n", "system_wide", scope_name(policy.system_wide));
	if (policy.has_worker_user)
		fprintf(to, "  %-26s user %u, group %u\n", "worker_user", policy.worker_uid,
			policy.worker_gid);
	else
		fprintf(to, "  %-26s caller\n", "worker_user");
	return 0;
}
