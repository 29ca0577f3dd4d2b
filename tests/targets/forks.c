/* forks PROCESSES THREADS SECONDS: that many processes (this one included), each with that many threads (the
 * main one included), all burning CPU for SECONDS of it. Prints "pid tid" for every thread. Exits with 1 if
 * any failed. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burn.h"

#define THREADS_MAX 64

static uint64_t duration_ns;

__attribute__((noipa)) static uint64_t
burn_in_thread(void)
{
	return burn_thread_cpu(duration_ns);
}

static void *
run_thread(void *unused)
{
	(void)unused;
	dprintf(STDOUT_FILENO, "%d %d\n", getpid(),
		gettid()); /* one write: lines of several processes never mix */
	(void)burn_in_thread();
	return NULL;
}

static int
run_process(int thread_count)
{
	pthread_t threads[THREADS_MAX];

	for (int i = 1; i < thread_count; i++) {
		if (pthread_create(&threads[i], NULL, run_thread, NULL) != 0)
			return 1;
	}
	run_thread(NULL);
	for (int i = 1; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static int
wait_for_children(void)
{
	int result = 0;
	int status;

	while (wait(&status) > 0) {
		if (status != 0)
			result = 1;
	}
	return result;
}

int
main(int argc, char *argv[])
{
	int process_count = argc == 4 ? atoi(argv[1]) : 0;
	int thread_count = argc == 4 ? atoi(argv[2]) : 0;

	if (process_count < 1 || thread_count < 1 || thread_count > THREADS_MAX) {
		fprintf(stderr, "usage: forks PROCESSES THREADS SECONDS\n");
		return 2;
	}
	duration_ns = (uint64_t)(atof(argv[3]) * 1e9);

	for (int i = 1; i < process_count; i++) {
		pid_t child = fork();

		if (child < 0)
			return 1;
		if (child == 0)
			_exit(run_process(thread_count));
	}

	int result = run_process(thread_count);

	return wait_for_children() | result;
}
