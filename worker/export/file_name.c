/* Formats a profile's file name. */

#include "worker/export/file_name.h"

#include "worker/export/utc.h"

#include <stdbool.h>
#include <stdio.h>

#define SERVICE_MAX 100

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
