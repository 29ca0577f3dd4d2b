/* Formats, escapes and writes one line with one system call; failing to log is never an error. */

#include "ipc/log.h"

#include "ipc/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1000

static const int syslog_priority[] = {
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,  [LOG_LEVEL_INFORMATIONAL] = LOG_INFO, [LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_WARN] = LOG_WARNING, [LOG_LEVEL_ERROR] = LOG_ERR,
};

void
log_line(const struct log *log, enum log_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
	size_t used = 0;
	va_list arguments;

	if (log->fd < 0 || level < log->threshold)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	if (log->is_syslog)
		used = (size_t)snprintf(line, sizeof(line), "<%d>", LOG_USER | syslog_priority[level]);
	used += (size_t)snprintf(line + used, sizeof(line) - used, "ddprof-launch: ");
	used += text_escape(line + used, sizeof(line) - used, text, strlen(text));
	if (log->is_syslog) {
		(void)send(log->fd, line, used, MSG_NOSIGNAL | MSG_DONTWAIT);
	} else {
		line[used++] = '\n'; /* in place of the terminator */
		ssize_t ignored = write(log->fd, line, used);
		(void)ignored; /* a full disk or a closed terminal is not our failure */
	}
}
