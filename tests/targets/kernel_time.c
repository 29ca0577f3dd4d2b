/* kernel_time WHERE SECONDS: uses CPU time where no sample is taken, and prints what the kernel charged it
 * and its children for it, in nanoseconds: of user space and of the kernel. zero      in the kernel, with
 * hardly any system call: reads /dev/zero getppid   in the kernel, with as many as possible user      in user
 * space tasks     in user space, in children that live 4 ms each: shorter than a period of 10 ms */

#include "burn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHORT_NS 4000000u

static void
read_zeros(uint64_t end_ns)
{
	static char buffer[1 << 20];
	int zero = open("/dev/zero", O_RDONLY);

	while (burn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		if (read(zero, buffer, sizeof(buffer)) < 0)
			exit(1);
}

static void
ask_for_the_parent(uint64_t end_ns)
{
	while (burn_clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		for (int i = 0; i < 1000; i++)
			(void)syscall(SYS_getppid);
}

static void
fork_tasks(uint64_t duration_ns)
{
	for (uint64_t i = 0; i < duration_ns / SHORT_NS; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(burn_thread_cpu(SHORT_NS) == 0);
		waitpid(child, NULL, 0);
	}
}

static uint64_t
nanoseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

/* This process and its children until now: [0] in user space, [1] in the kernel. */
static void
get_charged(uint64_t ret_ns[2])
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	ret_ns[0] = nanoseconds(own.ru_utime) + nanoseconds(children.ru_utime);
	ret_ns[1] = nanoseconds(own.ru_stime) + nanoseconds(children.ru_stime);
}

int
main(int argc, char **argv)
{
	uint64_t duration_ns = argc > 2 ? (uint64_t)(atof(argv[2]) * 1e9) : 0;
	uint64_t end_ns = burn_clock_ns(CLOCK_THREAD_CPUTIME_ID) + duration_ns;
	volatile uint64_t sink = 0;
	uint64_t before_ns[2], after_ns[2]; /* of the launch, which is not profiled; and at the end */

	if (argc != 3)
		return 2;
	get_charged(before_ns);
	if (!strcmp(argv[1], "zero"))
		read_zeros(end_ns);
	else if (!strcmp(argv[1], "getppid"))
		ask_for_the_parent(end_ns);
	else if (!strcmp(argv[1], "tasks"))
		fork_tasks(duration_ns);
	else
		sink = burn_thread_cpu(duration_ns);
	(void)sink;
	get_charged(after_ns);
	printf("%llu %llu\n", (unsigned long long)(after_ns[0] - before_ns[0]),
	       (unsigned long long)(after_ns[1] - before_ns[1]));
	return 0;
}
