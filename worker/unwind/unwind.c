/* Two ways up the stack, one loop.
 *
 * Almost every frame follows a compact rule and needs only {pc, sp, fp}: a cache probe and two loads. The
 * rest take step.h's complete way. When that asks for a register the fast steps did not carry along (rbx
 * in ld.so's resolver, say), the sample is walked again from the leaf with all registers, row by row:
 * less than one frame in a thousand pays, instead of all. */

#include "worker/unwind/unwind.h"

#include "worker/unwind/code_patterns.h"
#include "worker/unwind/frame_cache.h"
#include "worker/unwind/module.h"
#include "worker/unwind/pc_cache.h"
#include "worker/unwind/red_zone.h"
#include "worker/unwind/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More frames than the largest copy has words: a walk that gets here takes no step from memory. */
#define WALK_MAX_FRAMES 10000

/* A sample on its way up. */
struct walk {
	/* the frame to enter, or the one entered last: */
	struct position at;
	uint64_t pc; /* where its code is looked for */
	struct known_frame *known;
	struct rule rule;
	bool interrupted, fast_steps; /* fast_steps: `at` is ahead of `state` */

	uint64_t space;
	const struct stack_view *stack;
	struct frame *frames;
	size_t count; /* all of them; frames[frame_slot(i)] holds the first and the last ones */

	struct unwind_job *job;
	code_lookup *lookup;
	struct unwinder *unwinder;
	struct code_place place; /* of a frame's code, and of what is in its range */
	uint64_t bias, key_base; /* in that range: from pc to address, to cache key */
	size_t cfi_bytes_left;
	struct frame_state state;
};

struct unwinder {
	struct frame_cache *frames;
	struct pc_cache *rules;
	uint64_t private_spaces; /* for jobs without one, from the largest number down */
	struct cfi_scratch scratch;
	struct walk
		walks[UNWIND_JOBS_MAX]; /* here, because a stack frame of ours would be zeroed each time */
};

struct unwinder *
unwinder_new(void)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));

	if (!unwinder)
		return NULL;
	unwinder->private_spaces = (1ull << FRAME_CACHE_SPACE_BITS) - 1;
	unwinder->frames = frame_cache_new();
	unwinder->rules = pc_cache_new();
	if (unwinder->frames && unwinder->rules)
		return unwinder;
	unwinder_free(unwinder);
	return NULL;
}

void
unwinder_free(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	frame_cache_free(unwinder->frames);
	pc_cache_free(unwinder->rules);
	free(unwinder);
}

/* Frames of the leaf's half stay where they are; the root's half is a ring. */
static inline size_t
frame_slot(size_t number)
{
	const size_t half = UNWIND_MAX_FRAMES / 2;

	return number < UNWIND_MAX_FRAMES ? number : half + (number - half) % half;
}

/* Puts the ring in order; what stands for the frames left out takes the place of its oldest. */
static __attribute__((noinline)) void
sort_ring(struct walk *w)
{
	const size_t half = UNWIND_MAX_FRAMES / 2;
	struct frame ring[UNWIND_MAX_FRAMES / 2], *frames = w->frames;

	memcpy(ring, frames + half, sizeof(ring));
	for (size_t i = 1; i < half; i++)
		frames[half + i] = ring[frame_slot(w->count + i) - half];
	frames[half] = (struct frame){.kind = CODE_LEFT_OUT, .address = w->count - (UNWIND_MAX_FRAMES - 1)};
	w->count = UNWIND_MAX_FRAMES;
	if (w->state.end == END_ROOT)
		w->state.end = END_DEPTH;
}

static void
finish(struct walk *w)
{
	if (w->count > UNWIND_MAX_FRAMES)
		sort_ring(w);
	w->job->count = w->count;
	w->job->end = w->state.end;
	w->job->stop = (struct walk_stop){
		.pc = w->pc,
		.sp = w->at.sp,
		.fp = w->at.fp,
		.fp_known = w->fast_steps || register_is_known(&w->state.registers, REGISTER_FP),
	};
}

/* Where the frame's code is. */
static void
find_place(struct walk *w)
{
	if (w->pc - w->place.start >= w->place.size) {
		w->place = (struct code_place){0};
		w->lookup(w->job->context, w->pc, &w->place);
		w->bias = w->pc - w->place.address;
		w->key_base = w->place.kind == CODE_MODULE
				      ? pc_cache_key_base(unwind_module_id(w->place.module))
				      : 0;
	}
	w->place.address = w->pc - w->bias;
}

/* For a frame whose code runs on at pc although it is not interrupted: a signal handler "returns" to the
 * first byte of its stub, a coroutine to that of a function nobody called, and pc - 1 would name whatever
 * lies in front of it. */
static void
report_first_byte(struct walk *w)
{
	if (!w->state.interrupted)
		w->frames[frame_slot(w->count - 1)].address++;
}

/* What hostile tables of one sample use up is not taken from the others. */
static struct cfi_scratch *
lend_scratch(struct walk *w)
{
	w->unwinder->scratch.budget = w->cfi_bytes_left;
	return &w->unwinder->scratch;
}

static void
return_scratch(struct walk *w)
{
	w->cfi_bytes_left = w->unwinder->scratch.budget;
}

/* False: that is the answer this time, but not for ever. */
static bool
find_missing_rule(struct walk *w, uint64_t key, struct rule *ret_rule)
{
	int error = unwind_module_find_rule(w->place.module, lend_scratch(w), w->place.address, ret_rule);

	return_scratch(w);
	if (!error)
		pc_cache_add(w->unwinder->rules, key, *ret_rule);
	else
		*ret_rule = (struct rule){.kind = error == -ENOBUFS ? RULE_BAD : RULE_UNREADABLE};
	return !error;
}

static bool
find_rule(struct walk *w, struct rule *ret_rule)
{
	uint64_t key = pc_cache_key(w->key_base, w->place.address);

	*ret_rule = (struct rule){.kind = RULE_GAP};
	if (w->place.kind == CODE_ANONYMOUS)
		return true;
	*ret_rule = pc_cache_find(w->unwinder->rules, key);
	return ret_rule->kind != RULE_NONE || find_missing_rule(w, key, ret_rule);
}

/* STEP_ENDED: the walk ends here. A return address that leads nowhere is no frame; a leaf always is. */
static __attribute__((noinline)) enum step
enter_unknown_frame(struct walk *w)
{
	struct frame frame;

	if (w->count == WALK_MAX_FRAMES)
		return step_end(&w->state, END_BAD_CFI);
	find_place(w);
	if (w->place.kind == CODE_UNMAPPED && w->count > 0)
		return step_end(&w->state, END_UNMAPPED);
	frame = (struct frame){
		.kind = w->place.kind,
		.file = w->place.file,
		.address = w->place.address,
	};
	w->frames[frame_slot(w->count++)] = frame;
	if (w->place.kind != CODE_MODULE && w->place.kind != CODE_ANONYMOUS)
		return step_end(&w->state, w->place.kind == CODE_UNREADABLE ? END_UNREADABLE : END_UNMAPPED);
	if (find_rule(w, &w->rule))
		known_frame_set(w->known, w->space, w->pc, frame, w->rule);
	return STEP_MOVED;
}

/* The processor can fetch what is known of the frame while other walks take their turn. */
static inline void
aim(struct walk *w)
{
	w->pc = w->at.pc - !w->interrupted; /* a return address belongs to the call in front of it */
	w->known = frame_cache_slot(w->unwinder->frames, w->space, w->pc);
	__builtin_prefetch(w->known);
}

static inline enum step
enter_frame(struct walk *w)
{
	const struct known_frame *known = w->known;

	if (__builtin_expect(!known_frame_is(known, w->space, w->pc) || w->count == WALK_MAX_FRAMES, 0))
		return enter_unknown_frame(w);
	w->frames[frame_slot(w->count++)] = known_frame_get(known);
	w->rule = known->rule;
	return STEP_MOVED;
}

static enum step
step_by_module_row(struct walk *w)
{
	struct cfi_row row;
	int error = unwind_module_find_row(w->place.module, lend_scratch(w), w->place.address, &row);

	return_scratch(w);
	switch (error) {
	case 0:
		if (row.signal_frame)
			report_first_byte(w);
		if (w->state.interrupted)
			red_zone_mend_row(&w->state, w->lookup, w->job->context, &row);
		return step_by_row(&w->state, &row);
	case -ENOENT:
	case -EBADMSG:
	case -ENOBUFS:
		return step_end(&w->state, END_BAD_CFI);
	default:
		return step_end(&w->state, END_UNREADABLE);
	}
}

/* What code says is a row that nobody wrote down. */
static enum step
step_by_code_rule(struct walk *w, struct rule rule)
{
	struct cfi_row row;

	rule_to_row(rule, &row);
	return step_by_row(&w->state, &row);
}

static enum step
step_by_sigreturn(struct walk *w)
{
	report_first_byte(w);
	return step_by_signal_context(&w->state);
}

/* Where instructions are aligned, the rule of an interrupted frame has been corrected by its code already. */
static enum step
step_over_gap(struct walk *w)
{
	struct rule rule = {.kind = RULE_GAP};

	if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted && w->place.kind == CODE_MODULE)
		rule = code_leaf_rule(w->place.module, w->place.address, rule);
	switch (rule.kind) {
	case RULE_SP:
		return step_by_code_rule(w, rule);
	case RULE_SIGRETURN:
		return step_by_sigreturn(w);
	default:
		return step_by_frame_pointer(&w->state);
	}
}

static enum step
step_completely(struct walk *w)
{
	struct rule rule = w->rule;

	if (!register_is_known(&w->state.registers, REGISTER_SP))
		rule = rule_without_sp(rule);
	switch (rule.kind) {
	case RULE_END:
		return step_end(&w->state, END_ROOT);
	case RULE_GAP:
		return step_over_gap(w);
	case RULE_SIGRETURN:
		if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted)
			return step_over_gap(w); /* the stub is what follows a *return address* here */
		return step_by_sigreturn(w);
	case RULE_START:
		if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted)
			return step_over_gap(w); /* a gap's last byte */
		report_first_byte(w);
		return step_end(&w->state, END_ROOT);
	case RULE_SP:
	case RULE_FP:
		if (rule.from_code)
			return step_by_code_rule(w, rule);
		return step_by_module_row(w);
	case RULE_SLOW:
		return step_by_module_row(w);
	case RULE_UNREADABLE:
		return step_end(&w->state, END_UNREADABLE);
	default:
		return step_end(&w->state, END_BAD_CFI);
	}
}

/* `at` was not enough. */
static __attribute__((noinline)) enum step
step_with_registers(struct walk *w)
{
	enum step step;

	if (w->fast_steps) {
		position_store(&w->at, &w->state.registers);
		w->state.interrupted = false;
	}
	w->fast_steps = false;
	find_place(w);
	step = step_completely(w);
	position_load(&w->state.registers, &w->at);
	w->interrupted = w->state.interrupted;
	aim(w);
	return step;
}

static inline enum step
leave_frame(struct walk *w)
{
	enum step step;

	if (__builtin_expect(position_step(&w->at, w->stack, w->rule, w->interrupted), 1)) {
		w->interrupted = false;
		w->fast_steps = true;
		aim(w);
		return STEP_MOVED;
	}
	step = step_with_registers(w);
	if (step == STEP_MOVED && !register_is_known(&w->state.registers, REGISTER_FP))
		return STEP_NEEDS_REGISTERS; /* a position needs its fp */
	return step;
}

static void
start(struct walk *w)
{
	w->count = 0;
	w->state = (struct frame_state){.stack = w->stack, .interrupted = true};
	for (unsigned number = 0; number < REGISTER_COUNT; number++)
		w->state.registers.value[number] = w->job->registers->value[number];
	w->state.registers.known = ALL_REGISTERS;
	position_load(&w->state.registers, &w->at);
	w->interrupted = true;
	w->fast_steps = false;
	aim(w);
}

/* From the leaf again, every frame by its complete row. */
static __attribute__((noinline)) void
walk_exactly(struct walk *w)
{
	enum step step;

	start(w);
	do {
		step = enter_frame(w);
		if (step == STEP_MOVED)
			step = step_with_registers(w);
	} while (step == STEP_MOVED);
	if (step == STEP_NEEDS_REGISTERS)
		w->state.end = END_BAD_CFI; /* CFI asks for a register that no caller can have */
}

/* One after the other: what each walk needs next is asked for, then all of them take their step. */
static size_t
step_together(struct walk **walks, size_t count)
{
	enum step steps[UNWIND_JOBS_MAX];
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		struct walk *w = walks[i];

		steps[i] = enter_frame(w);
		stack_view_prefetch(w->stack, position_next_read(&w->at, w->rule));
	}
	for (size_t i = 0; i < count; i++) {
		struct walk *w = walks[i];

		if (steps[i] == STEP_MOVED)
			steps[i] = leave_frame(w);
		if (steps[i] == STEP_MOVED)
			walks[left++] = w;
		else if (steps[i] == STEP_NEEDS_REGISTERS)
			walk_exactly(w);
	}
	return left;
}

void
unwinder_walk_together(struct unwinder *unwinder, code_lookup *lookup, struct unwind_job *jobs, size_t count)
{
	struct walk *walks = unwinder->walks, *walking[UNWIND_JOBS_MAX];

	for (size_t i = 0; i < count; i++) {
		struct walk *w = walking[i] = &walks[i];

		w->unwinder = unwinder;
		w->lookup = lookup;
		w->job = &jobs[i];
		w->stack = jobs[i].stack;
		w->frames = jobs[i].frames;
		w->space = jobs[i].space ? jobs[i].space : unwinder->private_spaces--;
		w->cfi_bytes_left = CFI_BYTES_PER_WALK;
		w->place.size = 0;
		start(w);
	}
	for (size_t left = count; left > 0;)
		left = step_together(walking, left);
	for (size_t i = 0; i < count; i++)
		finish(&walks[i]);
}

enum unwind_end
unwinder_walk_to(struct unwinder *unwinder, const struct user_registers *registers,
		 const struct stack_view *stack, code_lookup *lookup, void *context, struct frame *frames,
		 size_t *ret_count, struct walk_stop *ret_stop)
{
	struct unwind_job job = {
		.registers = registers, .stack = stack, .context = context, .frames = frames};

	unwinder_walk_together(unwinder, lookup, &job, 1);
	*ret_count = job.count;
	*ret_stop = job.stop;
	return job.end;
}

enum unwind_end
unwinder_walk(struct unwinder *unwinder, const struct user_registers *registers,
	      const struct stack_view *stack, code_lookup *lookup, void *context, struct frame *frames,
	      size_t *ret_count)
{
	struct walk_stop stop;

	return unwinder_walk_to(unwinder, registers, stack, lookup, context, frames, ret_count, &stop);
}

struct rule
unwinder_rule_at(struct unwinder *unwinder, const struct code_place *place, size_t *cfi_bytes_left)
{
	struct walk w = {.unwinder = unwinder, .place = *place, .cfi_bytes_left = *cfi_bytes_left};
	struct rule rule;

	if (place->kind != CODE_MODULE && place->kind != CODE_ANONYMOUS)
		return (struct rule){.kind = RULE_UNREADABLE};
	if (place->kind == CODE_MODULE)
		w.key_base = pc_cache_key_base(unwind_module_id(place->module));
	(void)find_rule(&w, &rule);
	*cfi_bytes_left = w.cfi_bytes_left;
	return rule;
}
