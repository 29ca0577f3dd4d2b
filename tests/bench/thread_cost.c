/* What the start and end of a thread, of a process, and a switch between two processes take: the events of a
 * profiler are copied for each, and looked at by each.
 *
 * Prints nanoseconds of each, the median of many. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TURNS 400
#define PINGS 50

static int to_child[2], from_child[2];

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *
nothing(void *argument)
{
	return argument;
}

static void
run_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL) == 0)
		pthread_join(thread, NULL);
}

static void
run_process(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
}

static void
ping(void)
{
	char byte = 0;

	for (int i = 0; i < PINGS; i++)
		if (write(to_child[1], &byte, 1) != 1 || read(from_child[0], &byte, 1) != 1)
			exit(1);
}

static _Noreturn void
answer(void)
{
	char byte;

	close(to_child[1]);
	while (read(to_child[0], &byte, 1) == 1)
		if (write(from_child[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static int
compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

static int64_t
median_of(void (*run)(void))
{
	static int64_t took[TURNS];

	for (int i = 0; i < TURNS; i++) {
		int64_t before = now_ns();

		run();
		took[i] = now_ns() - before;
	}
	qsort(took, TURNS, sizeof(took[0]), compare);
	return took[TURNS / 2];
}

int
main(void)
{
	int64_t thread = median_of(run_thread), process = median_of(run_process);

	if (pipe(to_child) < 0 || pipe(from_child) < 0)
		return 1;
	pid_t child = fork();
	if (child == 0)
		answer();
	int64_t round_trip = median_of(ping) / PINGS;
	close(to_child[1]);
	waitpid(child, NULL, 0);
	printf("%lld %lld %lld\n", (long long)thread, (long long)process, (long long)round_trip);
	return 0;
}
