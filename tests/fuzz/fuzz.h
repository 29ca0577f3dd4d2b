#pragma once
/* What every fuzz target shares: the entry point that libFuzzer and replay.c call, and a check that fails the
 * same way in both. A target must do the same for the same bytes, and leave nothing allocated. `bytes` may be
 * NULL when there are none. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* An invariant of the code under test; not assert(), which a build could leave out. */
#define CHECK(condition)                                                                          \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                  \
		}                                                                                 \
	} while (0)

/* So that the compiler cannot leave out the reading of bytes whose place is to be checked. */
static inline void
use_bytes(const void *bytes, size_t size)
{
	static volatile uint8_t sum; /* volatile: so that nobody leaves out the reads */

	for (size_t i = 0; i < size; i++)
		sum ^= ((const uint8_t *)bytes)[i];
}
