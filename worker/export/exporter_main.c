/* ddprof-exporter: finished profiles in, files out. It has no code for the network. */

#include "worker/export/start.h"

int
main(int argc, char **argv)
{
	return exporter_main(argc, argv, /* open= */ NULL);
}
