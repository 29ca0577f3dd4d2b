/* Batches of at most CHANNEL_MAX_FDS descriptors on their way out. */

#include "ipc/rings.h"

#include <string.h>

int
ring_set_send(int channel, const struct ring_set *rings)
{
	struct rings_message body;

	for (uint32_t sent = 0; sent < rings->count; sent += body.count) {
		memset(&body, 0, sizeof(body));
		body.total = rings->count;
		body.count = rings->count - sent < CHANNEL_MAX_FDS ? rings->count - sent : CHANNEL_MAX_FDS;
		memcpy(body.ring, &rings->about[sent], body.count * sizeof(body.ring[0]));

		int result = channel_send(channel, MESSAGE_RINGS, &body, sizeof(body), &rings->fd[sent],
					  body.count);
		if (result < 0)
			return result;
	}
	return 0;
}
