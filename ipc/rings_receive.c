/* Batches of descriptors on their way in: all of a ring set arrives, or none of it. */

#include "ipc/rings.h"

#include "ipc/fd.h"

#include <errno.h>
#include <stdbool.h>

static bool
is_acceptable(const struct rings_message *batch, const struct message *message, const struct ring_set *so_far,
	      uint32_t total)
{
	if (batch->count == 0 || batch->count != message->fd_count || batch->total > MAX_EVENTS)
		return false;
	if (so_far->count > 0 && batch->total != total)
		return false;
	if (batch->count > batch->total - so_far->count)
		return false;
	for (uint32_t i = 0; i < batch->count; i++)
		if (batch->ring[i].cpu >= UINT16_MAX)
			return false;
	return true;
}

/* Rings, then events that write to them. */
static bool
is_next(const struct ring_set *so_far, const struct ring_description *about)
{
	uint32_t size = about->data_size;

	if (size == 0)
		return so_far->ring_count > 0 && so_far->count - so_far->ring_count < MAX_OTHER_EVENTS;
	return so_far->count == so_far->ring_count && so_far->count < MAX_RINGS && size >= 4096 &&
	       (size & (size - 1)) == 0;
}

/* False, with nothing taken of what is wrong: the message still owns it. */
static bool
take_batch(struct ring_set *set, struct message *message, const struct rings_message *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		if (!is_next(set, &batch->ring[i]))
			return false;
		set->about[set->count] = batch->ring[i];
		set->fd[set->count++] = message_take_fd(message, i);
		set->ring_count += batch->ring[i].data_size > 0;
	}
	return true;
}

int
ring_set_receive(int channel, struct ring_set *ret, int timeout_ms)
{
	struct message message;
	uint32_t total = 0;

	ret->count = ret->ring_count = 0;
	do {
		int result = channel_receive(channel, &message, timeout_ms);
		if (result < 0) {
			ring_set_close(ret);
			return result;
		}
		const struct rings_message *batch = (const void *)message.body;

		if (message.kind != MESSAGE_RINGS || message.size != sizeof(*batch) ||
		    !is_acceptable(batch, &message, ret, total) || !take_batch(ret, &message, batch)) {
			message_discard(&message);
			ring_set_close(ret);
			return -EBADMSG;
		}
		total = batch->total;
	} while (ret->count < total);
	return 0;
}

void
ring_set_close(struct ring_set *rings)
{
	for (uint32_t i = 0; i < rings->count; i++)
		close_fd(&rings->fd[i]);
	rings->count = rings->ring_count = 0;
}
