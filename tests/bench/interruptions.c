/* How much of a CPU-bound thread's time is taken from it, by watching the clock without pause: a step between
 * two readings that is longer than a reading takes was somebody else's time. Deep in calls and with a working
 * set of its own, so that a sample costs what it costs a real program.
 *
 * Prints: nanoseconds watched, steps of 1 to 100 us (an interrupt, a sample), their sum and their median
 * length. Longer steps are another program on this CPU or another guest on this machine, and left out. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SHORTEST_NS 1000
#define LONGEST_NS 100000
#define STEPS_MAX 1000000
#define WORKING_SET (1536 * 1024)
#define DEPTH 30 /* unless the second argument says otherwise */
#define FRAME 512

static uint32_t steps[STEPS_MAX];
static size_t step_count;
static volatile uint8_t working_set[WORKING_SET];

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One cache line of the working set per reading: what an interruption displaced shows up as its cost too. */
static void
watch(int64_t until)
{
	size_t line = 0;

	for (int64_t before = now_ns(), now; before < until; before = now) {
		working_set[line]++;
		line = (line + 64) % WORKING_SET;
		now = now_ns();
		if (now - before >= SHORTEST_NS && now - before < LONGEST_NS && step_count < STEPS_MAX)
			steps[step_count++] = (uint32_t)(now - before);
	}
}

static __attribute__((noinline)) void
descend(int depth, int64_t until)
{
	volatile uint8_t frame[FRAME];

	frame[0] = (uint8_t)depth;
	if (depth == 0)
		watch(until);
	else
		descend(depth - 1, until);
	frame[FRAME - 1] = frame[0];
}

static int
compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

int
main(int argc, char **argv)
{
	int64_t start = now_ns(), sum = 0;

	descend(argc > 2 ? atoi(argv[2]) : DEPTH, start + (int64_t)((argc > 1 ? atof(argv[1]) : 1.0) * 1e9));
	qsort(steps, step_count, sizeof(steps[0]), compare);
	for (size_t i = 0; i < step_count; i++)
		sum += steps[i];
	printf("%lld %zu %lld %u\n", (long long)(now_ns() - start), step_count, (long long)sum,
	       step_count ? steps[step_count / 2] : 0);
	return 0;
}
