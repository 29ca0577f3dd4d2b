/* A function inside of another one (GNU C): gcc writes its entry inside of that of a function at another
 * place. */
#include <stdlib.h>

static inline int
three_way(int x, int y)
{
	return (x > y) - (x < y);
}

static __attribute__((noinline)) int
sort(int *values, size_t count)
{
	__attribute__((noinline)) int order(const void *a, const void *b)
	{
		const int *x = a, *y = b;

		return three_way(*x >> 4, *y >> 4) * 2 + three_way(*x & 15, *y & 15);
	}

	qsort(values, count, sizeof(*values), order);
	return values[0];
}

int
main(int count, char **arguments)
{
	int values[16] = {3, 1, 2};

	(void)arguments;
	return sort(values, (size_t)count % 16);
}
