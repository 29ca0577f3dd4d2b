/* Formats a profile's file name without libc's time zones (they would open files in a sandbox). */

#include "worker/export/file_name.h"

#include <stdbool.h>
#include <stdio.h>

#define SERVICE_MAX 100

struct utc {
	int year, month, day, hour, minute, second;
};

/* Days since 1970-01-01 to a date of the Gregorian calendar, by counting 400-year eras from 0000-03-01. */
static struct utc
utc_of(int64_t seconds)
{
	int64_t days = seconds / 86400;
	int rest = (int)(seconds % 86400);
	int64_t shifted = days + 719468;
	int64_t era = shifted / 146097;
	int64_t day_of_era = shifted % 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);

	return (struct utc){
		.year = (int)(year_of_era + era * 400 + (month <= 2)),
		.month = month,
		.day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
		.hour = rest / 3600,
		.minute = rest % 3600 / 60,
		.second = rest % 60,
	};
}

static char
safe(char c, size_t position)
{
	bool is_awkward_first = position == 0 && (c == '.' || c == '-'); /* hidden, or taken for an option */

	return (unsigned char)c < 0x20 || c == 0x7f || c == '/' || is_awkward_first ? '_' : c;
}

void
export_file_name(const char *service, uint32_t pid, int64_t end_ns, uint64_t sequence, char *ret_name,
		 size_t capacity)
{
	struct utc time = utc_of(end_ns / 1000000000);
	char name[SERVICE_MAX + 1];
	size_t length = 0;

	for (; service[length] && length < SERVICE_MAX; length++)
		name[length] = safe(service[length], length);
	while (service[length] && length > 0 && (service[length] & 0xc0) == 0x80)
		length--; /* cut between characters */
	name[length] = 0;
	snprintf(ret_name, capacity, "%s-%u-%04d%02d%02dT%02d%02d%02dZ-%llu.pprof", name, pid, time.year,
		 time.month, time.day, time.hour, time.minute, time.second, (unsigned long long)sequence);
}
