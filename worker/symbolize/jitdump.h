#pragma once
/* jit-PID.dump, in which a process describes the code it makes as it makes it, version 1
 * (tools/perf/Documentation/jitdump-specification.txt): loads, moves, and source lines.
 *
 *   header | { id, size, time | body }...   id: LOAD, MOVE, DEBUG_INFO (in front of its LOAD), CLOSE, others
 *
 * A record whose body is not what it claims costs itself; one of an impossible size, or that is not all there
 * (it is still being written), ends the file. Of several loads at an address the last one counts. */

#include "worker/symbolize/file_window.h"

struct jitdump_hit {
	uint64_t name_at; /* in the file: a terminated string; 0: no load covers the address */
	uint64_t file_at; /* likewise, of the source file; 0: unknown */
	uint32_t line;
	/* for jitdump.c: */
	bool is_moved;
	uint64_t index;        /* of the piece of code that was moved here */
	uint64_t load;         /* the piece's record */
	uint64_t code_start;   /* where it was when it was loaded */
	uint64_t offset;       /* of the address in it */
	uint64_t lines_at;     /* the record with its lines; 0: none */
	uint64_t line_address; /* of the line found so far */
};

/* Two passes at most, and one look at the lines of each piece that was hit. Sets the zeroed hits of
 * addresses, which are sorted. 0; -EBADMSG: not a jitdump that we read; -ENOMEM. */
int jitdump_find(struct file_window *window, const uint64_t *addresses, size_t count,
		 struct jitdump_hit *ret_hits);
