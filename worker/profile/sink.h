#pragma once
/* Parts of a pprof message, appended to a descriptor. Protobuf defines the concatenation of two messages
 * as their merge, so every sample, location or string is put as a Profile of its own: no tree of the whole
 * message is ever built. */

#include <profile.pb-c.h>
#include <stddef.h>
#include <stdint.h>

struct sink {
	int fd;
	int error; /* the first failure, 0 or -errno; everything after it does nothing */
	uint8_t *buffer;
	size_t used, capacity;
};

void sink_put(struct sink *sink, const Perftools__Profiles__Profile *part);
void sink_fail(struct sink *sink, int error); /* 0 is ignored */
void sink_flush(struct sink *sink);
void sink_destroy(struct sink *sink);
