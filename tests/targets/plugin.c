/* libtarget_plugin.so: code that is mapped only after the program has been running for a while. */

#include "burn.h"

uint64_t plugin_burn(double seconds);

__attribute__((noipa)) uint64_t
plugin_burn(double seconds)
{
	return burn_thread_cpu((uint64_t)(seconds * 1e9));
}
