/* What test_truth steps through: functions on stacks that gcc splits (-fsplit-stack). Where their stack ends,
 * __morestack calls them on a new one. */

#include <signal.h>
#include <stdint.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile uint64_t sink;

__attribute__((no_split_stack)) static void
on_signal(int number)
{
	sink += (uint64_t)number;
}

/* What a function's first instructions compare sp with: the next one that needs a stack gets a new one. */
__attribute__((no_split_stack)) static inline void
pretend_stack_ends(void)
{
	__asm__ volatile("mov %%rsp, %%fs:0x70" ::: "memory");
}

NOINLINE static uint64_t
leaf(uint64_t a)
{
	volatile uint64_t block[40];

	block[a & 15] = a;
	return block[a & 15] * 3;
}

NOINLINE static uint64_t
recurse(unsigned depth, uint64_t value)
{
	volatile uint64_t block[200];

	block[depth & 15] = value;
	if (depth == 0)
		return leaf(value);
	if (depth == 4)
		pretend_stack_ends(); /* and again, from a new stack to the next */
	return recurse(depth - 1, block[depth & 15] * 2) + leaf(depth);
}

int
main(void)
{
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	for (uint64_t i = 0; i < 4; i++) {
		pretend_stack_ends();
		sink += recurse(6, i);
	}
	return sink == 0;
}
