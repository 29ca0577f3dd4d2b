#pragma once
/* The set of perf ring descriptors, handed over in counted batches: the opener gives it to the
 * supervisor, the supervisor to each new unwinder. */

#include "ipc/channel.h"

struct ring_set {
	uint32_t count;
	int fd[MAX_RINGS]; /* owned */
	struct ring_description about[MAX_RINGS];
};

/* 0 or -errno. Sending borrows the descriptors. Receiving accepts exactly `total` descriptors as the first
 * batch announced it, within MAX_RINGS; anything else is EBADMSG and the set is empty again. */
int ring_set_send(int channel, const struct ring_set *rings);
int ring_set_receive(int channel, struct ring_set *ret, int timeout_ms);
void ring_set_close(struct ring_set *rings);
