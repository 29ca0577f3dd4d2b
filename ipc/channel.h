#pragma once
/* One message plus its descriptors over a SOCK_SEQPACKET pair: a datagram is a message, so there is no
 * framing, and a peer that sends anything but the announced layout costs itself the channel. */

#include "ipc/protocol.h"

#include <stddef.h>

/* A received message owns its descriptors until message_take_fd() or message_discard(). */
struct message {
	uint32_t kind;
	uint32_t size;
	uint32_t fd_count;
	int fd[CHANNEL_MAX_FDS];
	_Alignas(8) uint8_t body[MESSAGE_MAX_BODY];
};

/* A connected, close-on-exec pair, both ends numbered above standard error. 0 or -errno. */
int channel_pair(int ret_ends[static 2]);

/* Sends one message; never raises SIGPIPE, never blocks longer than the peer takes to read its queue.
 * 0 or -errno (EPIPE: the peer is gone; EMSGSIZE; ETOOMANYREFS: too many descriptors in flight). */
int channel_send(int channel, enum message_kind kind, const void *body, size_t size, const int *fds,
		 size_t fd_count);

/* The same, but -EAGAIN instead of waiting for a peer that does not read. */
int channel_try_send(int channel, enum message_kind kind, const void *body, size_t size, const int *fds,
		     size_t fd_count);

/* Receives one message, waiting up to timeout_ms (-1: for ever). 0 or -errno:
 * ETIMEDOUT; EPIPE the peer closed; EMFILE our descriptor table had no room for all that came (MSG_CTRUNC);
 * EBADMSG anything malformed: short or oversized. Whatever arrived with a rejected message is closed. */
int channel_receive(int channel, struct message *ret, int timeout_ms);

/* The body when the message is of that kind, has exactly that size and carries exactly fd_count
 * descriptors; otherwise NULL and the descriptors are closed. */
const void *message_expect(struct message *message, enum message_kind kind, size_t size, size_t fd_count);

int message_take_fd(struct message *message, size_t index);
void message_discard(struct message *message);

/* True when `text` of that capacity holds a terminated string. */
#define IS_TERMINATED(text) (memchr((text), 0, sizeof(text)) != NULL)
