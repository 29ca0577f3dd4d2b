/* many processes|threads COUNT ROUNDS: shares ROUNDS rounds of work among COUNT processes or threads that map
 * the same libraries, then prints the wall time and the CPU time of all of it in nanoseconds.
 *
 * Processes are executed, not only forked: each maps everything itself, as the workers of a service do that
 * were started one by one. All wait until the last is there, so that COUNT of them are alive at once. */

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 10000, DEPTH = 20, STEPS_PER_ROUND = 1000, THREAD_STACK_BYTES = 65536 };

static pthread_barrier_t start_line;
static uint64_t rounds_each;

__attribute__((noipa)) static double
descend(unsigned depth)
{
	volatile double sum = depth; /* reading it after the call keeps that from being a jump */

	if (depth > 0)
		return descend(depth - 1) + sum;
	for (unsigned i = 0; i < STEPS_PER_ROUND; i++)
		sum += sin(sum);
	return sum;
}

static void
work(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		descend(DEPTH);
}

static void *
run_thread(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&start_line);
	work(rounds_each);
	return NULL;
}

static void
run_threads(unsigned count)
{
	static pthread_t threads[COUNT_MAX];
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	pthread_barrier_init(&start_line, NULL, count);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], &attributes, run_thread, NULL) != 0)
			abort();
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void
run_processes(unsigned count)
{
	char rounds[24], byte = 0;
	int ready[2], start[2];

	snprintf(rounds, sizeof(rounds), "%llu", (unsigned long long)rounds_each);
	if (pipe(ready) != 0 || pipe(start) != 0)
		abort();
	for (unsigned i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid < 0)
			abort();
		if (pid == 0) {
			dup2(ready[1], 3);
			dup2(start[0], 4);
			for (int fd = 5; fd < 10; fd++)
				close(fd);
			execl("/proc/self/exe", "many", "process", rounds, NULL);
			_exit(1);
		}
	}
	for (unsigned i = 0; i < count; i++)
		if (read(ready[0], &byte, 1) != 1)
			abort();
	close(start[1]);
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

/* One of those: descriptor 3 says that it is there, 4 ends when all are. */
static int
run_process(uint64_t rounds)
{
	char byte = 0;

	if (write(3, &byte, 1) != 1 || read(4, &byte, 1) != 0)
		return 1;
	work(rounds);
	return 0;
}

static uint64_t
wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t
cpu_ns(int who)
{
	struct rusage used;

	getrusage(who, &used);
	return ((uint64_t)used.ru_utime.tv_sec + (uint64_t)used.ru_stime.tv_sec) * 1000000000u +
	       ((uint64_t)used.ru_utime.tv_usec + (uint64_t)used.ru_stime.tv_usec) * 1000u;
}

int
main(int argc, char *argv[])
{
	unsigned count = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	uint64_t began = wall_ns();

	if (argc == 3 && strcmp(argv[1], "process") == 0)
		return run_process(strtoull(argv[2], NULL, 10));
	if (count < 1 || count > COUNT_MAX) {
		fprintf(stderr, "usage: many processes|threads COUNT ROUNDS\n");
		return 2;
	}
	rounds_each = strtoull(argv[3], NULL, 10) / count;
	if (strcmp(argv[1], "threads") == 0)
		run_threads(count);
	else
		run_processes(count);
	printf("%llu %llu\n", (unsigned long long)(wall_ns() - began),
	       (unsigned long long)(cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN)));
	return 0;
}
