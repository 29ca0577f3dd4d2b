// What test_truth steps through: exceptions, thrown through frames that clean up, rethrown, caught.

#include <csignal>
#include <cstdint>

#define NOINLINE __attribute__((noinline, noclone))

static volatile uint64_t sink;

struct Cleanup {
	uint64_t value;
	NOINLINE ~Cleanup()
	{
		sink = sink + value;
	}
};

NOINLINE static uint64_t
thrower(unsigned depth)
{
	Cleanup cleanup{depth};

	if (depth == 0)
		throw depth;
	return thrower(depth - 1) + 1;
}

NOINLINE static uint64_t
rethrower(unsigned depth)
{
	try {
		return thrower(depth);
	} catch (unsigned number) {
		sink = sink + number;
		throw;
	}
}

static void
on_signal(int number)
{
	sink = sink + (uint64_t)number;
}

int
main()
{
	std::signal(SIGUSR1, on_signal);
	std::raise(SIGUSR1);
	for (unsigned i = 0; i < 2; i++) {
		try {
			sink = sink + rethrower(2 + i);
		} catch (...) {
			sink = sink + 1;
		}
	}
	return 0;
}
