#pragma once
/* The exporter from its first instruction to its sandbox, for both of its programs. */

#include "worker/export/network.h"

/* `open` is network_open(), or NULL for a program without. The program's exit status. */
int exporter_main(int argc, char **argv, network_open_function *open);
