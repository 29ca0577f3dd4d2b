#pragma once
/* Who a process is to the kernel and to itself, by /proc/PID/status. */

#include <stdbool.h>
#include <stdint.h>

struct process_ids {
	uint32_t uid;       /* effective: of the files it makes */
	uint32_t inner_pid; /* its PID in the innermost PID namespace it is in: what its getpid() says */
};

/* `text` is such a file's, terminated. False: it does not say. */
bool process_ids_parse(const char *text, struct process_ids *ret);

/* `proc` is a descriptor of /proc. 0 or -errno. */
int process_ids_read(int proc, uint32_t pid, struct process_ids *ret);
