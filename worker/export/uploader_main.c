/* ddprof-uploader: the exporter when something of what is asked for is on the network. */

#include "worker/export/start.h"

int
main(int argc, char **argv)
{
	return exporter_main(argc, argv, network_open);
}
