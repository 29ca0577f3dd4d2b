/* fixed_work THREADS ROUNDS: every thread does the same ROUNDS rounds of work, whatever that takes, then
 * the wall time and the CPU time of all of it are printed in nanoseconds.
 *
 * It looks like a service to a profiler, not like a spinning loop:
 *   - each thread walks 1.5 MB of its own in no order, so that a 32 KB stack copied through the caches shows;
 *   - the work happens 30 calls deep, in frames of three sizes, on about 17 KB of live stack. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS 64
#define MEMORY_WORDS (3u << 16) /* 1.5 MB of them */
#define DEPTH 30
#define STEPS_PER_ROUND 4096 /* about ten microseconds */

struct worker {
	pthread_t thread;
	uint64_t rounds;
	uint64_t *memory;
	uint64_t state;
};

static pthread_barrier_t start_line;

static uint64_t
next_random(uint64_t value)
{
	value ^= value << 13;
	value ^= value >> 7;
	value ^= value << 17;
	return value;
}

__attribute__((noipa)) static uint64_t
walk_memory(struct worker *worker)
{
	uint64_t value = worker->state;

	for (unsigned i = 0; i < STEPS_PER_ROUND; i++) {
		value = next_random(value);
		worker->memory[(value >> 32) % MEMORY_WORDS] += value;
	}
	worker->state = value;
	return value;
}

static uint64_t (*const descend[3])(struct worker *, unsigned);

/* noipa keeps every call a call; reading the frame's array afterwards keeps it from being a jump. */
#define DEFINE_DESCEND(name, words)                                                                     \
	__attribute__((noipa)) static uint64_t name(struct worker *worker, unsigned depth)              \
	{                                                                                               \
		volatile uint64_t frame[words];                                                         \
                                                                                                        \
		frame[0] = frame[(words)-1] = depth;                                                    \
		uint64_t value =                                                                        \
			depth == 0 ? walk_memory(worker) : descend[(depth - 1) % 3](worker, depth - 1); \
		return value + frame[0] + frame[(words)-1];                                             \
	}
DEFINE_DESCEND(descend_small, 16)
DEFINE_DESCEND(descend_medium, 64)
DEFINE_DESCEND(descend_large, 128)

static uint64_t (*const descend[3])(struct worker *, unsigned) = {descend_small, descend_medium,
								  descend_large};

static void *
run(void *argument)
{
	struct worker *worker = argument;
	uint64_t sum = 0;

	pthread_barrier_wait(&start_line);
	for (uint64_t i = 0; i < worker->rounds; i++)
		sum += descend[DEPTH % 3](worker, DEPTH);
	worker->state += sum;
	return NULL;
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void
start(struct worker *worker, uint64_t rounds)
{
	worker->rounds = rounds;
	worker->state = 88172645463325252u;
	worker->memory = malloc(MEMORY_WORDS * sizeof(*worker->memory));
	if (!worker->memory)
		abort();
	memset(worker->memory, 1, MEMORY_WORDS * sizeof(*worker->memory)); /* no page faults later */
	if (pthread_create(&worker->thread, NULL, run, worker) != 0)
		abort();
}

int
main(int argc, char *argv[])
{
	static struct worker workers[MAX_THREADS];
	unsigned threads = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	volatile uint64_t sink;

	if (threads < 1 || threads > MAX_THREADS) {
		fprintf(stderr, "usage: fixed_work THREADS ROUNDS\n");
		return 2;
	}
	pthread_barrier_init(&start_line, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++)
		start(&workers[i], strtoull(argv[2], NULL, 10));

	uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	pthread_barrier_wait(&start_line);
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sink = workers[i].state;
	}
	(void)sink;
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	printf("%llu %llu\n", (unsigned long long)wall_ns, (unsigned long long)cpu_ns);
	return 0;
}
