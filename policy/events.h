#pragma once
/* The complete list of perf events anything of ours can open: constant attributes, of which a request may
 * choose only frequency and stack size, within policy/limits.h. */

#include <linux/perf_event.h>
#include <stdint.h>

enum event_id {
	EVENT_SIDEBAND, /* no samples: what is mapped where, names, forks and exits */
	EVENT_SCPU,     /* a sample each 1/frequency of CPU time used in user space */
	EVENT_COUNT,
};

/* Bits of perf's register file, x86-64: ax bx cx dx si di bp sp ip and r8-r15 (linux
 * arch/x86/include/uapi/asm/perf_regs.h). Samples carry them in bit order. */
#define SAMPLE_REGISTERS_MASK 0xff01ffull
#define SAMPLE_REGISTERS_COUNT 17

struct event_policy {
	const char *name;
	struct perf_event_attr attributes;
	const char *reason;
};

const struct event_policy *event_policy(enum event_id id); /* NULL: no such event */
