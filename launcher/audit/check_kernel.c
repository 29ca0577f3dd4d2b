/* The checks about the kernel and the limits around the caller. */

#include "launcher/audit/situation.h"

#include "launcher/audit/probe.h"
#include "policy/limits.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OTHER_DESCRIPTORS 20 /* of opener and supervisor, beside two per CPU */

static const char *
answer_name(int answer)
{
	return answer == PROBE_KILLED   ? "kills the process (SIGSYS)"
	       : answer == PROBE_FAILED ? "cannot be tried"
	       : answer == PROBE_OK     ? "opens"
					: strerrorname_np(answer);
}

void
check_paranoid(const struct situation *situation, struct findings *findings)
{
	if (situation->has_paranoid)
		findings_add(findings, "perf_event_paranoid", FINDING_OK, NULL, "%ld", situation->paranoid);
	else if (situation->reach == ENOSYS && situation->self.seccomp == 0)
		findings_add(findings, "perf_event_paranoid", FINDING_FAIL,
			     "use a kernel with CONFIG_PERF_EVENTS",
			     "absent: this kernel has no perf events");
	else
		findings_add(findings, "perf_event_paranoid", FINDING_WARN, "let /proc/sys be readable",
			     "/proc/sys/kernel/perf_event_paranoid cannot be read");
}

static void
explain_closed(const struct situation *situation, struct findings *findings)
{
	const char *perfmon = situation->perfmon == PROBE_OK       ? "CAP_PERFMON opens it"
			      : situation->perfmon == PROBE_FAILED ? "such kernels want CAP_SYS_ADMIN"
								   : "CAP_PERFMON alone is refused too";

	findings_add(findings, "perf_event_open", situation->is_privileged ? FINDING_OK : FINDING_WARN, NULL,
		     "refused without a capability (EACCES), as Debian and Ubuntu patch it above level 2; %s",
		     perfmon);
}

void
check_perf_event_open(const struct situation *situation, struct findings *findings)
{
	const char *name = "perf_event_open";

	if (situation->reach != EINVAL)
		findings_add(findings, name, FINDING_WARN, NULL, "does not reach the kernel, see seccomp");
	else if (situation->plain == PROBE_OK)
		findings_add(findings, name, FINDING_OK, NULL, "our events open without any capability");
	else if (situation->needs_privilege)
		explain_closed(situation, findings);
	else if (situation->plain == EMFILE || situation->plain == ENFILE)
		findings_add(findings, name, FINDING_WARN, NULL,
			     "no descriptor left to try it, see open files");
	else if (situation->plain == EACCES || situation->plain == EPERM)
		findings_add(
			findings, name, FINDING_FAIL,
			"allow it for this domain or profile (SELinux class perf_event; ausearch -m AVC)",
			"%s although level %ld allows it: a security module or a filter refuses",
			answer_name(situation->plain), situation->paranoid);
	else
		findings_add(findings, name, FINDING_FAIL, "use a kernel with CONFIG_PERF_EVENTS", "%s",
			     answer_name(situation->plain));
}

void
check_seccomp(const struct situation *situation, struct findings *findings)
{
	char filters[32] = "a filter";

	if (situation->self.seccomp_filters > 0)
		snprintf(filters, sizeof(filters), "%d filter%s", situation->self.seccomp_filters,
			 situation->self.seccomp_filters == 1 ? "" : "s");
	if (situation->reach == EINVAL)
		findings_add(findings, "seccomp", FINDING_OK, NULL, "%s%s",
			     situation->self.seccomp == 2 ? filters : "no filter",
			     situation->self.seccomp == 2 ? ", which let perf_event_open pass" : "");
	else if (situation->self.seccomp == 2)
		findings_add(findings, "seccomp", FINDING_FAIL,
			     "allow perf_event_open in the container's seccomp profile (docker run --cap-add "
			     "PERFMON "
			     "does) or in the unit's SystemCallFilter=",
			     "%s, of which one answers perf_event_open before the kernel does: %s", filters,
			     answer_name(situation->reach));
	else
		findings_add(findings, "seccomp", FINDING_FAIL, "use a kernel with CONFIG_PERF_EVENTS",
			     "no filter, yet the kernel does not know perf_event_open: %s",
			     answer_name(situation->reach));
}

static void
cut_line(char *text)
{
	text[strcspn(text, "\n")] = '\0';
}

void
check_security_modules(const struct situation *situation, struct findings *findings)
{
	char modules[256] = "", context[256] = "", selinux[8] = "", lockdown[64] = "";

	(void)situation;
	(void)read_small_file("/sys/kernel/security/lsm", modules, sizeof(modules));
	(void)read_small_file("/proc/self/attr/current", context, sizeof(context));
	(void)read_small_file("/sys/fs/selinux/enforce", selinux, sizeof(selinux));
	(void)read_small_file("/sys/kernel/security/lockdown", lockdown, sizeof(lockdown));
	cut_line(modules);
	cut_line(context);
	cut_line(lockdown);
	bool is_confined = context[0] && strcmp(context, "unconfined") != 0;

	findings_add(findings, "security modules", FINDING_OK, NULL, "%s%s%s%s%s%s",
		     modules[0] ? modules : "which ones cannot be read", is_confined ? "; confined as " : "",
		     is_confined ? context : "", selinux[0] == '1' ? "; SELinux enforces" : "",
		     lockdown[0] ? "; lockdown " : "", lockdown);
}

void
check_user_namespace(const struct situation *situation, struct findings *findings)
{
	if (!situation->origin.is_foreign_namespace)
		findings_add(findings, "user namespace", FINDING_OK, NULL, "the machine's");
	else if (situation->needs_privilege)
		findings_add(findings, "user namespace", FINDING_FAIL,
			     "sysctl kernel.perf_event_paranoid=2 on the host, or no user namespace",
			     "a container's: no capability of it counts for perf events");
	else
		findings_add(findings, "user namespace", FINDING_OK, NULL,
			     "a container's; no capability is needed");
}

void
check_suid_dumpable(const struct situation *situation, struct findings *findings)
{
	char text[32];

	(void)situation;
	if (read_small_file("/proc/sys/fs/suid_dumpable", text, sizeof(text)) <= 0) {
		findings_add(findings, "fs.suid_dumpable", FINDING_FAIL, "let /proc/sys be readable",
			     "cannot be read, so it is not known to be safe, and the opener refuses");
		return;
	}
	long value = strtol(text, NULL, 10);
	if (value == 1)
		findings_add(findings, "fs.suid_dumpable", FINDING_FAIL, "sysctl fs.suid_dumpable=2",
			     "1: the kernel would let set-uid programs be sampled, so the opener refuses");
	else
		findings_add(findings, "fs.suid_dumpable", FINDING_OK, NULL, "%ld", value);
}

void
check_open_files(const struct situation *situation, struct findings *findings)
{
	struct rlimit limit;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long wanted = 2 * (unsigned long)(cpus > 0 ? cpus : 1) + OTHER_DESCRIPTORS;
	char fix[64];

	(void)situation;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	snprintf(fix, sizeof(fix), "ulimit -Hn %lu (LimitNOFILE= of a unit)", wanted);
	if (limit.rlim_max < wanted)
		findings_add(findings, "open files", FINDING_FAIL, fix,
			     "hard limit %lu, about %lu are needed: two per CPU and %d",
			     (unsigned long)limit.rlim_max, wanted, OTHER_DESCRIPTORS);
	else
		findings_add(findings, "open files", FINDING_OK, NULL, "%lu are needed of the limit", wanted);
}

/* perf_event_mlock_kb counts per user and CPU, RLIMIT_MEMLOCK on top; CAP_IPC_LOCK knows no limit. How large
 * the rings are, the opener decides by RLIMIT_MEMLOCK alone (open_events.c). */
void
check_locked_memory(const struct situation *situation, struct findings *findings)
{
	struct rlimit limit;
	char text[32], fix[80];
	unsigned long cpus = (unsigned long)sysconf(_SC_NPROCESSORS_ONLN),
		      page = (unsigned long)sysconf(_SC_PAGESIZE);
	unsigned long others = cpus * (SIDEBAND_RING_BYTES + 2 * page) / 1024;
	unsigned long smallest = others + cpus * (SAMPLE_RING_MIN_BYTES / 1024);
	bool has_file = read_small_file("/proc/sys/kernel/perf_event_mlock_kb", text, sizeof(text)) > 0;
	unsigned long per_user = has_file ? strtoul(text, NULL, 10) * cpus : 0;
	bool is_unlimited = situation->self.capability[SET_EFFECTIVE] >> CAP_IPC_LOCK & 1;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	unsigned long own = limit.rlim_cur / 1024;
	snprintf(fix, sizeof(fix), "ulimit -l %lu (LimitMEMLOCK= of a unit)", 4 * smallest - 3 * others);
	if (is_unlimited || limit.rlim_cur == RLIM_INFINITY || situation->paranoid < 0)
		findings_add(findings, "locked memory", FINDING_OK, NULL, "no limit for the rings");
	else if (per_user + own < smallest)
		findings_add(findings, "locked memory", FINDING_FAIL, fix,
			     "the rings need %lu KiB, %lu KiB may be locked", smallest, per_user + own);
	else if (own < 2 * smallest - others)
		findings_add(findings, "locked memory", FINDING_WARN, fix,
			     "only the smallest rings fit: bursts of samples will be lost");
	else
		findings_add(
			findings, "locked memory", FINDING_OK, NULL,
			"%lu KiB may be locked by all profilers of this user, %lu KiB are needed at least",
			per_user + own, smallest);
}

/* The options of the file system on /proc, "rw,hidepid=2,subset=pid"; false when it is not mounted. */
static bool
read_proc_options(char *ret, size_t capacity)
{
	static char mounts[1 << 16];
	bool found = false;

	if (read_small_file("/proc/self/mountinfo", mounts, sizeof(mounts)) <= 0)
		return false;
	for (char *line = mounts, *next; line; line = next) { /* the last mount on /proc is the one seen */
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		const char *options = strrchr(line, ' ');
		if (options && strstr(line, " /proc ") && strstr(line, " - proc ")) {
			snprintf(ret, capacity, "%s", options + 1);
			found = true;
		}
	}
	return found;
}

void
check_proc(const struct situation *situation, struct findings *findings)
{
	char options[128];

	(void)situation;
	if (!read_proc_options(options, sizeof(options)))
		findings_add(findings, "/proc", FINDING_WARN, "mount -t proc proc /proc",
			     "not mounted as a whole: mappings cannot be read");
	else if (strstr(options, "subset=pid"))
		findings_add(findings, "/proc", FINDING_WARN, "mount /proc without subset=pid",
			     "%s: /proc/sys is hidden, and fs.suid_dumpable with it", options);
	else
		findings_add(findings, "/proc", FINDING_OK, NULL, "%s", options);
}
