/* The opener's only way to fail: a line for the administrator, a number for the launcher, then the end. */

#include "launcher/opener.h"

#include "ipc/channel.h"

#include <unistd.h>

#include "launcher/forbidden.h"

void
die(enum failure failure, int error)
{
	struct answer answer = {.failure = failure, .error = error};

	write_audit_line(failure, error);
	/* nobody to tell when even this fails; the launcher then sees the channel close */
	(void)channel_send(FD_LAUNCH, MESSAGE_ANSWER, &answer, sizeof(answer), NULL, 0);
	_exit(1);
}
