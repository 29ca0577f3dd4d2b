/* Field by field: a status file has no fixed order, and newer kernels add lines. */

#include "launcher/audit/process_status.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

/* What follows "NAME:\t" at the start of a line, or NULL. */
static const char *
find_field(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1;
	}
	return NULL;
}

static bool
read_field(const char *text, const char *name, int base, uint64_t *ret)
{
	const char *at = find_field(text, name);
	char *end;

	if (!at)
		return false;
	*ret = strtoull(at, &end, base);
	return end != at;
}

static int
parse_capabilities(const char *text, struct process_status *status)
{
	static const char *const names[SET_COUNT] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

	for (int i = 0; i < SET_COUNT; i++)
		if (!read_field(text, names[i], 16, &status->capability[i]))
			return -EBADMSG;
	return 0;
}

static pid_t
last_number(const char *at)
{
	long last = 0;
	char *end;

	for (; at && *at && *at != '\n'; at = end) {
		long number = strtol(at, &end, 10);

		if (end == at)
			break;
		last = number;
	}
	return (pid_t)last;
}

int
process_status_parse(const char *text, struct process_status *ret)
{
	struct process_status status = {.seccomp_filters = -1};
	uint64_t parent, tracer, no_new_privs, seccomp, threads, filters;
	const char *uid = find_field(text, "Uid");
	unsigned *ids = status.uid;

	if (!read_field(text, "PPid", 10, &parent) || !read_field(text, "TracerPid", 10, &tracer) ||
	    !read_field(text, "NoNewPrivs", 10, &no_new_privs) ||
	    !read_field(text, "Seccomp", 10, &seccomp) || !read_field(text, "Threads", 10, &threads) ||
	    !uid || sscanf(uid, "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4 ||
	    parse_capabilities(text, &status) < 0)
		return -EBADMSG;
	if (read_field(text, "Seccomp_filters", 10, &filters))
		status.seccomp_filters = (int)filters;
	status.innermost_pid = last_number(find_field(text, "NSpid"));
	status.parent = (pid_t)parent;
	status.tracer = (pid_t)tracer;
	status.no_new_privs = (unsigned)no_new_privs;
	status.seccomp = (unsigned)seccomp;
	status.threads = (unsigned)threads;
	*ret = status;
	return 0;
}

ssize_t
read_small_file(const char *path, char *ret, size_t capacity)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t part = 0;

	if (fd < 0)
		return -errno;
	while (length < capacity - 1 && (part = read(fd, ret + length, capacity - 1 - length)) > 0)
		length += (size_t)part;
	if (part < 0)
		return -errno;
	ret[length] = '\0';
	return (ssize_t)length;
}

int
process_status_read(pid_t pid, struct process_status *ret)
{
	char path[32], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	ssize_t length = read_small_file(path, text, sizeof(text));
	return length < 0 ? (int)length : process_status_parse(text, ret);
}

struct capability_names
capability_names(uint64_t set)
{
	struct capability_names names = {"none"};
	uint64_t all = (UINT64_C(2) << (unsigned)cap_max_bits() >> 1) - 1;
	size_t length = 0;

	if (set && (set & all) == all)
		return (struct capability_names){"all"};
	for (int capability = 0; capability < 64; capability++) {
		if (!(set >> capability & 1))
			continue;
		char *name = cap_to_name(capability);
		size_t left = sizeof(names.text) - length;
		int wanted =
			snprintf(names.text + length, left, "%s%s", length ? "," : "", name ? name : "?");

		cap_free(name);
		if (wanted < 0 || (size_t)wanted >= left) {
			snprintf(names.text, sizeof(names.text), "%d capabilities (%016llx)",
				 __builtin_popcountll(set), (unsigned long long)set);
			break;
		}
		length += (size_t)wanted;
	}
	return names;
}
