/* What is opened is checked by its descriptor, after it was opened: there is no gap to swap it in. */

#include "policy/owned_open.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int
owned_check(int fd, mode_t type, uid_t owner)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if ((status.st_mode & S_IFMT) != type)
		return S_ISLNK(status.st_mode) ? -ELOOP : -EINVAL;
	/* A sticky folder is no excuse: others could still put the file there first. */
	if (status.st_uid != owner || status.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return 0;
}

int
owned_open(int folder, const char *name, mode_t type, uid_t owner)
{
	/* O_NONBLOCK: a FIFO must not hold us up */
	int flags = type == S_IFDIR ? O_PATH : O_RDONLY | O_NOCTTY | O_NONBLOCK;
	OWNED_FD fd = openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int result = owned_check(fd, type, owner);
	return result < 0 ? result : take_fd(&fd);
}
