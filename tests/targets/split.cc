// split [seconds]: two functions share the CPU exactly 1:2, in turns of about 20 and 40 ms: a few samples each, so that
// ten seconds at 99 Hz tell the shares to half a point. (Turns shorter than the sampling period would make each sample
// an independent throw: a third of 990 throws scatters by 1.5 points.)
// Runs until it has used that much CPU time (default 10), then prints the CPU time of the whole process in
// nanoseconds.

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "burn.h"

constexpr uint64_t turn_steps = 600 * BURN_STEPS_PER_SLICE;

// noipa, not just noinline: the two would otherwise be folded into one function.
__attribute__((noipa)) uint64_t
one_third(uint64_t seed)
{
	return burn_steps(seed, turn_steps);
}

__attribute__((noipa)) uint64_t
two_thirds(uint64_t seed)
{
	return burn_steps(seed, 2 * turn_steps);
}

__attribute__((noipa)) uint64_t
alternate(uint64_t end_ns)
{
	uint64_t value = 1;

	while (burn_clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
		value = two_thirds(one_third(value));
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
