/* Lines are the kernel's: in the one line with text of the process, its name, line ends are escaped
 * (proc(5)). */

#include "worker/supervisor/process_ids.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows "\nKEY:"; NULL: no such line. */
static const char *
find_line(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? at + strlen(key) : NULL;
}

/* The number at this place of a line, from 0; or the last one. False: there is none. */
static bool
number_of_line(const char *at, size_t place, uint32_t *ret)
{
	bool is_found = false;

	for (size_t i = 0; i <= place; i++) {
		char *end;

		at += strspn(at, " \t");
		if (*at < '0' || *at > '9')
			break;
		unsigned long number = strtoul(at, &end, 10);
		if (number > UINT32_MAX)
			return false;
		*ret = (uint32_t)number;
		is_found = place == SIZE_MAX - 1 || i == place;
		at = end;
	}
	return is_found;
}

bool
process_ids_parse(const char *text, struct process_ids *ret)
{
	const char *uid = find_line(text, "\nUid:"), *pids = find_line(text, "\nNSpid:");
	struct process_ids ids = {0};

	/* real, effective, saved, for files */
	if (!uid || !number_of_line(uid, 1, &ids.uid))
		return false;
	if (!pids) /* a kernel without PID namespaces */
		pids = find_line(text, "\nPid:");
	if (!pids || !number_of_line(pids, SIZE_MAX - 1, &ids.inner_pid))
		return false;
	*ret = ids;
	return true;
}

int
process_ids_read(int proc, uint32_t pid, struct process_ids *ret)
{
	char path[32], text[4096];
	size_t used = 0;
	ssize_t got;

	snprintf(path, sizeof(path), "%u/status", pid);
	OWNED_FD fd = openat(proc, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	while (used < sizeof(text) - 1 && (got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = 0;
	return process_ids_parse(text, ret) ? 0 : -ESRCH;
}
