/* Up at once, down with care: a stack that is cut is lost, a copy that is too large costs a microsecond. */

#include "worker/collect/sampling_choice.h"

enum {
	/* Samples at a level before anything is decided: none in 200 means less than 1.5 % with 95 %
	 * confidence, and takes 2 s of CPU time at 99 Hz. */
	DECIDE_SAMPLES = 200,
	/* Counters are halved here: so much of the past counts, and no more. */
	AGEING_SAMPLES = 4000,
	/* Stacks that may be incomplete; more ask for a larger copy, or for CFI instead of the chain. */
	INCOMPLETE_PER_MILLE = 10,
	/* Stacks that half the copy would cut; fewer let it go. */
	NEEDED_PER_MILLE = 1,
	/* Stacks that the chain would get wrong; more forbid it. */
	DIFFERING_PER_MILLE = 1,
	/* Of a program's start nothing is compared: the dynamic linker, which no frame pointers lead through,
	 * is not what it will spend its time in. */
	START_SAMPLES = 50,
	/* When nothing more is to be hoped for: a comparison walks once more. */
	COMPARE_INTERVAL = 64,
	/* Each move down makes the next wait 4 times as long: 200 samples at first, 200,000 at last, and then
	 * never again. So the level cannot flap, whatever the program does. */
	PATIENCE_FACTOR_LOG2 = 2,
	DOWN_MOVES_MAX = 6,
};

static bool
is_available(const struct sampling_choice *choice, unsigned level)
{
	return choice->available & LEVEL_BIT(level);
}

void
sampling_choice_init(struct sampling_choice *choice, enum unwind_method method, uint32_t available,
		     enum sampling_level first)
{
	if (method == UNWIND_DWARF)
		available &= ~LEVEL_BIT(LEVEL_CHAIN);
	if (method == UNWIND_FP)
		available &= LEVEL_BIT(LEVEL_CHAIN);
	if (available == LEVEL_BIT(LEVEL_CHAIN))
		first = LEVEL_CHAIN;
	*choice = (struct sampling_choice){.available = available, .level = first, .copy_level = first};
	if (first == LEVEL_CHAIN &&
	    available != LEVEL_BIT(LEVEL_CHAIN)) /* chosen by a predecessor that died */
		choice->copy_level = level_first(available & ~LEVEL_BIT(LEVEL_CHAIN));
}

/* From the normal copy on. A small one costs no more than a chain: following 30 frame pointers takes the
 * kernel as long as copying 8 KB. */
static bool
chain_would_save(const struct sampling_choice *choice)
{
	return is_available(choice, LEVEL_CHAIN) && choice->level >= LEVEL_NORMAL;
}

static bool
exceeds(uint32_t part, uint32_t whole, uint32_t per_mille)
{
	return (uint64_t)part * 1000 > (uint64_t)whole * per_mille;
}

/* Undecided: one that differs needs 1000 that agree. */
static bool
chain_is_promising(const struct sampling_choice *choice)
{
	return choice->compared < DECIDE_SAMPLES ||
	       (choice->compared < AGEING_SAMPLES &&
		!exceeds(choice->differing, choice->compared, 10 * DIFFERING_PER_MILLE));
}

bool
sampling_choice_asks_chain(const struct sampling_choice *choice)
{
	return chain_would_save(choice) && choice->samples_at_level >= START_SAMPLES &&
	       (chain_is_promising(choice) || choice->samples_at_level % COMPARE_INTERVAL == 0);
}

/* The nearest level in this direction that copies stacks for CFI; the same one when there is none. */
static enum sampling_level
neighbour(const struct sampling_choice *choice, int direction)
{
	for (int level = (int)choice->level + direction; level > LEVEL_CHAIN && level < LEVEL_COUNT;
	     level += direction)
		if (is_available(choice, (unsigned)level))
			return (enum sampling_level)level;
	return choice->level;
}

/* A record holds a little less than LEVEL_LARGE asks for: its own length has 16 bits. */
static enum sampling_level
level_of(const struct sample_evidence *evidence)
{
	enum sampling_level level = LEVEL_CHAIN;

	while (level < LEVEL_LARGE && evidence->stack_bytes > level_policy(level)->stack_bytes)
		level++;
	return level;
}

static void
forget_half(struct sampling_choice *choice)
{
	if (choice->samples >= AGEING_SAMPLES) {
		choice->samples /= 2;
		choice->cut /= 2;
		choice->rootless /= 2;
		choice->needed_all /= 2;
	}
	if (choice->compared >= AGEING_SAMPLES) {
		choice->compared /= 2;
		choice->differing /= 2;
	}
}

static void
count(struct sampling_choice *choice, const struct sample_evidence *evidence)
{
	forget_half(choice);
	choice->samples_at_level++;
	choice->samples++;
	choice->cut += evidence->end == END_COPY_SHORT;
	choice->rootless += evidence->end != END_ROOT && evidence->end != END_DEPTH;
	choice->needed_all += evidence->stack_used > level_policy(neighbour(choice, -1))->stack_bytes;
	choice->compared += evidence->chain != CHAIN_NOT_COMPARED;
	choice->differing += evidence->chain == CHAIN_DIFFERS;
}

static bool
may_use_chain(const struct sampling_choice *choice)
{
	return chain_would_save(choice) && choice->compared >= DECIDE_SAMPLES &&
	       !exceeds(choice->differing, choice->compared, DIFFERING_PER_MILLE);
}

static bool
chain_failed(const struct sampling_choice *choice)
{
	return exceeds(choice->rootless, choice->samples, choice->rootless_before + INCOMPLETE_PER_MILLE);
}

static enum sampling_level
best_level(const struct sampling_choice *choice)
{
	bool is_cut = exceeds(choice->cut, choice->samples, INCOMPLETE_PER_MILLE);
	bool may_go_down = choice->down_moves < DOWN_MOVES_MAX;
	bool was_patient = choice->samples_at_level >= (uint64_t)DECIDE_SAMPLES
							       << (PATIENCE_FACTOR_LOG2 * choice->down_moves);

	if (choice->samples < DECIDE_SAMPLES)
		return choice->level;
	if (choice->level == LEVEL_CHAIN)
		return chain_failed(choice) ? choice->copy_level : LEVEL_CHAIN;
	if (is_cut && neighbour(choice, +1) != choice->level && (was_patient || !choice->was_cut_above))
		return neighbour(choice, +1);
	if (!may_go_down || !was_patient)
		return choice->level;
	if (neighbour(choice, -1) != choice->level &&
	    !exceeds(choice->needed_all, choice->samples, NEEDED_PER_MILLE))
		return neighbour(choice, -1);
	return may_use_chain(choice) ? LEVEL_CHAIN : choice->level;
}

static void
move_to(struct sampling_choice *choice, enum sampling_level level)
{
	bool is_cut = exceeds(choice->cut, choice->samples, INCOMPLETE_PER_MILLE);
	bool goes_down = level < choice->level;
	struct sampling_choice moved = {
		.available = choice->available,
		.level = level,
		.copy_level = level == LEVEL_CHAIN ? choice->level : level,
		.down_moves = choice->down_moves + goes_down,
		.was_cut_above = goes_down && is_cut,
		.rootless_before = choice->rootless * 1000 / choice->samples,
	};

	*choice = moved;
}

void
sampling_choice_add(struct sampling_choice *choice, const struct sample_evidence *evidence)
{
	enum sampling_level level;

	if (level_of(evidence) != choice->level)
		return; /* taken before the last move */
	count(choice, evidence);
	level = best_level(choice);
	if (level != choice->level)
		move_to(choice, level);
}
