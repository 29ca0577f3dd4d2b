/* Written whole or not at all. */

#include "launcher/sealed_memfd.h"

#include "ipc/fd.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int
sealed_memfd(const char *name, const struct iovec parts[], int count)
{
	OWNED_FD fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t size = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; i < count; i++)
		size += (ssize_t)parts[i].iov_len;
	ssize_t written = writev(fd, parts, count);
	if (written != size)
		return written < 0 ? -errno : -EFBIG;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return take_fd(&fd);
}
