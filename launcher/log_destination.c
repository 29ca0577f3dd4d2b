/* Chooses where messages go so that no pipe of the caller is ever kept open by the worker. */

#include "launcher/launch.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A terminal or a regular file has no reader who waits for the last writer to close it. */
static bool
may_outlive_the_launch(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || isatty(fd));
}

static int
connect_syslog(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd <= STDERR_FILENO ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : take_fd(&fd);
}

/* O_NONBLOCK: a FIFO without a reader must not hold the target up. -errno when it is no log. */
static int
open_log_file(const char *path)
{
	OWNED_FD fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

	if (fd < 0)
		return -errno;
	if (!may_outlive_the_launch(fd))
		return -EINVAL;
	return fd <= STDERR_FILENO ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : take_fd(&fd);
}

static void
use_syslog(struct log *log)
{
	log->fd = connect_syslog();
	log->is_syslog = true;
}

static void
use_standard_stream(struct log_destination *ret, int stream)
{
	ret->launcher.fd = stream;
	if (may_outlive_the_launch(stream))
		ret->worker.fd = fcntl(stream, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	else
		use_syslog(&ret->worker);
}

void
log_destination_open(const struct launch_options *options, struct log_destination *ret)
{
	const char *mode = options->log_mode;
	struct log silent = {.fd = -1, .threshold = options->log_level};

	ret->launcher = ret->worker = silent;
	if (strcmp(mode, "disabled") == 0)
		return;
	if (strcmp(mode, "stdout") == 0)
		return use_standard_stream(ret, STDOUT_FILENO);
	if (strcmp(mode, "stderr") == 0)
		return use_standard_stream(ret, STDERR_FILENO);
	if (strcmp(mode, "syslog") == 0) {
		use_syslog(&ret->worker);
		ret->launcher = ret->worker;
		return;
	}
	int file = open_log_file(mode);
	if (file >= 0) {
		ret->worker.fd = file;
		ret->launcher = ret->worker;
		return;
	}
	use_standard_stream(ret, STDERR_FILENO);
	log_line(&ret->launcher, LOG_LEVEL_WARN,
		 "cannot log to '%s': %s; using standard error or syslog (--log_mode takes a regular file)",
		 mode, file == -EINVAL ? "not a regular file" : strerror(-file));
}
