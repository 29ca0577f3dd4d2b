/* Name by name, because openat2(2), which could do it at once, takes its flags where our filter cannot see
 * that they only read. */

#include "worker/supervisor/open_below.h"

#include "ipc/fd.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Cuts the next name off a path; -EINVAL at its end and for names that only a made-up path has. */
static int
next_name(const char **path, char ret_name[static NAME_MAX + 1])
{
	const char *start = *path + strspn(*path, "/");
	size_t length = strcspn(start, "/");

	if (length == 0 || length > NAME_MAX || strncmp(start, "..", length) == 0)
		return -EINVAL;
	memcpy(ret_name, start, length);
	ret_name[length] = 0;
	*path = start + length;
	return 0;
}

static int
walk(int folder, const char *path, int flags_of_last)
{
	char name[NAME_MAX + 1];
	OWNED_FD at = folder;

	if (at < 0)
		return -errno;
	for (;;) {
		int result = next_name(&path, name);
		if (result < 0)
			return result;
		int fd = openat(at, name, O_NOFOLLOW | (*path ? FOLDER_FLAGS : flags_of_last));
		if (fd < 0)
			return -errno;
		if (!*path)
			return fd;
		close_fd(&at);
		at = fd;
	}
}

int
open_below(int folder, const char *path)
{
	return walk(folder, path, READ_FLAGS);
}

int
open_folder_below(int folder, const char *path)
{
	return walk(folder, path, FOLDER_FLAGS);
}

static bool
is_elf(int fd)
{
	char magic[SELFMAG];

	return pread(fd, magic, sizeof(magic), 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

int
accept_elf(int opened)
{
	struct stat status;
	OWNED_FD fd = opened;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) && status.st_size > 0 && is_elf(fd) ? take_fd(&fd) : -EINVAL;
}
