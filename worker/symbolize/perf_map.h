#pragma once
/* perf's map of code that a process made at run time, /tmp/perf-PID.map: a line "START SIZE name" for each
 * piece, in hex, with or without 0x (tools/perf/Documentation/jit-interface.txt). A line that is none costs
 * itself; of several that cover an address the last one counts, for that is the code that was put there last.
 */

#include "worker/symbolize/file_window.h"

struct perf_map_hit {
	uint64_t name_at; /* in the file */
	size_t name_size; /* bytes, on one line; 0: no line covers the address */
};

/* One pass. Sets the zeroed hits of addresses, which are sorted. Of a file that is larger than what the
 * budget has left, the end is read. */
void perf_map_find(struct file_window *window, const uint64_t *addresses, size_t count,
		   struct perf_map_hit *ret_hits);
