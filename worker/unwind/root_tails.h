#pragma once
/* How the stacks of a program begin, learnt from walks that reached their root.
 *
 * A frame pointer chain ends where frame pointers begin: in a program that has them, on a libc that has not,
 * at the return address of main or of a thread's first function. What lies outside of that call is the same
 * each time (__libc_start_main, _start); a walk by CFI has shown it, and it is not guessed for a call that no
 * walk has come through, nor for one that was seen with different callers. Of a call without callers (a
 * goroutine's goexit: the word above is zero) the chain does not tell that it is the last; that is learnt
 * too. */

#include "worker/unwind/unwind.h"

enum {
	ROOT_TAIL_FRAMES = 4, /* start code is 2 deep in glibc, 1 in musl */
	ROOT_TAILS_MAX = 64,
};

struct root_tail {
	uint32_t program; /* caller's number of the executable: libc's own callers differ by it */
	bool is_ambiguous;
	uint8_t count;
	struct frame call, callers[ROOT_TAIL_FRAMES];
};

struct root_tails {
	struct root_tail tail[ROOT_TAILS_MAX];
	size_t count;
};

/* frames[call + 1] to frames[count - 1], the root, called frames[call]. True: that is news. Too long a tail
 * is none, and one too many is forgotten. */
bool root_tails_learn(struct root_tails *tails, uint32_t program, const struct frame *frames, size_t count,
		      size_t call);

/* The callers of this call, none for a root; -1: not known, or not always the same. */
int root_tails_find(const struct root_tails *tails, uint32_t program, const struct frame *call,
		    const struct frame **ret_callers);

static inline bool
frame_equals(const struct frame *a, const struct frame *b)
{
	return a->address == b->address && a->file == b->file && a->kind == b->kind;
}
