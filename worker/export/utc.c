/* The Gregorian calendar, in integers. */

#include "worker/export/utc.h"

#include <stdbool.h>

/* Days since 1970-01-01 to a date of the Gregorian calendar, by counting 400-year eras from 0000-03-01. */
struct utc
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
