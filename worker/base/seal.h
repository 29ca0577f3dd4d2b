#pragma once
/* What one process writes into a memfd for another can be passed on and read, never changed: the writer
 * seals it, and every reader makes sure, or its bytes could change between being checked and being used. */

#include <errno.h>
#include <fcntl.h>

static inline int
memfd_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -errno
												    : 0;
}

/* 0, or -EBADMSG: not a memfd, or one that somebody could still change. */
static inline int
memfd_check_sealed(int fd)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted ? 0 : -EBADMSG;
}
