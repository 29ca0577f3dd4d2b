#pragma once
/* Sums that stay at their limit. */

#include <stdint.h>

static inline int64_t
add_saturated(int64_t one, int64_t other)
{
	int64_t sum;

	if (__builtin_add_overflow(one, other, &sum))
		return other > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}
