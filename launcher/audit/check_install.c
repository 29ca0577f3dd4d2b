/* The checks about what is installed, who may use it, and what the caller's own state makes of it. */

#include "launcher/audit/situation.h"

#include "launcher/audit/policy_text.h"
#include "launcher/audit/probe.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define INSTALL_AGAIN "install ddprof-launch again with the prefix it was built for"

struct fix {
	char text[FINDING_TEXT_MAX];
};

static struct fix
fix_setcap(const struct situation *situation)
{
	struct fix fix;

	snprintf(fix.text, sizeof(fix.text), "setcap %s=p %s", situation_capability(situation), OPENER);
	return fix;
}

/* "CAP_SYS_ADMIN", as units and containers write it. */
static struct fix
fix_with_capability(const struct situation *situation, const char *before, const char *after)
{
	struct fix fix;
	size_t from = strlen(before);

	snprintf(fix.text, sizeof(fix.text), "%s%s%s", before, situation_capability(situation), after);
	for (size_t i = 0; i < strlen(situation_capability(situation)); i++)
		fix.text[from + i] = (char)toupper((unsigned char)fix.text[from + i]);
	return fix;
}

void
check_opener(const struct situation *situation, struct findings *findings)
{
	struct stat status;
	char fix[128];

	(void)situation;
	if (stat(OPENER, &status) < 0) {
		findings_add(findings, "opener", FINDING_FAIL, INSTALL_AGAIN, "%s: %s", OPENER,
			     strerror(errno));
	} else if (access(OPENER, X_OK) < 0) {
		snprintf(fix, sizeof(fix), "join group %u", status.st_gid);
		findings_add(findings, "opener", FINDING_FAIL, fix,
			     "%s: you may not execute it (mode %04o, group %u)", OPENER,
			     status.st_mode & 07777, status.st_gid);
	} else if (status.st_mode & 022) {
		findings_add(findings, "opener", FINDING_WARN, "chmod go-w " OPENER,
			     "%s: others than its owner can change it (mode %04o)", OPENER,
			     status.st_mode & 07777);
	} else {
		findings_add(findings, "opener", FINDING_OK, NULL, "%s, mode %04o, user %u, group %u", OPENER,
			     status.st_mode & 07777, status.st_uid, status.st_gid);
	}
}

static void
check_file_capability(const struct situation *situation, struct findings *findings)
{
	const struct file_capability *file = &situation->origin.file;
	struct file_capability_text text = file_capability_text(file);
	struct fix fix = fix_setcap(situation);

	if (opener_exec_fails(&situation->origin))
		findings_add(findings, "privilege", FINDING_FAIL, fix.text,
			     "%s: '=ep' where the bounding set lacks it keeps the opener from starting",
			     text.text);
	else if (situation->needs_privilege && !(file->permitted & situation->useful) &&
		 !situation->is_privileged)
		findings_add(findings, "privilege", FINDING_FAIL, fix.text, "%s, which this kernel refuses",
			     text.text);
	else if (file->root_uid != 0)
		findings_add(findings, "privilege", FINDING_WARN, fix.text,
			     "%s, for the user namespace of user %u only", text.text, file->root_uid);
	else if (file->effective || file->inheritable)
		findings_add(
			findings, "privilege", FINDING_WARN, fix.text, "%s: 'p' is enough%s%s", text.text,
			file->effective ? "; 'e' keeps it from starting where the bounding set is smaller"
					: "",
			file->inheritable ? "; 'i' lets inheritable capabilities in" : "");
	else
		findings_add(findings, "privilege", FINDING_OK, NULL, "file capability %s", text.text);
}

void
check_privilege(const struct situation *situation, struct findings *findings)
{
	const struct opener_origin *origin = &situation->origin;
	struct fix fix = fix_setcap(situation);

	if (origin->no_new_privs)
		fix = fix_with_capability(
			situation, "AmbientCapabilities=",
			" for the service (under no_new_privs a file's privilege does nothing)");
	if (!situation->is_opener_there)
		return;
	if (situation->file_capability_error)
		findings_add(findings, "privilege", FINDING_WARN, fix.text,
			     "a file capability nobody understands");
	else if (origin->is_set_uid_root)
		findings_add(findings, "privilege", FINDING_OK, NULL, "set-uid root");
	else if (origin->has_file_capability)
		check_file_capability(situation, findings);
	else if (!situation->needs_privilege)
		findings_add(findings, "privilege", FINDING_OK, NULL, "the opener has none, and needs none");
	else if (situation->is_privileged)
		findings_add(findings, "privilege", FINDING_OK, NULL,
			     "the opener has none, and inherits yours");
	else
		findings_add(findings, "privilege", FINDING_FAIL, fix.text,
			     "the opener has none, and this kernel wants one");
}

void
check_mount(const struct situation *situation, struct findings *findings)
{
	const struct opener_origin *origin = &situation->origin;

	if (!situation->is_opener_there)
		return;
	if (!origin->is_nosuid)
		findings_add(findings, "mount", FINDING_OK, NULL, "lets files have privileges");
	else if (situation_is_withheld(situation))
		findings_add(findings, "mount", FINDING_FAIL, "install it on a file system without nosuid",
			     "nosuid: the opener's privilege has no effect");
	else
		findings_add(findings, "mount", FINDING_WARN, "install it on a file system without nosuid",
			     "nosuid: a privilege of the opener would have no effect");
}

void
check_no_new_privs(const struct situation *situation, struct findings *findings)
{
	if (!situation->self.no_new_privs)
		findings_add(findings, "no_new_privs", FINDING_OK, NULL, "not set");
	else if (situation_is_withheld(situation) && !situation->origin.is_nosuid)
		findings_add(findings, "no_new_privs", FINDING_FAIL,
			     fix_with_capability(situation, "AmbientCapabilities=", " for the service").text,
			     "is set, so the opener's privilege has no effect");
	else
		findings_add(findings, "no_new_privs", FINDING_OK, NULL,
			     "is set, so a privilege of the opener would have no effect");
}

void
check_bounding_set(const struct situation *situation, struct findings *findings)
{
	const struct opener_origin *origin = &situation->origin;
	bool has_useful = origin->bounding & situation->useful;

	if (has_useful)
		findings_add(findings, "bounding set", FINDING_OK, NULL, "has %s",
			     situation_capability(situation));
	else if (situation_is_withheld(situation) && !origin->is_nosuid && !origin->no_new_privs)
		findings_add(findings, "bounding set", FINDING_FAIL,
			     fix_with_capability(situation, "docker run --cap-add ",
						 ", or CapabilityBoundingSet= of the unit")
				     .text,
			     "lacks %s, so the opener cannot get it", situation_capability(situation));
	else
		findings_add(findings, "bounding set", FINDING_OK, NULL, "lacks %s%s",
			     situation_capability(situation),
			     situation->needs_privilege ? "" : ", which is not needed");
}

void
check_identity(const struct situation *situation, struct findings *findings)
{
	const uid_t *uid = situation->self.uid;

	if (uid[0] == uid[1] && getgid() == getegid())
		findings_add(findings, "identity", FINDING_OK, NULL, "user %u, group %u", uid[0], getgid());
	else
		findings_add(findings, "identity", FINDING_FAIL,
			     "run it as one user, not from a set-uid program",
			     "real user %u and group %u, effective %u and %u: the opener refuses", uid[0],
			     getgid(), uid[1], getegid());
}

void
check_own_capabilities(const struct situation *situation, struct findings *findings)
{
	uint64_t effective = situation->self.capability[SET_EFFECTIVE];
	const char *use = "";

	if (effective && situation->needs_privilege)
		use = situation->own == PROBE_OK ? "; our events open with them"
						 : "; our events do not open with them";
	findings_add(findings, "own capabilities", FINDING_OK, NULL, "effective %s, ambient %s%s",
		     capability_names(effective).text,
		     capability_names(situation->self.capability[SET_AMBIENT]).text, use);
}

struct worker_file {
	const char *path;
	mode_t forbidden;
	bool is_trusted; /* by an opener that adds a privilege: it then refuses anything else */
};

/* The first thing wrong with an installed file; false when there is none. */
static bool
add_worker_problem(const struct worker_file *file, bool adds_privilege, struct findings *findings)
{
	char fix[256];
	struct stat status;

	if (stat(file->path, &status) < 0) {
		findings_add(findings, "worker files", FINDING_FAIL, INSTALL_AGAIN, "%s: %s", file->path,
			     strerror(errno));
		return true;
	}
	if (!(status.st_mode & file->forbidden) && status.st_uid == 0)
		return false;
	snprintf(fix, sizeof(fix), "chown root:root %s && chmod %s %s", file->path,
		 S_ISDIR(status.st_mode) ? "0755" : "0711", file->path);
	findings_add(
		findings, "worker files", adds_privilege && file->is_trusted ? FINDING_FAIL : FINDING_WARN,
		fix, "%s: mode %04o, user %u: others than root could %s it", file->path,
		status.st_mode & 07777, status.st_uid, S_ISDIR(status.st_mode) ? "change" : "read or change");
	return true;
}

/* A process whose file its user can read starts dumpable: others of that user could look into it. */
void
check_worker_files(const struct situation *situation, struct findings *findings)
{
	static const struct worker_file files[] = {
		{DDPROF_LIBEXECDIR, S_IWGRP | S_IWOTH, true},
		{DDPROF_LIBEXECDIR "/ddprof-worker", S_IWGRP | S_IWOTH | S_IRGRP | S_IROTH, true},
		{DDPROF_LIBEXECDIR "/ddprof-symbolizer", S_IWGRP | S_IWOTH | S_IRGRP | S_IROTH, false},
		{DDPROF_LIBEXECDIR "/ddprof-exporter", S_IWGRP | S_IWOTH | S_IRGRP | S_IROTH, false},
		{DDPROF_LIBEXECDIR "/ddprof-uploader", S_IWGRP | S_IWOTH | S_IRGRP | S_IROTH, false},
	};
	bool adds_privilege = !situation->origin.is_root && opener_capabilities(&situation->origin);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (add_worker_problem(&files[i], adds_privilege, findings))
			return;
	findings_add(findings, "worker files", FINDING_OK, NULL, "root's, unreadable for their users");
}

void
check_policy(const struct situation *situation, struct findings *findings)
{
	struct admin_policy policy;
	char problem[POLICY_PROBLEM_MAX];
	gid_t groups[1 << 10];
	int count = getgroups((int)(sizeof(groups) / sizeof(groups[0])) - 1, groups);

	groups[count < 0 ? 0 : count] = getegid();
	count = (count < 0 ? 0 : count) + 1;
	if (policy_text_load(&policy, problem) < 0)
		findings_add(findings, "policy", FINDING_FAIL,
			     "an administrator must correct " ADMIN_POLICY_FILE, ADMIN_POLICY_FILE ": %s",
			     problem);
	else if (!admin_policy_allows_user(&policy, situation->self.uid[0], groups, (size_t)count))
		findings_add(
			findings, "policy", FINDING_FAIL,
			"an administrator must add you to a group it names (ddprof-launch --print-policy)",
			ADMIN_POLICY_FILE " does not let your groups profile");
	else if (policy.has_worker_user && !situation->origin.is_root && !situation->origin.is_set_uid_root)
		findings_add(findings, "policy", FINDING_FAIL, "chmod 4755 " OPENER,
			     ADMIN_POLICY_FILE " names a worker_user, which needs a set-uid root opener");
	else
		findings_add(findings, "policy", FINDING_OK, NULL, "%s%s", ADMIN_POLICY_FILE,
			     access(ADMIN_POLICY_FILE, F_OK) < 0 ? " is absent: the defaults hold"
								 : " lets you profile");
}

void
check_output(const struct situation *situation, struct findings *findings)
{
	static const char *const others[] = {
		"DD_TRACE_AGENT_URL",        "DD_AGENT_HOST", "DD_TRACE_AGENT_PORT",
		"DD_PROFILING_PPROF_PREFIX", "DDPROF_OTLP",   "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT",
		"PYROSCOPE_SERVER_ADDRESS"};
	const char *named = getenv("DDPROF_OUTPUT");
	char path[4096], parent[4096];

	(void)situation;
	for (size_t i = 0; !named && i < sizeof(others) / sizeof(others[0]); i++) {
		if (!getenv(others[i]))
			continue;
		findings_add(findings, "output folder", FINDING_OK, NULL,
			     "not needed: %s says where profiles go", others[i]);
		return;
	}
	snprintf(path, sizeof(path), "%s", named && *named ? named : ".");
	snprintf(parent, sizeof(parent), "%s", path);
	bool is_writable = access(path, W_OK | X_OK) == 0 ||
			   (errno == ENOENT && access(dirname(parent), W_OK | X_OK) == 0);
	if (is_writable)
		findings_add(findings, "output folder", FINDING_OK, NULL, "'%s' can be written", path);
	else
		findings_add(findings, "output folder", FINDING_WARN, "name a writable folder with --output",
			     "'%s': %s", path, strerror(errno));
}

void
check_environment(const struct situation *situation, struct findings *findings)
{
	static const char *const off[] = {"false", "no", "off", "0"};
	const char *value = getenv("DD_PROFILING_ENABLED");

	(void)situation;
	for (size_t i = 0; value && i < sizeof(off) / sizeof(off[0]); i++)
		if (strcasecmp(value, off[i]) == 0)
			findings_add(findings, "environment", FINDING_WARN, "unset DD_PROFILING_ENABLED",
				     "DD_PROFILING_ENABLED=%s switches profiling off", value);
}
