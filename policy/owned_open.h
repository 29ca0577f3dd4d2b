#pragma once
/* Opens one folder or file that only `owner` can have put there or changed: no symbolic link, and neither
 * owned nor writable by anybody else. A path is walked one such step after the other, never as a string. */

#include <sys/types.h>

/* type: S_IFDIR (a descriptor to walk on from, O_PATH) or S_IFREG (to read). The descriptor, or -errno: ELOOP
 * a symbolic link, EPERM wrong owner or mode, EINVAL or ENOTDIR another type. */
int owned_open(int folder, const char *name, mode_t type, uid_t owner);

/* The same check for a descriptor one already has. 0 or -errno. */
int owned_check(int fd, mode_t type, uid_t owner);
