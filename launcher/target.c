/* Becomes the target, or says why that is impossible with the exit status env(1) would give. */

#include "launcher/launch.h"

#include "ipc/channel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int
target_execute(char *const command[], const struct log *log, int channel)
{
	write_signals_restore();
	execvp(command[0], command);

	int error = errno;
	write_signals_ignore(); /* again: what follows is ours */
	if (channel >= 0)
		(void)channel_send(channel, MESSAGE_CANCEL, NULL, 0, NULL,
				   0); /* worst case: an empty profile */
	log_line(log, LOG_LEVEL_ERROR, "cannot run '%s': %s", command[0], strerror(error));
	return error == ENOENT ? LAUNCH_EXIT_NOT_FOUND : LAUNCH_EXIT_CANNOT_EXECUTE;
}
