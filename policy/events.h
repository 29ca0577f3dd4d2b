#pragma once
/* The complete list of perf events anything of ours can open: constant attributes, of which a request may
 * choose only frequency and stack, within policy/limits.h and policy/levels.h. */

#include <linux/perf_event.h>
#include <stdint.h>

enum event_id {
	EVENT_SIDEBAND, /* no samples: what is mapped where, names, forks and exits */
	EVENT_SCPU,     /* a sample each 1/frequency of CPU time used in user space */
	EVENT_COUNT,
};

/* Bits of perf's register file (linux arch/ARCH/include/uapi/asm/perf_regs.h). Samples carry them in bit
 * order. */
#if defined(__aarch64__)
#define SAMPLE_REGISTERS_MASK 0x1ffffffffull /* x0-x29, lr, sp, pc */
#define SAMPLE_REGISTERS_COUNT 33
#else
#define SAMPLE_REGISTERS_MASK 0xff01ffull /* ax bx cx dx si di bp sp ip and r8-r15 */
#define SAMPLE_REGISTERS_COUNT 17
#endif

struct event_policy {
	const char *name;
	struct perf_event_attr attributes;
	const char *reason;
};

const struct event_policy *event_policy(enum event_id id); /* NULL: no such event */

/* How much of the kernel is in samples, for who asks and who grants it: the smaller one counts. */
enum kernel_frames {
	KERNEL_FRAMES_NONE,  /* only user space is sampled */
	KERNEL_FRAMES_ENTRY, /* the kernel too: the user's registers and stack as they were when it was
				entered */
	KERNEL_FRAMES_NAMED, /* ... and the addresses of the kernel's own call chain, for somebody with names
			      */
};

/* All that the administrator's policy can change (kernel_frames), and the kernel's own rules must allow. No
 * more of the kernel is ever in a record: no register, and nothing of a stack. */
void event_include_kernel(enum kernel_frames frames, struct perf_event_attr *attributes);
