#pragma once
/* The set of perf descriptors, handed over in counted batches: the opener gives it to the supervisor, the
 * supervisor to each new unwinder. */

#include "ipc/channel.h"

struct ring_set {
	uint32_t count;
	uint32_t ring_count; /* the first ones have a ring each; the others write to those */
	int fd[MAX_EVENTS];  /* owned */
	struct ring_description about[MAX_EVENTS];
};

/* 0 or -errno. Sending borrows the descriptors. Receiving accepts exactly `total` descriptors as the first
 * batch announced it, within MAX_EVENTS, rings first; anything else is EBADMSG and the set is empty again. */
int ring_set_send(int channel, const struct ring_set *rings);
int ring_set_receive(int channel, struct ring_set *ret, int timeout_ms);
void ring_set_close(struct ring_set *rings);
