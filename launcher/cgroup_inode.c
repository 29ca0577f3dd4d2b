/* cgroup v2's one line, or the memory controller's of v1: what the agent looks up. */

#include "launcher/cgroup_inode.h"

#include "ipc/fd.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HOST_CGROUP_NAMESPACE 0xEFFFFFFBu /* PROC_CGROUP_INIT_INO of the kernel's proc_ns.h */

static bool
is_in_host_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/cgroup", &status) == 0 && status.st_ino == HOST_CGROUP_NAMESPACE;
}

/* The inode of root + folder + path, 0 when there is none. */
static uint64_t
inode_of(const char *root, const char *folder, const char *path, size_t length)
{
	char name[4096];
	struct stat status;
	int size = snprintf(name, sizeof(name), "%s%s%.*s", root, folder, (int)length, path);

	return size > 0 && (size_t)size < sizeof(name) && stat(name, &status) == 0 ? status.st_ino : 0;
}

void
cgroup_inode_text(const char *cgroup_file, const char *root, char *ret, size_t capacity)
{
	char text[8192];
	OWNED_FD fd = open(cgroup_file, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 || is_in_host_namespace() ? -1 : read(fd, text, sizeof(text) - 1);
	uint64_t inode = 0;

	ret[0] = '\0';
	text[got < 0 ? 0 : got] = '\0';
	for (const char *line = text; *line && inode == 0; line += *line == '\n') {
		size_t length = strcspn(line, "\n");
		const char *memory = memmem(line, length, ":memory:", 8);

		if (strncmp(line, "0::", 3) == 0)
			inode = inode_of(root, "", line + 3, length - 3);
		else if (memory)
			inode = inode_of(root, "/memory", memory + 8, length - (size_t)(memory + 8 - line));
		line += length;
	}
	if (inode > 1) /* 1: the root of a hierarchy, which is no container */
		snprintf(ret, capacity, "in-%llu", (unsigned long long)inode);
}
