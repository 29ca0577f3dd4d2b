/* Runs for ever through frames of all sizes and depths, after one line on stdout. Nothing but its own code
 * runs then, so that a build with frame pointers has one in every frame. */

#include <stdint.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#ifdef __clang__
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

static volatile uint64_t sink;
static uint64_t numbers[64];

NOINLINE static uint64_t
leaf(uint64_t a)
{
	return a * 6364136223846793005u + 1442695040888963407u;
}

NOINLINE static uint64_t
busy(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t x = leaf(a), y = leaf(b), z = leaf(c), w = leaf(x ^ y);

	return leaf(x + y) + leaf(y + z) + leaf(z + w) + leaf(w + x) + x * y * z * w;
}

NOINLINE static uint64_t
large_frame(uint64_t a)
{
	volatile uint64_t block[100];

	block[a % 100] = a;
	return busy(block[a % 100], a, 1);
}

NOINLINE static uint64_t
variable_frame(uint64_t a)
{
	volatile char *bytes = __builtin_alloca(16 + a % 200);

	bytes[0] = (char)a;
	return busy((uint64_t)bytes[0], a, 2);
}

NOINLINE static uint64_t
sort(uint64_t *at, unsigned count)
{
	uint64_t pivot;
	unsigned low = 0;

	if (count < 2)
		return count;
	pivot = at[count - 1];
	for (unsigned i = 0; i + 1 < count; i++) {
		if (at[i] < pivot) {
			uint64_t swapped = at[i];

			at[i] = at[low];
			at[low++] = swapped;
		}
	}
	at[count - 1] = at[low];
	at[low] = pivot;
	return sort(at, low) + sort(at + low + 1, count - low - 1);
}

static uint64_t (*const functions[])(uint64_t) = {leaf, large_frame, variable_frame};

NOINLINE static uint64_t
recurse(unsigned depth, uint64_t value)
{
	if (depth == 0)
		return functions[value % 3](value) + busy(value, value + 1, value + 2);
	return recurse(depth - 1, leaf(value)) + leaf(depth);
}

int
main(void)
{
	uint64_t value = 1;

	if (write(STDOUT_FILENO, "\n", 1) != 1)
		return 1;
	for (;;) {
		value = leaf(value);
		sink += recurse(value >> 60, value);
		for (unsigned i = 0; i < 64; i++)
			numbers[i] = value = leaf(value);
		sink += sort(numbers, 64);
	}
}
