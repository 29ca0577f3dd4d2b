#pragma once
/* One line to whoever reads our messages: a terminal, a regular file or a syslog socket. Never a pipe of
 * the caller, which would keep `$(ddprof-launch ...)` waiting for the worker. */

#include "ipc/log_level.h"

#include <stdbool.h>

struct log {
	int fd; /* -1: silent */
	bool is_syslog;
	enum log_level threshold;
};

/* What is not printable UTF-8 is escaped (ipc/text.h): a process name must not be able to forge lines or
 * drive a terminal. A line has at most 1000 bytes. */
void log_line(const struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
