#pragma once
/* The numbers nothing may exceed, each with its reason. The opener checks a request against them; the
 * launcher's options quote them in their errors. */

#define FREQUENCY_MAX_HZ 5000    /* 5 % of a core in kernel time with a 32 KB stack (measured) */
#define FREQUENCY_POLICY_HZ 1000 /* 1 %: more only where the administrator says so */
#define FREQUENCY_DEFAULT_HZ 99  /* not 100: never in lockstep with a timer of the target */
#define STACK_MIN_BYTES 1024
#define STACK_MAX_BYTES 65528     /* perf_event_attr.sample_stack_user: below 65535, a multiple of 8 */
#define STACK_DEFAULT_BYTES 32768 /* holds 99 % of the stacks of C, C++, Python and node programs */

/* Descriptors that other levels of sampling leave to channels and to files of the target. */
#define FILES_BESIDE_EVENTS 256

/* A sample ring holds what one busy CPU produces in this time: long enough for the unwinder to get a CPU
 * on a loaded machine, short enough that mapping it does not delay the target. */
#define SAMPLE_RING_MS 125
#define SAMPLE_RING_MIN_BYTES (1u << 17) /* below, one burst of a busy CPU would already lose samples */
#define SAMPLE_RING_MAX_BYTES (1u << 21) /* stays in the L2 cache: a sample costs the target a fifth less */
#define SAMPLE_RINGS_MAX_BYTES \
	(1ull << 24)                   /* of all CPUs together: mapping 1 MiB delays the target by 0.18 ms */
#define SIDEBAND_RING_BYTES (1u << 16) /* about 500 mmap records */
