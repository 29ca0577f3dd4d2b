/* ddprof-worker: the supervisor or the unwinder, by its first argument. Started by ddprof-perf-open and
 * by the supervisor, with an empty environment and its channels at fixed descriptors. */

#include "worker/base/harden.h"
#include "worker/roles.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
run_unwinder(void)
{
	int result = harden_role_start();

	return result < 0 ? result : unwinder_main();
}

static int
run_supervisor(void)
{
	(void)setsid(); /* EPERM: already a leader, which is as good */
	harden_leave_keyring();
	return supervisor_main();
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} roles[] = {{"supervisor", run_supervisor}, {"unwinder", run_unwinder}};

	for (size_t i = 0; argc == 3 && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(argv[1], roles[i].name) == 0)
			return harden_process(argv[2]) < 0 || roles[i].run() < 0 ? 1 : 0;
	dprintf(STDERR_FILENO, "ddprof-worker: started by ddprof-launch, not by hand\n");
	return 2;
}
