#pragma once
/* What the kernel answers to perf_event_open, found out by asking it: each question in a child that gives up
 * or keeps rights first, and with the very attributes of policy/events.c. */

#include <stdint.h>

#define PROBE_OK 0
#define PROBE_KILLED (-1) /* a seccomp filter ended the child */
#define PROBE_FAILED (-2) /* the question could not be asked */

/* Each returns one of these, or the errno. */

/* With flags no kernel knows: EINVAL comes from the kernel's first line, anything else from a filter before
 * it, or from a kernel without perf. */
int probe_reach(void);

/* All our events on itself with exactly the capabilities of `kept` in effect (those it has of them). */
int probe_open(uint64_t kept);
