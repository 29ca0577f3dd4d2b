#pragma once
/* Calendar time without libc's time zones (they would open files in a sandbox). */

#include <stdint.h>

struct utc {
	int year, month, day, hour, minute, second;
};

/* `seconds` since 1970-01-01T00:00:00Z, not negative. */
struct utc utc_of(int64_t seconds);
