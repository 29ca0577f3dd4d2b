/* Sums, and the constants behind the estimate of what a sample costs the target. */

#include "ipc/self_report.h"

#include "ipc/protocol.h"

const char *const self_role_names[SELF_ROLES] = {
	[SELF_SUPERVISOR] = "supervisor",
	[SELF_UNWINDER] = "unwinder",
	[SELF_SYMBOLIZER] = "symbolizer",
	[SELF_EXPORTER] = "exporter",
};

struct self_role_report
self_report_total(const struct self_report *report)
{
	struct self_role_report total = {0};

	for (int i = 0; i < SELF_ROLES; i++) {
		total.cpu_ns += report->role[i].cpu_ns;
		total.restarts += report->role[i].restarts;
		total.rss += report->role[i].rss;
		total.anonymous += report->role[i].anonymous;
		total.peak_rss += report->role[i].peak_rss;
	}
	return total;
}

/* part * scale / whole, saturating: what comes over a channel may be any number. */
static uint64_t
scaled(uint64_t part, uint64_t scale, uint64_t whole)
{
	__uint128_t result = whole ? (__uint128_t)part * scale / whole : 0;

	return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

uint64_t
millicores(uint64_t cpu_ns, uint64_t wall_ns)
{
	return scaled(cpu_ns, 1000, wall_ns);
}

/* Measured in a virtual machine, where an interrupt alone is 15 us. On bare metal a sample costs a few us
 * altogether: there the estimate is several times too high. */
#define INTERRUPT_NS 15500 /* timer interrupt, registers, record */
#define STACK_KIB_NS 250   /* per KiB of stack copied */
#define CHAIN_FRAME_NS 120 /* per frame that the kernel follows itself */

uint64_t
overhead_target_ns(const struct ledger *ledger)
{
	uint64_t interrupts = ledger->samples + ledger->lost + ledger->unstored;
	uint64_t chain_frames = scaled(ledger->frames, ledger->level[CHAIN_LEVEL], ledger->samples);

	return interrupts * INTERRUPT_NS + scaled(ledger->stack_bytes, STACK_KIB_NS, 1024) +
	       chain_frames * CHAIN_FRAME_NS;
}

uint64_t
overhead_target_ppm(const struct ledger *ledger)
{
	return scaled(overhead_target_ns(ledger), 1000000, ledger->kernel_count_ns);
}
