// split [seconds]: two functions share the CPU exactly 1:2, in slices far shorter than any sampling period.
// Runs until it has used that much CPU time (default 10), then prints the CPU time of the whole process in
// nanoseconds.

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "burn.h"

// noipa, not just noinline: the two would otherwise be folded into one function.
__attribute__((noipa)) uint64_t
one_third(uint64_t seed)
{
	return burn_steps(seed, BURN_STEPS_PER_SLICE);
}

__attribute__((noipa)) uint64_t
two_thirds(uint64_t seed)
{
	return burn_steps(seed, 2 * BURN_STEPS_PER_SLICE);
}

__attribute__((noipa)) uint64_t
alternate(uint64_t end_ns)
{
	uint64_t value = 1;

	while (burn_clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns) {
		for (int i = 0; i < 50; i++) // the clock is a system call: not worth a sample
			value = two_thirds(one_third(value));
	}
	return value;
}

int
main(int argc, char *argv[])
{
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	volatile uint64_t sink = alternate(static_cast<uint64_t>(seconds * 1e9));

	(void)sink;
	printf("%" PRIu64 "\n", burn_clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
