/* Batches of descriptors on their way in: all of a ring set arrives, or none of it. */

#include "ipc/rings.h"

#include "ipc/fd.h"

#include <errno.h>
#include <stdbool.h>

static bool
is_acceptable(const struct rings_message *batch, const struct message *message, const struct ring_set *so_far,
	      uint32_t total)
{
	if (batch->count == 0 || batch->count != message->fd_count || batch->total > MAX_RINGS)
		return false;
	if (so_far->count > 0 && batch->total != total)
		return false;
	if (batch->count > batch->total - so_far->count)
		return false;
	for (uint32_t i = 0; i < batch->count; i++) {
		uint32_t size = batch->ring[i].data_size;

		if (batch->ring[i].cpu >= UINT16_MAX || size < 4096 || (size & (size - 1)) != 0)
			return false;
	}
	return true;
}

int
ring_set_receive(int channel, struct ring_set *ret, int timeout_ms)
{
	struct message message;
	uint32_t total = 0;

	ret->count = 0;
	do {
		int result = channel_receive(channel, &message, timeout_ms);
		if (result < 0) {
			ring_set_close(ret);
			return result;
		}
		const struct rings_message *batch = (const void *)message.body;

		if (message.kind != MESSAGE_RINGS || message.size != sizeof(*batch) ||
		    !is_acceptable(batch, &message, ret, total)) {
			message_discard(&message);
			ring_set_close(ret);
			return -EBADMSG;
		}
		total = batch->total;
		for (uint32_t i = 0; i < batch->count; i++) {
			ret->about[ret->count] = batch->ring[i];
			ret->fd[ret->count++] = message_take_fd(&message, i);
		}
	} while (ret->count < total);
	return 0;
}

void
ring_set_close(struct ring_set *rings)
{
	for (uint32_t i = 0; i < rings->count; i++)
		close_fd(&rings->fd[i]);
	rings->count = 0;
}
