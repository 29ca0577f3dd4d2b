/* exec_window PROGRAM ARGUMENT LAUNCHES: how often a process of the same user gets into PROGRAM between its
 * exec and its end. Prints "launches N attempts N" and one line "NAME wins N" per technique.
 *
 * Whoever wins before exec wins nothing: the victim makes itself non-dumpable first, as opener and supervisor
 * are when they exec a worker. exec resets that, except for a file its user cannot read. */

#include "ipc/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
keep(long fd)
{
	if (fd < 0)
		return false;
	close((int)fd);
	return true;
}

static bool
open_file(pid_t victim, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", victim, name);
	return keep(open(path, flags | O_CLOEXEC));
}

static bool
write_memory(pid_t victim)
{
	return open_file(victim, "mem", O_RDWR);
}

static bool
open_descriptor(pid_t victim)
{
	return open_file(victim, "fd/0", O_RDONLY);
}

static bool
steal_descriptor(pid_t victim)
{
	int handle = (int)syscall(SYS_pidfd_open, victim, 0);
	bool won = handle >= 0 && keep(syscall(SYS_pidfd_getfd, handle, 0, 0));

	keep(handle);
	return won;
}

/* Only who may look gets as far as a bad address. */
static bool
read_memory(pid_t victim)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {NULL, 1};

	return process_vm_readv(victim, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT;
}

static bool
compare_files(pid_t victim)
{
	return syscall(SYS_kcmp, victim, getpid(), KCMP_FILE, 0, 0) >= 0;
}

static bool
profile(pid_t victim)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.size = sizeof(attributes),
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return keep(syscall(SYS_perf_event_open, &attributes, victim, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

static bool
trace(pid_t victim)
{
	if (ptrace(PTRACE_SEIZE, victim, 0, 0) < 0)
		return false;
	kill(victim, SIGKILL); /* its parent learns of its end only after its tracer */
	while (waitpid(victim, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	return true;
}

static const struct technique {
	const char *name;
	bool (*attack)(pid_t victim);
} techniques[] = {
	{"/proc/PID/mem", write_memory},   {"/proc/PID/fd", open_descriptor},
	{"pidfd_getfd", steal_descriptor}, {"process_vm_readv", read_memory},
	{"kcmp", compare_files},           {"perf_event_open", profile},
	{"PTRACE_SEIZE", trace},
};
#define TECHNIQUES (sizeof(techniques) / sizeof(techniques[0]))

static struct shared {
	atomic_int victim;   /* 0: nobody */
	atomic_int attacked; /* the last victim that was attacked before its exec */
	atomic_ulong turn;   /* whose technique it is */
	atomic_bool is_over;
	atomic_ulong attempts;
	atomic_ulong wins[TECHNIQUES];
} * shared;

/* One technique to a launch: PTRACE_SEIZE waits for an exec to end and then wins at once, and left nothing to
 * the others when all took turns on one victim. */
static _Noreturn void
attack(size_t number)
{
	while (!shared->is_over) {
		pid_t victim = shared->victim;
		size_t technique = (shared->turn + number) % TECHNIQUES;

		if (victim == 0) {
			sched_yield();
			continue;
		}
		shared->attempts++;
		shared->wins[technique] += techniques[technique].attack(victim);
		shared->attacked = victim;
	}
	_exit(0);
}

static _Noreturn void
become_victim(const char *program, const char *argument)
{
	char report[SANDBOX_REPORT_BYTES + 1] = "";
	const char *const argv[] = {program, argument, report, NULL};
	char *const envp[] = {NULL};

	memset(report, ' ', SANDBOX_REPORT_BYTES);
	shared->victim = getpid();
	while (shared->attacked != getpid())
		sched_yield();
	execve(program, (char *const *)(uintptr_t)argv, envp);
	_exit(127);
}

static int
launch(const char *program, const char *argument)
{
	int status;
	pid_t victim = fork();

	if (victim == 0)
		become_victim(program, argument);
	if (victim < 0 || waitpid(victim, &status, 0) != victim)
		return -1;
	shared->victim = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -1 : 0;
}

int
main(int argc, char **argv)
{
	unsigned long launches = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int null = open("/dev/null", O_RDWR);

	if (launches == 0 || null < 0)
		return 2;
	for (int fd = STDIN_FILENO; fd <= FD_HANDOVER; fd++)
		if (fd != STDOUT_FILENO)
			dup2(null, fd); /* what is no channel ends the victim when it has hardened itself */
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return 2;
	/* one CPU is the victim's: it must run for there to be anything to win */
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), attackers = cpus > 2 ? cpus - 1 : 1;
	for (long i = 0; i < attackers; i++)
		if (fork() == 0)
			attack((size_t)i);

	int result = 0;
	for (; shared->turn < launches && result == 0; shared->turn++)
		result = launch(argv[1], argv[2]);
	shared->is_over = true;
	while (wait(NULL) > 0)
		continue;
	printf("launches %lu attempts %lu\n", launches, shared->attempts);
	for (size_t i = 0; i < TECHNIQUES; i++)
		printf("%s wins %lu\n", techniques[i].name, shared->wins[i]);
	return result < 0 ? 1 : 0;
}
