#pragma once
/* How a session is sampled, decided by how its own samples fared. Pure: evidence in, a level out.
 *
 * One level serves all processes of a session, because events are inherited and are enabled for all of them
 * at once. So evidence is mixed, and the rules look for the few: one process without frame pointers that
 * has a thousandth of the samples forbids LEVEL_CHAIN, one with deep stacks that has a hundredth asks for
 * larger copies. A choice that turns out wrong shows as endings (END_COPY_SHORT, ...), and is taken back. */

#include "policy/levels.h"
#include "worker/unwind/unwind.h"

/* What the same sample would have come to at LEVEL_CHAIN. */
enum chain_verdict {
	CHAIN_NOT_COMPARED,
	CHAIN_AGREES,  /* the same frames and the same ending */
	CHAIN_DIFFERS, /* a frame is missing or another, or the root is not reached */
};

struct sample_evidence {
	uint32_t stack_bytes; /* asked for with the sample: its level; not the one in use: not counted */
	enum unwind_end end;
	uint64_t stack_used; /* bytes between the leaf's sp and that of the outermost frame found */
	enum chain_verdict chain;
};

struct sampling_choice {
	uint32_t available;             /* bit per level */
	enum sampling_level level;      /* in use */
	enum sampling_level copy_level; /* where LEVEL_CHAIN is left for */
	uint32_t down_moves;
	uint64_t samples_at_level; /* since the last move */
	bool was_cut_above;        /* a larger copy was tried, and cut no fewer stacks */
	uint32_t rootless_before;  /* per mille at copy_level: LEVEL_CHAIN need not do better */
	/* Lately, at this level; see AGEING_SAMPLES. */
	uint32_t samples, cut, rootless, needed_all;
	uint32_t compared, differing;
};

/* `available` has a bit for each level whose events are open, among them `first`, which is in use: the first
 * one, or what was chosen before the unwinder was restarted. */
void sampling_choice_init(struct sampling_choice *choice, enum unwind_method method, uint32_t available,
			  enum sampling_level first);

/* Whether the next sample is worth comparing with what LEVEL_CHAIN would have made of it: all of them while
 * that may decide something, else a few. */
bool sampling_choice_asks_chain(const struct sampling_choice *choice);

void sampling_choice_add(struct sampling_choice *choice, const struct sample_evidence *evidence);

/* What should be in use from now on. */
static inline enum sampling_level
sampling_choice_level(const struct sampling_choice *choice)
{
	return choice->level;
}
