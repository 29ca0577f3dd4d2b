/* What a system call costs without a filter, with one that allows everything (the kernel's own price) and
 * with the target's: three processes on the same CPU take turns. A line for every turn: call, nanoseconds per
 * call of each of the three. */

#include "policy/filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CALLS 5000
#define KINDS 2
#define FILTERS 3

static const char *const kinds[KINDS] = {"getppid", "read"};

static void
check(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int
no_filter(void)
{
	return 0;
}

static int
allow_everything(void)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = 1, .filter = code};

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
}

static int
target_filter(void)
{
	return filter_install(ROLE_TARGET);
}

static int (*const filters[FILTERS])(void) = {no_filter, allow_everything, target_filter};

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double
ns_per_call(unsigned kind, int zero)
{
	double start = now_ns();
	char byte;

	for (int i = 0; i < CALLS; i++)
		check(kind == 0 ? syscall(SYS_getppid) > 0 : syscall(SYS_read, zero, &byte, 1) == 1,
		      kinds[kind]);
	return (now_ns() - start) / CALLS;
}

/* Answers each byte, the number of a call, with what that call costs. */
static _Noreturn void
serve(int fd, int (*install)(void))
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	unsigned char kind;

	check(zero >= 0, "/dev/zero");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && install() == 0, "filter");
	while (read(fd, &kind, 1) == 1) {
		double cost = ns_per_call(kind, zero);

		check(write(fd, &cost, sizeof(cost)) == sizeof(cost), "write");
	}
	_exit(0);
}

static int
start(int (*install)(void))
{
	int ends[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	pid_t child = fork();
	check(child >= 0, "fork");
	if (child == 0) {
		close(ends[0]);
		serve(ends[1], install);
	}
	close(ends[1]);
	return ends[0];
}

static double
ask(int fd, unsigned char kind)
{
	double cost;

	check(write(fd, &kind, 1) == 1 && read(fd, &cost, sizeof(cost)) == sizeof(cost), "a child's answer");
	return cost;
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100, cpu = sched_getcpu(), fds[FILTERS];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu < 0 ? 0 : cpu, &one);
	check(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
	for (int i = 0; i < FILTERS; i++)
		fds[i] = start(filters[i]);
	for (int round = 0; round < rounds; round++) {
		for (unsigned char kind = 0; kind < KINDS; kind++) {
			double cost[FILTERS];

			for (int i = 0; i < FILTERS; i++)
				cost[(round + i) % FILTERS] = ask(fds[(round + i) % FILTERS], kind);
			printf("%s %.2f %.2f %.2f\n", kinds[kind], cost[0], cost[1], cost[2]);
		}
	}
	return 0;
}
