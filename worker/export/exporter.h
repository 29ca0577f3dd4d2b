#pragma once
/* The exporter's work, without its start: takes profiles from the supervisor, keeps them in the spool if
 * there is one, has them delivered, and says what became of them. */

#include "ipc/delivery.h"
#include "ipc/protocol.h"
#include "worker/export/network.h"

#include <stdbool.h>

struct exporter_settings {
	const struct worker_config *config;
	const struct delivery_config *delivery;
	const struct exporter_start *start;
	const struct network *network; /* NULL: nothing is wanted of it */
	const char *network_problem;   /* ... or this is why there is none */
	int control;
	int spool; /* folder; -1: none */
};

/* Runs until the supervisor closes the channel or a new exporter would see more than this one (0), or until
 * something is wrong (-errno). All borrowed. */
int exporter_run(const struct exporter_settings *settings);
