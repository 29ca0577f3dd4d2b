/* deep_frame_pointers [seconds [word]]: two threads, 10 to 70 calls deep, for builds with frame pointers; for
 * ever without seconds. One word changes what they do:
 *
 *   libc   they also sort, format and allocate: the C library may have no frame pointers, and uses rbp for
 * other things mixed  some calls lead through a function without frame pointer, whose caller a chain leaves
 * out (gcc) large  frames are so large that most stacks have more than 8 KB */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

static bool uses_libc, is_mixed, is_large;
static volatile uint64_t sink;

NOINLINE static uint64_t
mix(uint64_t a)
{
	a ^= a >> 31;
	return a * 6364136223846793005u + 1442695040888963407u;
}

NOINLINE static uint64_t
large_frame(uint64_t a)
{
	volatile uint64_t block[300];

	block[a % 300] = a;
	return mix(block[a % 300]) + mix(a);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = mix(*(const uint64_t *)a), y = mix(*(const uint64_t *)b);

	return x < y ? -1 : x > y;
}

NOINLINE static uint64_t
library(uint64_t a)
{
	uint64_t numbers[32];
	char text[64];
	char *copy;

	for (unsigned i = 0; i < 32; i++)
		numbers[i] = a = mix(a);
	qsort(numbers, 32, sizeof(numbers[0]), compare);
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)numbers[3], "text");
	copy = strdup(text);
	a += copy ? strlen(copy) : 0;
	free(copy);
	return a;
}

NOINLINE static uint64_t
work(uint64_t a)
{
	static __thread char from[2048], to[2048];

	for (unsigned i = 0; i < 8; i++)
		a = mix(a) + large_frame(a);
	memcpy(to, from, 1024 + a % 1024);
	from[a % 2048] = (char)a;
	return uses_libc ? library(a) : a;
}

static uint64_t descend(unsigned depth, uint64_t a);

NOINLINE static uint64_t
left(unsigned depth, uint64_t a)
{
	return descend(depth, a) + mix(a);
}

NOINLINE static uint64_t
right(unsigned depth, uint64_t a)
{
	volatile uint64_t local[8] = {a};

	return descend(depth, local[0]) + work(a);
}

#ifndef __clang__
__attribute__((optimize("omit-frame-pointer")))
#endif
NOINLINE static uint64_t
without_record(unsigned depth, uint64_t a)
{
	return descend(depth, a) + mix(a);
}

NOINLINE static uint64_t
large(unsigned depth, uint64_t a)
{
	volatile uint64_t local[100] = {a};

	return descend(depth, local[0]) + work(a);
}

static uint64_t (*const directions[])(unsigned, uint64_t) = {left, right, without_record, large};

static unsigned
direction(uint64_t a)
{
	if (is_large)
		return 3;
	return is_mixed && a % 64 == 0 ? 2 : a & 1;
}

NOINLINE static uint64_t
descend(unsigned depth, uint64_t a)
{
	if (depth == 0)
		return work(a) + work(a + 1);
	return directions[direction(a)](depth - 1, mix(a)) + 1;
}

static void *
run(void *unused)
{
	uint64_t a = 1;

	for (;;) {
		a = mix(a);
		sink += descend(5 + (unsigned)(a >> 60) * 2, a);
	}
	return unused;
}

static void
end(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

int
main(int argc, char **argv)
{
	pthread_t thread;
	const char *word = argc > 2 ? argv[2] : "";

	uses_libc = strcmp(word, "libc") == 0;
	is_mixed = strcmp(word, "mixed") == 0;
	is_large = strcmp(word, "large") == 0;
	signal(SIGPROF, end);
	setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = argc > 1 ? atoi(argv[1]) : 0}, NULL);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		return 1;
	run(NULL);
}
