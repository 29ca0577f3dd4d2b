#pragma once
/* A finished profile in a memfd can be passed on and read by the next role, never changed. */

#include <errno.h>
#include <fcntl.h>

static inline int
profile_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -errno
												    : 0;
}
