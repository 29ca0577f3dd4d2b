#pragma once
/* Numbers as people read them. */

#include <stddef.h>
#include <stdint.h>

#define QUANTITY_SIZE 32

/* By the pprof unit: nanoseconds, microseconds, milliseconds and seconds as "1.23s", "45.0ms"; bytes as
 * "1.50MiB"; anything else as a plain count. */
void quantity_format(char ret[static QUANTITY_SIZE], int64_t value, const char *unit);

/* "12.3%"; "0%" of nothing. */
void quantity_percent(char ret[static QUANTITY_SIZE], int64_t part, int64_t whole);
