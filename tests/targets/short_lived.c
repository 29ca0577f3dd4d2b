/* Uses 50 ms of CPU time and exits with 7: about five samples at 99 Hz, and gone before anybody looks twice.
 */

#include "burn.h"

#define CPU_NS 50000000u

__attribute__((noipa)) static uint64_t
burn_briefly(void)
{
	return burn_thread_cpu(CPU_NS);
}

int
main(void)
{
	volatile uint64_t sink = burn_briefly();

	(void)sink;
	return 7;
}
