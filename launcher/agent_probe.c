/* Knocks at the doors a Datadog agent on this machine has, all at once, and waits no longer than a launch
 * can. Nothing is sent. The name "localhost" is not looked up: that would read files, and may ask a server.
 */

#include "launcher/destinations.h"

#include "ipc/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define AGENT_SOCKET "/var/run/datadog/apm.socket" /* the agent's default for apm_config.receiver_socket */
#define PROBE_MS 50

enum door { DOOR_SOCKET, DOOR_IPV4, DOOR_IPV6, DOORS };

union address {
	struct sockaddr any;
	struct sockaddr_un socket;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static socklen_t
address_of(enum door door, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch (door) {
	case DOOR_SOCKET:
		ret->socket.sun_family = AF_UNIX;
		memcpy(ret->socket.sun_path, AGENT_SOCKET, sizeof(AGENT_SOCKET));
		return sizeof(ret->socket);
	case DOOR_IPV4:
		ret->ipv4.sin_family = AF_INET;
		ret->ipv4.sin_port = htons(OPTION_AGENT_PORT_DEFAULT);
		ret->ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(ret->ipv4);
	default:
		ret->ipv6.sin6_family = AF_INET6;
		ret->ipv6.sin6_port = htons(OPTION_AGENT_PORT_DEFAULT);
		ret->ipv6.sin6_addr = in6addr_loopback;
		return sizeof(ret->ipv6);
	}
}

/* A connecting socket, owned, or -1 when nobody is there. A full backlog of a Unix socket (EAGAIN) is one
 * that does not answer. */
static int
knock(enum door door, bool *ret_is_open)
{
	union address address;
	socklen_t size = address_of(door, &address);
	OWNED_FD fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	*ret_is_open = connect(fd, &address.any, size) == 0;
	return *ret_is_open || errno == EINPROGRESS ? take_fd(&fd) : -1;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
has_connected(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

/* Until a door opened or none is left. */
static void
wait_for_doors(struct pollfd doors[DOORS], bool is_open[DOORS])
{
	int64_t deadline = now_ms() + PROBE_MS;

	for (;;) {
		int64_t left = deadline - now_ms();
		int waiting = 0;

		for (int i = 0; i < DOORS; i++) {
			if (is_open[i])
				return;
			waiting += doors[i].fd >= 0;
		}
		if (waiting == 0 || left <= 0 || (poll(doors, DOORS, (int)left) < 0 && errno != EINTR))
			return;
		for (int i = 0; i < DOORS; i++) {
			if (doors[i].fd < 0 || !doors[i].revents)
				continue;
			is_open[i] = has_connected(doors[i].fd);
			if (!is_open[i])
				close_fd(&doors[i].fd);
		}
	}
}

bool
agent_answers(const char **ret_socket)
{
	struct pollfd doors[DOORS];
	bool is_open[DOORS] = {false};

	for (int i = 0; i < DOORS; i++)
		doors[i] = (struct pollfd){.fd = knock((enum door)i, &is_open[i]), .events = POLLOUT};
	wait_for_doors(doors, is_open);
	for (int i = 0; i < DOORS; i++)
		close_fd(&doors[i].fd);
	*ret_socket = is_open[DOOR_SOCKET] ? AGENT_SOCKET : NULL;
	return is_open[DOOR_SOCKET] || is_open[DOOR_IPV4] || is_open[DOOR_IPV6];
}
