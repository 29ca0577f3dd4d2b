#pragma once
/* What unwinding knows of one frame's registers: bit r of `known` says whether value[r] means anything. */

#include <stdbool.h>
#include <stdint.h>

struct register_file {
	uint64_t value[REGISTER_COUNT];
	uint64_t known;
};

_Static_assert(REGISTER_COUNT < 64, "one bit each");

#define ALL_REGISTERS ((1ull << REGISTER_COUNT) - 1)

static inline bool
register_is_known(const struct register_file *registers, unsigned number)
{
	return number < REGISTER_COUNT && (registers->known >> number & 1);
}

static inline void
register_set(struct register_file *registers, unsigned number, uint64_t value)
{
	registers->value[number] = value;
	registers->known |= 1ull << number;
}

/* The value stays as a hint. */
static inline void
register_forget(struct register_file *registers, unsigned number)
{
	registers->known &= ~(1ull << number);
}
