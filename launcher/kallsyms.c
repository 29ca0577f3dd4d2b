#include "launcher/kallsyms.h"

#include "ipc/fd.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Even for those who may see them, the first addresses are 0: of variables of a CPU. */
static bool
shows_addresses(int fd)
{
	char text[4096];
	ssize_t size = read(fd, text, sizeof(text) - 1);

	text[size > 0 ? size : 0] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (line[strspn(line, "0")] != ' ' && strchr(line, '\n'))
			return true;
	}
	return false;
}

int
kallsyms_open(void)
{
	OWNED_FD fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && shows_addresses(fd) ? take_fd(&fd) : -1;
}
