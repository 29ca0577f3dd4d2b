/* ddprof-perf-open: opens two fixed perf events per CPU on the process that started it, gives up every
 * right, and hands the descriptors to the worker. No arguments, no environment, no paths of a caller. */

#include "launcher/opener.h"

int
main(void)
{
	static struct opening opening;

	make_process_sane(&opening);
	install_fence(); /* no_new_privs and a filter before the first byte is read */
	receive_request(&opening);
	start_supervisor(&opening); /* before any event exists, and without any right */
	open_events(&opening);
	map_rings(&opening);   /* the locked-memory budget is charged here, not to the worker */
	drop_all_privileges(); /* nothing below this line can get them back */
	require_own_parent(&opening);
	hand_over(&opening);
	return 0;
}
