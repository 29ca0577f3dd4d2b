/* One buffer, grown to the largest part, written when full. */
#include "worker/profile/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 << 10 };

void
sink_fail(struct sink *sink, int error)
{
	if (!sink->error)
		sink->error = error;
}

void
sink_flush(struct sink *sink)
{
	size_t done = 0;

	while (!sink->error && done < sink->used) {
		ssize_t written = write(sink->fd, sink->buffer + done, sink->used - done);

		if (written > 0)
			done += (size_t)written;
		else if (written == 0)
			sink_fail(sink, -EIO);
		else if (errno != EINTR)
			sink_fail(sink, -errno);
	}
	sink->used = 0;
}

static uint8_t *
make_room(struct sink *sink, size_t size)
{
	if (size > sink->capacity - sink->used)
		sink_flush(sink);
	if (size > sink->capacity) {
		size_t capacity = size > BUFFER_SIZE ? size : BUFFER_SIZE;
		void *buffer = realloc(sink->buffer, capacity);

		if (!buffer) {
			sink_fail(sink, -ENOMEM);
			return NULL;
		}
		sink->buffer = buffer;
		sink->capacity = capacity;
	}
	return sink->error ? NULL : sink->buffer + sink->used;
}

void
sink_put(struct sink *sink, const Perftools__Profiles__Profile *part)
{
	uint8_t *room;

	if (sink->error)
		return;
	/* Packed into memory measured before, not into a ProtobufCBuffer: that one drops bytes silently
	 * when out of memory. */
	room = make_room(sink, perftools__profiles__profile__get_packed_size(part));
	if (room)
		sink->used += perftools__profiles__profile__pack(part, room);
}

void
sink_destroy(struct sink *sink)
{
	free(sink->buffer);
	*sink = (struct sink){.fd = -1};
}
