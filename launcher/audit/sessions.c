/* Finds our processes by their command lines, which everybody may read but anybody can imitate: as root the
 * executable is looked at too, and for an ordinary user the findings say that it was not. */

#include "launcher/audit/sessions.h"

#include "ipc/fd.h"
#include "ipc/protocol.h"

#include <dirent.h>
#include <errno.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const struct {
	const char *program, *argument;
	enum role role;
} programs[] = {
	{"ddprof-worker", "supervisor", ROLE_SUPERVISOR},     {"ddprof-worker", "unwinder", ROLE_UNWINDER},
	{"ddprof-symbolizer", "symbolizer", ROLE_SYMBOLIZER}, {"ddprof-exporter", "exporter", ROLE_EXPORTER},
	{"ddprof-uploader", "exporter", ROLE_UPLOADER}, /* the same role, when it sends */
};

#ifndef PR_GET_MDWE
#define PR_GET_MDWE 66 /* Linux 6.3 */
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *
program_of(enum role role)
{
	for (size_t i = 0; i < COUNT_OF(programs); i++)
		if (programs[i].role == role)
			return programs[i].program;
	return "";
}

/* The third argument is where a process of ours writes what the kernel does not show, padded with spaces. */
static void
copy_self_report(char *ret, size_t capacity, const char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == ' ')
		length--;
	snprintf(ret, capacity, "%.*s", (int)length, text);
}

/* One of ours, by its command line. */
static bool
recognize(pid_t pid, struct session_process *ret)
{
	char path[32], line[256], *arguments[3] = {line, line, line};

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	ssize_t length = read_small_file(path, line, sizeof(line));
	if (length <= 0)
		return false;
	for (size_t i = 1; i < COUNT_OF(arguments); i++) {
		char *next = arguments[i - 1] + strlen(arguments[i - 1]) + 1;

		arguments[i] = next < line + length ? next : line + length; /* which holds a NUL */
	}
	const char *slash = strrchr(arguments[0], '/');
	for (size_t i = 0; i < COUNT_OF(programs); i++) {
		if (strcmp(slash ? slash + 1 : arguments[0], programs[i].program) != 0 ||
		    strcmp(arguments[1], programs[i].argument) != 0)
			continue;
		*ret = (struct session_process){.pid = pid, .is_known = true, .role = programs[i].role};
		copy_self_report(ret->self_report, sizeof(ret->self_report), arguments[2]);
		return true;
	}
	return false;
}

static void
for_each_process(void (*visit)(pid_t pid, struct session_list *list), struct session_list *list)
{
	DIR *proc = opendir("/proc");

	if (!proc)
		return;
	for (struct dirent *entry; (entry = readdir(proc));) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0)
			visit(pid, list);
	}
	closedir(proc);
}

static void
visit_supervisor(pid_t pid, struct session_list *list)
{
	struct session_process process;

	if (!recognize(pid, &process) || process.role != ROLE_SUPERVISOR || list->count == SESSIONS_MAX)
		return;
	list->session[list->count++] = (struct session){.count = 1, .process = {process}};
}

static void
visit_child(pid_t pid, struct session_list *list)
{
	struct process_status status;
	struct session_process process = {.pid = pid};

	if (process_status_read(pid, &status) < 0)
		return;
	for (size_t i = 0; i < list->count; i++) {
		struct session *session = &list->session[i];

		if (session->process[0].pid != status.parent || session->count == SESSION_MAX_PROCESSES)
			continue;
		(void)recognize(pid, &process); /* not ours: unknown, and reported as that */
		session->process[session->count++] = process;
	}
}

/* As root: the supervisor's sealed configuration names the target, in the target's PID namespace. */
static pid_t
read_config_target(pid_t supervisor)
{
	char path[64], link[64];
	static struct worker_config config;

	for (int fd = 0; fd < MAX_RINGS; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", supervisor, fd);
		ssize_t length = readlink(path, link, sizeof(link) - 1);
		if (length < 0)
			continue;
		link[length] = '\0';
		if (strncmp(link, "/memfd:ddprof-config", strlen("/memfd:ddprof-config")) != 0)
			continue;
		OWNED_FD file = open(path, O_RDONLY | O_CLOEXEC);
		if (file >= 0 && read(file, &config, sizeof(config)) == (ssize_t)sizeof(config))
			return (pid_t)config.target_pid;
	}
	return 0;
}

static bool
same_pid_namespace(pid_t a, pid_t b)
{
	char path[2][40];
	struct stat status[2];

	snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/pid", a);
	snprintf(path[1], sizeof(path[1]), "/proc/%d/ns/pid", b);
	return stat(path[0], &status[0]) == 0 && stat(path[1], &status[1]) == 0 &&
	       status[0].st_ino == status[1].st_ino && status[0].st_dev == status[1].st_dev;
}

/* The process that is called `inner` where the supervisor lives, under the number it has here. */
static pid_t
translate(pid_t supervisor, pid_t inner)
{
	DIR *proc = opendir("/proc");
	pid_t found = 0;

	if (!proc)
		return 0;
	for (struct dirent *entry; !found && (entry = readdir(proc));) {
		struct process_status status;
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && process_status_read(pid, &status) == 0 && status.innermost_pid == inner &&
		    same_pid_namespace(pid, supervisor))
			found = pid;
	}
	closedir(proc);
	return found;
}

static pid_t
find_target(const struct session_process *supervisor)
{
	pid_t inner = read_config_target(supervisor->pid);

	if (inner == 0 || same_pid_namespace(getpid(), supervisor->pid))
		return inner;
	return translate(supervisor->pid, inner);
}

void
sessions_find(struct session_list *ret)
{
	ret->count = 0;
	for_each_process(visit_supervisor, ret);
	for_each_process(visit_child, ret);
	for (size_t i = 0; i < ret->count; i++)
		ret->session[i].target = find_target(&ret->session[i].process[0]);
}

bool
session_has(const struct session *session, pid_t pid)
{
	for (size_t i = 0; i < session->count; i++)
		if (session->process[i].pid == pid)
			return true;
	return session->target == pid;
}

bool
session_has_role(const struct session *session, enum role role)
{
	for (size_t i = 0; i < session->count; i++)
		if (session->process[i].is_known && session->process[i].role == role)
			return true;
	return false;
}

/* The files of a process that is not dumpable belong to root, whoever runs it (proc(5)). */
static enum knowledge
read_dumpable(pid_t pid, uid_t uid)
{
	char path[32];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (uid == 0 || stat(path, &status) < 0)
		return KNOWN_NOT;
	return status.st_uid == 0 ? KNOWN_NO : KNOWN_YES;
}

static enum knowledge
read_core_limit(pid_t pid)
{
	char path[32], text[4096];
	unsigned long soft, hard;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	if (read_small_file(path, text, sizeof(text)) < 0)
		return KNOWN_NOT;
	const char *line = strstr(text, "Max core file size");
	if (!line)
		return KNOWN_NOT;
	return sscanf(line, "Max core file size %lu %lu", &soft, &hard) == 2 && soft == 0 && hard == 0
		       ? KNOWN_YES
		       : KNOWN_NO;
}

static enum knowledge
read_executable(pid_t pid, enum role role, char *ret, size_t capacity)
{
	char path[32], ours[sizeof(DDPROF_LIBEXECDIR) + 32];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t length = readlink(path, ret, capacity - 1);
	if (length < 0)
		return KNOWN_NOT;
	ret[length] = '\0';
	snprintf(ours, sizeof(ours), "%s/%s", DDPROF_LIBEXECDIR, program_of(role));
	return strcmp(ret, ours) == 0 ? KNOWN_YES : KNOWN_NO;
}

static bool
is_read_only(pid_t pid, const char *fd)
{
	char path[64], text[512];
	unsigned flags;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.20s", pid, fd);
	if (read_small_file(path, text, sizeof(text)) < 0)
		return false;
	const char *line = strstr(text, "flags:");
	return line && sscanf(line, "flags: %o", &flags) == 1 && (flags & O_ACCMODE) == O_RDONLY;
}

static enum descriptor_kind
kind_of(pid_t pid, int folder, const char *fd)
{
	static const struct {
		const char *prefix;
		enum descriptor_kind kind;
	} prefixes[] = {
		{"socket:", DESCRIPTOR_SOCKET},
		{"anon_inode:[perf_event]", DESCRIPTOR_EVENT},
		{"anon_inode:[signalfd]", DESCRIPTOR_SIGNALS},
		{"/memfd:", DESCRIPTOR_MEMFD},
	};
	char link[256];
	struct stat status;
	ssize_t length = readlinkat(folder, fd, link, sizeof(link) - 1);

	if (length < 0 || fstatat(folder, fd, &status, 0) < 0)
		return DESCRIPTOR_OTHER;
	link[length] = '\0';
	for (size_t i = 0; i < COUNT_OF(prefixes); i++)
		if (strncmp(link, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0)
			return prefixes[i].kind;
	if (strcmp(link, "/dev/null") == 0)
		return DESCRIPTOR_NULL;
	if (strcmp(link, "/proc") == 0)
		return DESCRIPTOR_PROC;
	if (S_ISDIR(status.st_mode))
		return DESCRIPTOR_FOLDER;
	if (S_ISREG(status.st_mode) && is_read_only(pid, fd))
		return DESCRIPTOR_FILE;
	return S_ISREG(status.st_mode) || S_ISCHR(status.st_mode) ? DESCRIPTOR_LOG : DESCRIPTOR_OTHER;
}

static bool
count_descriptors(pid_t pid, unsigned counts[DESCRIPTOR_KINDS])
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *folder = opendir(path);
	if (!folder)
		return false;
	for (struct dirent *entry; (entry = readdir(folder));)
		if (entry->d_name[0] != '.')
			counts[kind_of(pid, dirfd(folder), entry->d_name)]++;
	closedir(folder);
	return true;
}

int
session_process_read(const struct session_process *process, struct attested *ret)
{
	static char executable[4096];
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct attested attested = {
		.role = process->role,
		.self_report = process->self_report,
		.executable = executable,
		.cpus = cpus > 0 ? (unsigned)cpus : 1,
		.kernel_has_landlock = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
					       LANDLOCK_CREATE_RULESET_VERSION) > 0,
		.kernel_has_mdwe = prctl(PR_GET_MDWE, 0, 0, 0, 0) >= 0,
	};
	int result = process_status_read(process->pid, &attested.status);

	if (result < 0)
		return result;
	attested.is_dumpable = read_dumpable(process->pid, attested.status.uid[0]);
	attested.has_core_limit_zero = read_core_limit(process->pid);
	attested.is_our_executable =
		read_executable(process->pid, process->role, executable, sizeof(executable));
	attested.descriptors_visible = count_descriptors(process->pid, attested.descriptors);
	*ret = attested;
	return 0;
}
