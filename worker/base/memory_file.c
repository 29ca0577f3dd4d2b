/* pread and write until done; a file that shrinks meanwhile is an error, not a short profile. */

#include "worker/base/memory_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int
memory_file_read(int fd, uint8_t **ret_bytes, size_t *ret_size)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return -errno;
	if (size > (off_t)MEMORY_FILE_MAX)
		return -EFBIG;
	uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
	if (!bytes)
		return -ENOMEM;
	for (off_t at = 0; at < size;) {
		ssize_t got = pread(fd, bytes + at, (size_t)(size - at), at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int error = got < 0 ? errno : EIO;

			free(bytes);
			return -error;
		}
		at += got;
	}
	*ret_bytes = bytes;
	*ret_size = (size_t)size;
	return 0;
}

int
memory_file_write(int fd, const uint8_t *bytes, size_t size)
{
	for (size_t at = 0; at < size;) {
		ssize_t written = write(fd, bytes + at, size - at);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		at += (size_t)written;
	}
	return 0;
}
