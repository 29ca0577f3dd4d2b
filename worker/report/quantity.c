/* Three significant digits are all a profile has to say. */
#include "worker/report/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct scale {
	double size;
	const char *suffix;
};

static const struct scale seconds[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "\xc2\xb5s"}, {1, "ns"}, {0, NULL}};
static const struct scale bytes[] = {{1099511627776.0, "TiB"},
				     {1073741824.0, "GiB"},
				     {1048576.0, "MiB"},
				     {1024.0, "KiB"},
				     {1, "B"},
				     {0, NULL}};

static const struct {
	const char *unit;
	const struct scale *scales;
	double factor; /* to the smallest scale */
} units[] = {
	{"nanoseconds", seconds, 1},
	{"microseconds", seconds, 1e3},
	{"milliseconds", seconds, 1e6},
	{"seconds", seconds, 1e9},
	{"bytes", bytes, 1},
	{"kilobytes", bytes, 1024},
};

static void
format_scaled(char ret[static QUANTITY_SIZE], double value, const struct scale *scale)
{
	double size = value < 0 ? -value : value;
	int decimals;

	while (scale[1].suffix && size < scale->size * 0.9995) /* 999.7ms is 1.00s */
		scale++;
	value /= scale->size;
	size /= scale->size;
	decimals = scale->size == 1 ? 0 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
	snprintf(ret, QUANTITY_SIZE, "%.*f%s", decimals, value, scale->suffix);
}

void
quantity_format(char ret[static QUANTITY_SIZE], int64_t value, const char *unit)
{
	for (size_t i = 0; value != 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].unit) == 0) {
			format_scaled(ret, (double)value * units[i].factor, units[i].scales);
			return;
		}
	snprintf(ret, QUANTITY_SIZE, "%" PRId64, value);
}

void
quantity_percent(char ret[static QUANTITY_SIZE], int64_t part, int64_t whole)
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;
	double size = percent < 0 ? -percent : percent;

	snprintf(ret, QUANTITY_SIZE, "%.*f%%",
		 size == 0 || size >= 99.95 ? 0
		 : size < 9.995             ? 2
					    : 1,
		 percent);
}
