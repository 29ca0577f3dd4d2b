/* datadog.profiling.native.<name>:<value>|g */

#include "worker/export/statsd.h"

#include "ipc/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PREFIX "datadog.profiling.native."

/* Without an address of our own: a socket file in /tmp, as ddprof makes, is nothing our sandbox allows. */
static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

size_t
statsd_send(const char *path, const struct self_metrics *metrics, int *ret_error)
{
	OWNED_FD fd = connect_to(path);
	char text[sizeof(PREFIX) + sizeof(metrics->metric[0].name) + 24];
	size_t failed = 0;

	if (fd < 0) {
		*ret_error = -fd;
		return metrics->count;
	}
	for (size_t i = 0; i < metrics->count; i++) {
		int length = snprintf(text, sizeof(text), PREFIX "%s:%lld|g", metrics->metric[i].name,
				      (long long)metrics->metric[i].value);

		if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == length)
			continue;
		*ret_error = errno;
		failed++;
	}
	return failed;
}
