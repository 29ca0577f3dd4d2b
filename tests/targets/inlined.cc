// inlined [seconds]: all work happens in calls that the compiler must inline, three deep; compiled with -O2 -g, and
// with another version of DWARF as inlined_dwarf4. Lines carry marks that the test looks for.

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "burn.h"

namespace shop {

struct Basket {
	uint64_t value;

	[[gnu::always_inline]] uint64_t count(uint64_t steps) const
	{
		uint64_t sum = value;

		for (uint64_t i = 0; i < steps; i++)
			sum = sum * 6364136223846793005u + i; // mark: count
		return sum;
	}
};

template <typename Thing>
[[gnu::always_inline]] inline uint64_t
total(const Thing &thing, uint64_t steps)
{
	return thing.count(steps) ^ 1; // mark: total
}

[[gnu::noipa]] uint64_t
checkout(uint64_t seed)
{
	return total(Basket{seed}, 1000000); // mark: checkout
}

} // namespace shop

int
main(int argc, char *argv[])
{
	uint64_t end_ns = static_cast<uint64_t>((argc > 1 ? atof(argv[1]) : 2) * 1e9), value = 1;

	while (burn_clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
		value = shop::checkout(value);
	printf("%" PRIu64 "\n", value);
}
