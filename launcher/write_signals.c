/* A closed standard error (SIGPIPE) or a file size limit (SIGXFSZ) may fail our writes, never end the process
 * that is about to become the target. The target gets the dispositions its caller left. */

#include "launcher/launch.h"

#include <signal.h>

static const int raised_by_write[] = {SIGPIPE, SIGXFSZ};
#define COUNT (sizeof(raised_by_write) / sizeof(raised_by_write[0]))

static struct sigaction before[COUNT];

void
write_signals_ignore(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < COUNT; i++)
		sigaction(raised_by_write[i], &ignore, &before[i]);
}

void
write_signals_restore(void)
{
	for (size_t i = 0; i < COUNT; i++)
		sigaction(raised_by_write[i], &before[i], NULL);
}
