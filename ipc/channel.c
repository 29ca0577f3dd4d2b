/* SEQPACKET messages with descriptors: what arrives is complete, of the announced size and owned, or it
 * does not arrive at all. */

#include "ipc/channel.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* A caller may run us with 0-2 closed; a socket there would receive somebody's error messages. */
static int
move_above_stdio(int *fd)
{
	if (*fd > STDERR_FILENO)
		return 0;

	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (moved < 0)
		return -errno;
	close_fd(fd);
	*fd = moved;
	return 0;
}

int
channel_pair(int ret_ends[static 2])
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;

	int result = move_above_stdio(&ends[0]);
	if (result == 0)
		result = move_above_stdio(&ends[1]);
	if (result < 0) {
		close_fd(&ends[0]);
		close_fd(&ends[1]);
		return result;
	}
	memcpy(ret_ends, ends, sizeof(ends));
	return 0;
}

static int
send_message(int flags, int channel, enum message_kind kind, const void *body, size_t size, const int *fds,
	     size_t fd_count)
{
	struct message_head head = {.kind = kind, .size = (uint32_t)size};
	struct iovec parts[2] = {
		{.iov_base = &head, .iov_len = sizeof(head)},
		{.iov_base = (void *)(uintptr_t)body, .iov_len = size},
	};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))];
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = size ? 2 : 1};

	if (size > MESSAGE_MAX_BODY || fd_count > CHANNEL_MAX_FDS)
		return -EMSGSIZE;
	if (fd_count > 0) {
		size_t bytes = fd_count * sizeof(int);

		memset(control, 0, CMSG_SPACE(bytes));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(rights), fds, bytes);
	}
	for (;;) {
		if (sendmsg(channel, &message, MSG_NOSIGNAL | flags) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

int
channel_send(int channel, enum message_kind kind, const void *body, size_t size, const int *fds,
	     size_t fd_count)
{
	return send_message(0, channel, kind, body, size, fds, fd_count);
}

int
channel_try_send(int channel, enum message_kind kind, const void *body, size_t size, const int *fds,
		 size_t fd_count)
{
	return send_message(MSG_DONTWAIT, channel, kind, body, size, fds, fd_count);
}

/* Descriptors are collected even from a message that will be rejected: otherwise a hostile peer could
 * fill our descriptor table one bad message at a time. */
static void
collect_descriptors(struct msghdr *header, struct message *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count && ret->fd_count < CHANNEL_MAX_FDS; i++)
			memcpy(&ret->fd[ret->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The deadline is absolute, so a stream of signals cannot stretch it. */
static int
wait_readable(int channel, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = channel, .events = POLLIN};
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : deadline - now_ms();
		int ready = poll(&poll_fd, 1, timeout_ms >= 0 && left < 0 ? 0 : (int)left);

		if (ready > 0)
			return 0;
		if (ready == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int
channel_receive(int channel, struct message *ret, int timeout_ms)
{
	struct message_head head;
	struct iovec parts[2] = {
		{.iov_base = &head, .iov_len = sizeof(head)},
		{.iov_base = ret->body, .iov_len = sizeof(ret->body)},
	};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))];
	struct msghdr header = {
		.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t got;

	ret->fd_count = 0;
	if (timeout_ms >= 0) {
		int result = wait_readable(channel, timeout_ms);
		if (result < 0)
			return result;
	}
	/* A peer that closed before it read all of ours leaves ECONNRESET, once, in front of what it had
	 * said. */
	do {
		got = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	} while (got < 0 && (errno == EINTR || errno == ECONNRESET));
	if (got < 0)
		return -errno;
	collect_descriptors(&header, ret);
	if (got == 0) {
		message_discard(ret);
		return -EPIPE;
	}
	if (header.msg_flags & MSG_CTRUNC) { /* there is room for all that one message can carry */
		message_discard(ret);
		return -EMFILE;
	}
	if ((size_t)got < sizeof(head) || (header.msg_flags & MSG_TRUNC) ||
	    head.size != (size_t)got - sizeof(head)) {
		message_discard(ret);
		return -EBADMSG;
	}
	ret->kind = head.kind;
	ret->size = head.size;
	return 0;
}

const void *
message_expect(struct message *message, enum message_kind kind, size_t size, size_t fd_count)
{
	if (message->kind == (uint32_t)kind && message->size == size && message->fd_count == fd_count)
		return message->body;
	message_discard(message);
	return NULL;
}

int
message_take_fd(struct message *message, size_t index)
{
	return take_fd(&message->fd[index]);
}

void
message_discard(struct message *message)
{
	for (size_t i = 0; i < message->fd_count; i++)
		close_fd(&message->fd[i]);
	message->fd_count = 0;
}
