/* CPU time comes from the kernel's CPU clock of each process: nanoseconds, for any process that exists, also
 * where /proc is mounted with hidepid. (/proc/PID/stat counts in hundredths of a second, which is what the
 * exporter needs in a minute.) Of a process that died wait4(2) says it. Memory is in /proc/PID/status, which
 * everybody may read although our processes are not dumpable. */

#include "worker/supervisor/self_measure.h"

#include "ipc/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The lines wanted come after one that lists all groups. */
#define STATUS_MAX 8192

/* What clock_getcpuclockid(3) returns; that asks clock_getres(2) first, which our filter does not allow.
 * Bit 2 clear: of the whole process; 2: CPUCLOCK_SCHED (linux/posix-timers.h, ABI of every libc). */
static clockid_t
cpu_clock_of(pid_t pid)
{
	return (clockid_t)(~(unsigned)pid << 3 | 2);
}

/* 0 when there is no such clock. */
static uint64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
total_cpu_ns(const struct self_measure *measure, enum self_role role)
{
	pid_t pid = measure->role[role].pid;

	return measure->role[role].ended_cpu_ns + (pid > 0 ? read_clock(cpu_clock_of(pid)) : 0);
}

/* "VmRSS:     1234 kB" */
static uint64_t
status_bytes(const char *status, const char *key)
{
	const char *found = strstr(status, key);

	return found ? strtoull(found + strlen(key), NULL, 10) * 1024 : 0;
}

static void
read_memory(int proc, pid_t pid, struct self_role_report *ret)
{
	char path[32], status[STATUS_MAX];

	if (pid <= 0)
		return;
	snprintf(path, sizeof(path), "%d/status", (int)pid);
	OWNED_FD fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, status, sizeof(status) - 1);
	if (got < 0)
		return;
	status[got] = '\0';
	ret->rss = status_bytes(status, "\nVmRSS:");
	ret->anonymous = status_bytes(status, "\nRssAnon:");
	ret->peak_rss = status_bytes(status, "\nVmHWM:");
}

void
self_measure_init(struct self_measure *measure, int proc, uint64_t ring_bytes)
{
	int64_t now = (int64_t)read_clock(CLOCK_MONOTONIC);

	*measure = (struct self_measure){
		.proc = proc,
		.ring_bytes = ring_bytes,
		.session_start_ns = now,
		.period_start_ns = now,
		.role = {[SELF_SUPERVISOR] = {.pid = getpid()}},
	};
}

void
self_measure_started(struct self_measure *measure, enum self_role role, pid_t pid)
{
	measure->role[role].pid = pid;
}

static uint64_t
timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static void
raise_to(uint64_t *highest, uint64_t value)
{
	if (value > *highest)
		*highest = value;
}

void
self_measure_ended(struct self_measure *measure, enum self_role role, const struct rusage *usage)
{
	measure->role[role].pid = 0;
	measure->role[role].ended_cpu_ns += timeval_ns(usage->ru_utime) + timeval_ns(usage->ru_stime);
	measure->role[role].restarts++;
	raise_to(&measure->role[role].peak_rss, (uint64_t)usage->ru_maxrss * 1024);
}

void
self_measure_session(struct self_measure *measure, struct self_report *ret)
{
	*ret = (struct self_report){
		.wall_ns = read_clock(CLOCK_MONOTONIC) - (uint64_t)measure->session_start_ns,
		.ring_bytes = measure->ring_bytes,
	};
	for (int i = 0; i < SELF_ROLES; i++) {
		struct self_role_report *role = &ret->role[i];

		role->cpu_ns = total_cpu_ns(measure, (enum self_role)i);
		role->restarts = measure->role[i].restarts;
		read_memory(measure->proc, measure->role[i].pid, role);
		raise_to(&measure->role[i].peak_rss, role->peak_rss);
		role->peak_rss = measure->role[i].peak_rss;
	}
}

/* A dead process is known to the microsecond only: what its clock said before may be a little more. */
static uint64_t
since(uint64_t now, uint64_t *before)
{
	uint64_t more = now > *before ? now - *before : 0;

	raise_to(before, now);
	return more;
}

void
self_measure_period(struct self_measure *measure, struct self_report *ret)
{
	int64_t start_ns = measure->period_start_ns;

	self_measure_session(measure, ret);
	measure->period_start_ns = measure->session_start_ns + (int64_t)ret->wall_ns;
	ret->wall_ns = (uint64_t)(measure->period_start_ns - start_ns);
	for (int i = 0; i < SELF_ROLES; i++)
		ret->role[i].cpu_ns = since(ret->role[i].cpu_ns, &measure->role[i].reported_cpu_ns);
}
