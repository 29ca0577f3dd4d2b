#pragma once
/* An owned file descriptor: it has one owner, and taking it leaves the old owner empty (-1). */

#include <fcntl.h>
#include <unistd.h>

static inline void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline int
take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closed when the variable goes out of scope, unless taken before. */
#define OWNED_FD __attribute__((cleanup(close_fd))) int

/* Puts a descriptor at a fixed number for the program about to be executed. 0 or -1 with errno. */
static inline int
place_fd(int fd, int number)
{
	if (fd == number)
		return fcntl(fd, F_SETFD, 0); /* dup2 of equal numbers would leave it close-on-exec */
	return dup2(fd, number) < 0 ? -1 : 0;
}
