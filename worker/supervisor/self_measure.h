#pragma once
/* What our own processes use: CPU time, no matter which of them died meanwhile, and memory. A few system
 * calls per profile; nothing runs in between. */

#include "ipc/self_report.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct self_measure {
	int proc; /* of /proc; borrowed */
	uint64_t ring_bytes;
	int64_t session_start_ns, period_start_ns; /* CLOCK_MONOTONIC */
	struct {
		pid_t pid;             /* 0: none runs */
		uint64_t ended_cpu_ns; /* of its predecessors */
		uint64_t reported_cpu_ns;
		uint64_t peak_rss; /* bytes */
		uint64_t restarts;
	} role[SELF_ROLES];
};

/* Begins the session and its first period; the caller is the supervisor. */
void self_measure_init(struct self_measure *measure, int proc, uint64_t ring_bytes);

void self_measure_started(struct self_measure *measure, enum self_role role, pid_t pid);
/* `usage` as wait4(2) gave it. */
void self_measure_ended(struct self_measure *measure, enum self_role role, const struct rusage *usage);

/* What was used since the last call; begins the next period. */
void self_measure_period(struct self_measure *measure, struct self_report *ret);
/* What was used since the beginning; the period goes on. */
void self_measure_session(struct self_measure *measure, struct self_report *ret);
