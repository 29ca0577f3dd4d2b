/* report_state [--without SECTION]... [--exit STATUS]: everything a program inherits, as text that is the
 * same in any two runs started the same way. Comparing the outputs with and without a wrapper shows, byte for
 * byte, what the wrapper changed.
 *
 * Nothing is printed that a rerun changes by itself: an id that is our own PID reads "self", addresses and
 * PIDs of children are left out. What a test harness changes itself (a new pipe for stdout: "identity") can
 * be excluded. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LINE_MAX_BYTES 8192

extern char **environ;

static char **arguments;

static bool is_excluded(const char *section);

/* ---- what we were given at exec ---- */

static void
report_argv(void)
{
	for (int i = 0; arguments[i]; i++)
		printf("argv[%d]=%s\n", i, arguments[i]);
}

static void
report_environ(void)
{
	for (char **entry = environ; *entry; entry++)
		printf("%s\n", *entry);
}

static void
report_link(const char *path)
{
	char target[LINE_MAX_BYTES];
	ssize_t length = readlink(path, target, sizeof(target));

	printf("%s -> %.*s\n", path, length < 0 ? 1 : (int)length, length < 0 ? "?" : target);
}

static void
report_file(const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	if (!file) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	while (fgets(line, sizeof(line), file))
		printf("%s: %s", path, line);
	fclose(file);
}

static void
report_exec(void)
{
	printf("AT_SECURE=%lu\n", getauxval(AT_SECURE));
	printf("AT_EXECFN=%s\n", (const char *)getauxval(AT_EXECFN));
	report_link("/proc/self/exe");
	report_file("/proc/self/comm");
}

/* ---- descriptors ---- */

static void
report_fd(int fd)
{
	char path[64], target[LINE_MAX_BYTES];
	struct stat status;
	ssize_t length;

	if (fstat(fd, &status) != 0)
		return;
	printf("fd %d: type=%06o fd_flags=%#x file_flags=%#x", fd, (unsigned int)(status.st_mode & S_IFMT),
	       (unsigned int)fcntl(fd, F_GETFD), (unsigned int)fcntl(fd, F_GETFL));
	if (!is_excluded("identity")) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target));
		printf(" mode=%06o dev=%#jx inode=%ju rdev=%#jx owner=%ju link=%.*s",
		       (unsigned int)status.st_mode, (uintmax_t)status.st_dev, (uintmax_t)status.st_ino,
		       (uintmax_t)status.st_rdev, (uintmax_t)status.st_uid, length < 0 ? 0 : (int)length,
		       target);
	}
	printf("\n");
}

static int
compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void
report_descriptors(void)
{
	static int fds[65536];
	size_t count = 0;
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;

	while (folder && (entry = readdir(folder)) && count < COUNT_OF(fds)) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
			fds[count++] = atoi(entry->d_name);
	}
	if (folder)
		closedir(folder);
	for (int fd = 0; !folder && fd < (int)COUNT_OF(fds); fd++) /* not one more may be opened */
		if (fcntl(fd, F_GETFD) >= 0)
			fds[count++] = fd;
	qsort(fds, count, sizeof(fds[0]), compare_ints);
	for (size_t i = 0; i < count; i++)
		report_fd(fds[i]);
}

/* ---- signals: asked of the kernel, because the C library hides 32 and 33 ---- */

static void
report_signals(void)
{
	struct {
		uintptr_t handler;
		unsigned long flags;
		uintptr_t restorer;
		uint64_t mask;
	} action;
	uint64_t mask = 0, pending = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof(mask));
	syscall(SYS_rt_sigpending, &pending, sizeof(pending));
	printf("blocked=%016jx pending=%016jx\n", (uintmax_t)mask, (uintmax_t)pending);
	for (int number = 1; number <= 64; number++) {
		memset(&action, 0, sizeof(action));
		syscall(SYS_rt_sigaction, number, NULL, &action, sizeof(action.mask));
		printf("signal %d: %s flags=%#lx mask=%016jx\n", number,
		       action.handler == 0   ? "default"
		       : action.handler == 1 ? "ignored"
					     : "handled",
		       action.flags, (uintmax_t)action.mask);
	}
}

static void
report_timers(void)
{
	static const char *const names[] = {"real", "virtual", "prof"};
	struct itimerval timer;

	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		getitimer((__itimer_which_t)which,
			  &timer); /* the time left changes; whether there is some, does not */
		printf("itimer %s: %s interval=%jd.%06jd\n", names[which],
		       timer.it_value.tv_sec || timer.it_value.tv_usec ? "armed" : "off",
		       (intmax_t)timer.it_interval.tv_sec, (intmax_t)timer.it_interval.tv_usec);
	}
	report_file("/proc/self/timers");
}

/* ---- limits, place, relations ---- */

static void
report_limits(void)
{
	struct rlimit limit;

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
			printf("rlimit %d: soft=%ju hard=%ju\n", i, (uintmax_t)limit.rlim_cur,
			       (uintmax_t)limit.rlim_max);
	}
}

static void
report_place(void)
{
	mode_t mask = umask(0);

	umask(mask);
	printf("umask=%04o\n", (unsigned int)mask);
	report_link("/proc/self/cwd");
	report_link("/proc/self/root");
	report_file("/proc/self/cgroup");
	for (size_t i = 0; i < 8; i++) {
		static const char *const spaces[] = {"cgroup", "ipc",  "mnt",  "net",
						     "pid",    "time", "user", "uts"};
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
		report_link(path);
	}
}

static void
report_process_id(const char *name, pid_t id)
{
	if (id == getpid())
		printf("%s=self\n", name);
	else
		printf("%s=%d\n", name, id);
}

static int
count_children(void)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	int count = 0;
	int child;

	if (!file)
		return -1; /* a kernel without CONFIG_PROC_CHILDREN */
	while (fscanf(file, "%d", &child) == 1)
		count++;
	fclose(file);
	return count;
}

static void
report_relations(void)
{
	int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	report_process_id("parent", getppid());
	report_process_id("process_group", getpgrp());
	report_process_id("session", getsid(0));
	report_process_id("terminal_group", terminal < 0 ? -1 : tcgetpgrp(terminal));
	if (terminal >= 0)
		close(terminal);
	printf("children=%d\n", count_children());
}

/* ---- scheduling ---- */

static void
report_scheduling(void)
{
	struct sched_param param = {0};
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	sched_getparam(0, &param);
	printf("nice=%d policy=%d priority=%d ioprio=%ld\n", getpriority(PRIO_PROCESS, 0),
	       sched_getscheduler(0), param.sched_priority, syscall(SYS_ioprio_get, 1, 0));
	printf("affinity=");
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (CPU_ISSET(cpu, &cpus))
				printf("%d,", cpu);
		}
	}
	printf("\n");
	report_file("/proc/self/oom_score_adj");
	report_file("/proc/self/coredump_filter");
}

/* ---- rights ---- */

static void
report_prctl(void)
{
	static const struct {
		const char *name;
		int option;
	} simple[] = {
		{"dumpable", PR_GET_DUMPABLE},       {"no_new_privs", PR_GET_NO_NEW_PRIVS},
		{"seccomp", PR_GET_SECCOMP},         {"keepcaps", PR_GET_KEEPCAPS},
		{"securebits", PR_GET_SECUREBITS},   {"timerslack", PR_GET_TIMERSLACK},
		{"thp_disable", PR_GET_THP_DISABLE},
	};
	int value = -1;

	for (size_t i = 0; i < COUNT_OF(simple); i++)
		printf("%s=%d\n", simple[i].name, prctl(simple[i].option, 0, 0, 0, 0));
	prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0);
	printf("pdeathsig=%d\n", value);
	prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0);
	printf("child_subreaper=%d\n", value);
	printf("personality=%#x\n", (unsigned int)personality(0xffffffff));
}

static void
report_status(void)
{
	static const char *const wanted[] = {
		"Name:",
		"Umask:",
		"Uid:",
		"Gid:",
		"Groups:",
		"TracerPid:",
		"Threads:",
		"SigPnd:",
		"ShdPnd:",
		"SigBlk:",
		"SigIgn:",
		"SigCgt:",
		"CapInh:",
		"CapPrm:",
		"CapEff:",
		"CapBnd:",
		"CapAmb:",
		"NoNewPrivs:",
		"Seccomp:",
		"Seccomp_filters:",
		"Speculation_Store_Bypass:",
		"SpeculationIndirectBranch:",
		"Cpus_allowed:",
		"Mems_allowed:",
		"THP_enabled:",
	};
	char line[LINE_MAX_BYTES];
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < COUNT_OF(wanted); i++) {
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
				printf("%s", line);
		}
	}
	if (file)
		fclose(file);
}

static const struct {
	const char *name;
	void (*report)(void);
} section_table[] = {
	{"argv", report_argv},           {"environ", report_environ},
	{"exec", report_exec},           {"descriptors", report_descriptors},
	{"signals", report_signals},     {"timers", report_timers},
	{"limits", report_limits},       {"place", report_place},
	{"relations", report_relations}, {"scheduling", report_scheduling},
	{"prctl", report_prctl},         {"status", report_status},
};

static bool
is_excluded(const char *section)
{
	for (char **argument = arguments; argument[0] && argument[1]; argument++) {
		if (strcmp(argument[0], "--without") == 0 && strcmp(argument[1], section) == 0)
			return true;
	}
	return false;
}

int
main(int argc, char *argv[])
{
	bool has_status = argc > 2 && strcmp(argv[argc - 2], "--exit") == 0;

	arguments = argv;
	for (size_t i = 0; i < COUNT_OF(section_table); i++) {
		if (is_excluded(section_table[i].name))
			continue;
		printf("[%s]\n", section_table[i].name);
		section_table[i].report();
	}
	if (fflush(stdout) != 0)
		return 1;
	return has_status ? atoi(argv[argc - 1]) : 0;
}
