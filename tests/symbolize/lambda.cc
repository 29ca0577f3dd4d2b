// A lambda that stays a function of its own: gcc writes its entry inside of that of its class, which is inside of that
// of the function that makes it.
#include <cstdio>

static inline unsigned
step(unsigned sum, unsigned value)
{
	return (sum << 5) + sum + value;
}

int
main(int count, char **arguments)
{
	auto sum = [&](int from) __attribute__((noipa)) {
		unsigned value = static_cast<unsigned>(count);

		for (int i = from; arguments[0][i]; i++)
			value = step(step(value, arguments[0][i]), static_cast<unsigned>(i));
		return value;
	};

	printf("%u\n", sum(0) + sum(count));
}
