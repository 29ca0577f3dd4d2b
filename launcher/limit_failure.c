/* One row for each limit. */

#include "launcher/limit_failure.h"

#include <errno.h>
#include <stddef.h>

enum failure
limit_failure(enum failure failure, int error)
{
	static const struct {
		int error;
		enum failure failure;
	} limits[] = {
		{EMFILE, FAILURE_TOO_MANY_FILES},       {ENFILE, FAILURE_TOO_MANY_FILES},
		{ETOOMANYREFS, FAILURE_TOO_MANY_FILES}, /* counts those in flight between processes */
		{EAGAIN, FAILURE_TOO_MANY_PROCESSES},   /* fork, or exec after a change of user */
		{ENOMEM, FAILURE_TOO_LITTLE_MEMORY},
	};

	if (failure_detail(failure) != FAILURE_DETAIL_ERRNO)
		return failure;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].error == error)
			return limits[i].failure;
	return failure;
}
