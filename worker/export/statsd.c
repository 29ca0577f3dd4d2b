/* datadog.profiling.native.<name>:<value>|g */

#include "worker/export/statsd.h"

#include "ipc/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

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

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A socket's queue holds ten datagrams (net.unix.max_dgram_qlen), and a server needs its turn to read them.
 */
static bool
send_until(int fd, const char *text, size_t length, int64_t deadline_ms)
{
	struct pollfd socket = {.fd = fd, .events = POLLOUT};

	for (;;) {
		if (send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length)
			return true;
		int64_t left_ms = deadline_ms - now_ms();
		if (errno != EAGAIN || left_ms <= 0)
			return false;
		(void)poll(&socket, 1, (int)left_ms);
		errno = EAGAIN;
	}
}

size_t
statsd_send(const char *path, const struct self_metrics *metrics, int *ret_error)
{
	OWNED_FD fd = connect_to(path);
	int64_t deadline_ms = now_ms() + STATSD_PATIENCE_MS;
	char text[sizeof(PREFIX) + sizeof(metrics->metric[0].name) + 24];
	size_t failed = 0;

	if (fd < 0) {
		*ret_error = -fd;
		return metrics->count;
	}
	for (size_t i = 0; i < metrics->count; i++) {
		int length = snprintf(text, sizeof(text), PREFIX "%s:%lld|g", metrics->metric[i].name,
				      (long long)metrics->metric[i].value);

		if (send_until(fd, text, (size_t)length, deadline_ms))
			continue;
		*ret_error = errno;
		failed++;
	}
	return failed;
}
