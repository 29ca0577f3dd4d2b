/* The first thing it does in main is to read CLOCK_MONOTONIC; then it says what it read, in nanoseconds. */

#include <stdio.h>
#include <time.h>

int
main(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	return 0;
}
