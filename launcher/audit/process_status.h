#pragma once
/* What /proc/PID/status says of a process's rights (proc(5)). */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum capability_set {
	SET_INHERITABLE,
	SET_PERMITTED,
	SET_EFFECTIVE,
	SET_BOUNDING,
	SET_AMBIENT,
	SET_COUNT,
};

struct process_status {
	uint64_t capability[SET_COUNT];
	uid_t uid[4]; /* real, effective, saved, file system */
	pid_t parent, tracer;
	pid_t innermost_pid; /* in its own PID namespace */
	unsigned no_new_privs, seccomp, threads;
	int seccomp_filters; /* -1: kernel before 5.9 */
};

/* Of the text of a status file. 0, or -EBADMSG when a field that every kernel since 4.10 has is missing. */
int process_status_parse(const char *text, struct process_status *ret);

/* Of a running process. 0 or -errno (ENOENT, ESRCH: it is gone). */
int process_status_read(pid_t pid, struct process_status *ret);

/* A whole small file, terminated and cut at capacity - 1. Length or -errno. */
ssize_t read_small_file(const char *path, char *ret, size_t capacity);

/* "cap_perfmon,cap_sys_admin", "all", "none", or how many when those are too many names. */
struct capability_names {
	char text[256];
};
struct capability_names capability_names(uint64_t set);
