#pragma once
/* Where an interrupted function keeps its caller's stack pointer below its own, in the 128 bytes that the ABI
 * leaves it: the kernel copies the stack from the stack pointer up, so that the word is not there. */

#include "worker/unwind/cfi.h"
#include "worker/unwind/step.h"

/* Where the CFA of the interrupted frame is such a word and the frame holds another copy of it, the row is
 * made to say so. Otherwise it stays as it is, and the walk ends. */
void red_zone_mend_row(const struct frame_state *state, code_lookup *lookup, void *context,
		       struct cfi_row *row);
