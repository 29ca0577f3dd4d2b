#pragma once
/* From one sample to its frames, whatever it carries: registers and stack, the kernel's chain, or both. What
 * it shows of the level it was taken at goes to the choice. */

#include "worker/collect/sampling_choice.h"
#include "worker/perf/record.h"
#include "worker/unwind/chain.h"

struct sample_walker {
	struct sampling_choice choice; /* nothing is chosen until sampling_choice_init() */
	struct root_tails tails;
};

/* `walk` comes with unwinder, lookup, context, program and room for frames. *ret_end as unwinder_walk(). */
enum unwind_end sample_walk(struct sample_walker *walker, const struct sample_record *sample,
			    struct chain_walk *walk);

/* The same for a sample that was walked already and stopped there: what sample_walk() does after that. */
enum unwind_end sample_walk_on(struct sample_walker *walker, const struct sample_record *sample,
			       struct chain_walk *walk, enum unwind_end end, const struct walk_stop *stop);
