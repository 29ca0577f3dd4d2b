#pragma once
/* A piece of a file, as a whole or not at all: a file that is shorter, or was truncated meanwhile, is a
 * false. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static inline bool
read_at(int fd, uint64_t offset, void *ret_bytes, size_t size)
{
	uint8_t *to = ret_bytes;

	if (offset > INT64_MAX - size)
		return false;
	while (size > 0) {
		ssize_t got = pread(fd, to, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return true;
}
