/* ddprof-perf-open: opens two fixed perf events per CPU on the process that started it, gives up every
 * right, and hands the descriptors to the worker. No arguments, no environment, no paths of a caller. */

#include "launcher/opener.h"

#include <fcntl.h>
#include <unistd.h>

#include "launcher/forbidden.h"

static const char by_hand[] = "ddprof-perf-open: started by ddprof-launch, not by hand\n";

int
main(int argc, char **argv)
{
	static struct opening opening;

	(void)argv; /* argc 0 is possible before Linux 5.18 (CVE-2021-4034): nothing here ever looks at argv
		     */
	if (argc != 1 || fcntl(FD_LAUNCH, F_GETFD) < 0) {
		(void)!write(STDERR_FILENO, by_hand, sizeof(by_hand) - 1);
		return 2;
	}
	make_process_sane(&opening);
	open_audit_trail(&opening);
	install_fence();         /* no capability in effect, no_new_privs, a filter: before the first byte */
	load_policy(&opening);   /* root's word on who may do what */
	become_caller(&opening); /* one user again, and nothing permitted that is not needed */
	require_safe_host();
	receive_request(&opening);
	start_supervisor(&opening);  /* before any event exists, and without any right */
	open_events(&opening);       /* the first phase that raises a capability for the caller's sake ... */
	map_rings(&opening);         /* the locked-memory budget is charged here, not to the worker */
	open_other_levels(&opening); /* ... and the last */
	drop_all_privileges();       /* nothing below this line can get them back */
	require_own_parent(&opening);
	write_audit_line(FAILURE_NONE, 0); /* before the descriptors leave: none does without its line */
	hand_over(&opening);
	return 0;
}
