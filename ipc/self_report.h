#pragma once
/* What the profiler itself costs, measured by the supervisor over one period: as long as it took from one
 * finished profile to the next. The exporter writes it into the profile and sends it to statsd. */

#include <stdint.h>

struct ledger;

enum self_role {
	SELF_SUPERVISOR,
	SELF_UNWINDER,
	SELF_SYMBOLIZER,
	SELF_EXPORTER,
	SELF_ROLES,
};
extern const char *const self_role_names[SELF_ROLES]; /* part of what profiles say, so never renamed */

/* Of all processes that had that role, one after the other. */
struct self_role_report {
	uint64_t cpu_ns;   /* in this period, user and system, those that died in it included */
	uint64_t restarts; /* deaths so far */
	/* Bytes, of the one that runs; 0: none does, or its /proc is hidden from us. */
	uint64_t rss;       /* with file pages, which it may share */
	uint64_t anonymous; /* of its own */
	uint64_t peak_rss;  /* the highest so far, of those before it too */
};

struct self_report {
	uint64_t wall_ns;    /* CLOCK_MONOTONIC, of the period; 0: nothing was measured */
	uint64_t ring_bytes; /* kernel memory: the perf rings */
	struct self_role_report role[SELF_ROLES];
};

/* Sums over the roles. That of peak_rss is what a limit should allow (and ring_bytes with it): every role at
 * its highest, as if all were so at once. */
struct self_role_report self_report_total(const struct self_report *report);

/* Thousandths of a CPU; 0 for no time at all. */
uint64_t millicores(uint64_t cpu_ns, uint64_t wall_ns);

/* What sampling took from the target itself, inside the kernel: AN ESTIMATE. No process can measure it, so it
 * is what a sample was measured to cost (docs/overhead.md, tests/bench) times what was sampled. */
uint64_t overhead_target_ns(const struct ledger *ledger);
/* The same as a share of the target's CPU time, in millionths; 0 when it used none. */
uint64_t overhead_target_ppm(const struct ledger *ledger);
