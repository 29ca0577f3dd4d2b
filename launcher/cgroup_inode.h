#pragma once
/* How an agent finds the container of a process that cannot see its container's id: by the inode of its
 * cgroup (libdatadog sends "in-<inode>" as datadog-entity-id). */

#include <stddef.h>

/* "in-<inode>", or "" outside of a container or when there is none to be found. `cgroup_file` is
 * /proc/self/cgroup, `root` where cgroups are mounted. */
void cgroup_inode_text(const char *cgroup_file, const char *root, char *ret, size_t capacity);
