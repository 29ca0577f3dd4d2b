/* Two ways up the stack, one loop.
 *
 * Almost every frame follows a compact rule and needs only {pc, sp, fp}: a cache probe and two loads. The
 * rest take step.h's complete way. When that asks for a register the fast steps did not carry along (rbx
 * in ld.so's resolver, say), the sample is walked again from the leaf with all registers, row by row:
 * less than one frame in a thousand pays, instead of all. */

#include "worker/unwind/unwind.h"

#include "worker/unwind/code_patterns.h"
#include "worker/unwind/module.h"
#include "worker/unwind/pc_cache.h"
#include "worker/unwind/red_zone.h"
#include "worker/unwind/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More frames than the largest copy has words: a walk that gets here takes no step from memory. */
#define WALK_MAX_FRAMES 10000

struct unwinder {
	struct pc_cache *cache;
	struct cfi_scratch scratch;
};

struct walk {
	struct unwinder *unwinder;
	code_lookup *lookup;
	void *context;
	struct frame *frames;
	size_t count; /* all of them; frames[frame_slot(i)] holds the first and the last ones */
	struct frame_state state;
};

struct unwinder *
unwinder_new(void)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));

	if (!unwinder)
		return NULL;
	unwinder->cache = pc_cache_new();
	if (!unwinder->cache) {
		unwinder_free(unwinder);
		return NULL;
	}
	return unwinder;
}

void
unwinder_free(struct unwinder *unwinder)
{
	if (unwinder)
		pc_cache_free(unwinder->cache);
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
static size_t
finish_frames(struct walk *w)
{
	const size_t half = UNWIND_MAX_FRAMES / 2;
	struct frame ring[UNWIND_MAX_FRAMES / 2];

	if (w->count <= UNWIND_MAX_FRAMES)
		return w->count;
	memcpy(ring, w->frames + half, sizeof(ring));
	for (size_t i = 1; i < half; i++)
		w->frames[half + i] = ring[frame_slot(w->count + i) - half];
	w->frames[half] =
		(struct frame){.kind = CODE_LEFT_OUT, .address = w->count - (UNWIND_MAX_FRAMES - 1)};
	if (w->state.end == END_ROOT)
		w->state.end = END_DEPTH;
	return UNWIND_MAX_FRAMES;
}

/* Adds the frame at `pc` (already minus one for a return address). False: the walk ends here. A return
 * address that leads nowhere is no frame; a leaf always is. */
static inline bool
enter_frame(struct walk *w, uint64_t pc, struct code_place *ret_place)
{
	if (w->count == WALK_MAX_FRAMES) {
		w->state.end = END_BAD_CFI;
		return false;
	}
	w->lookup(w->context, pc, ret_place);
	w->state.end = ret_place->kind == CODE_UNREADABLE ? END_UNREADABLE : END_UNMAPPED;
	if (ret_place->kind == CODE_UNMAPPED && w->count > 0)
		return false;
	w->frames[frame_slot(w->count++)] = (struct frame){
		.kind = ret_place->kind,
		.file = ret_place->file,
		.address = ret_place->address,
	};
	return ret_place->kind == CODE_MODULE || ret_place->kind == CODE_ANONYMOUS;
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

static __attribute__((noinline)) struct rule
find_missing_rule(struct walk *w, const struct code_place *place, uint64_t key)
{
	struct rule rule;
	int error = unwind_module_find_rule(place->module, &w->unwinder->scratch, place->address, &rule);

	if (error)
		return (struct rule){.kind = error == -ENOBUFS ? RULE_BAD : RULE_UNREADABLE};
	pc_cache_add(w->unwinder->cache, key, rule);
	return rule;
}

static inline struct rule
find_rule(struct walk *w, const struct code_place *place)
{
	struct rule rule;
	uint64_t key;

	if (place->kind == CODE_ANONYMOUS)
		return (struct rule){.kind = RULE_GAP};
	key = pc_cache_key(unwind_module_id(place->module), place->address);
	rule = pc_cache_find(w->unwinder->cache, key);
	if (__builtin_expect(rule.kind == RULE_NONE, 0))
		return find_missing_rule(w, place, key);
	return rule;
}

static enum step
step_by_module_row(struct walk *w, const struct code_place *place)
{
	struct cfi_row row;

	switch (unwind_module_find_row(place->module, &w->unwinder->scratch, place->address, &row)) {
	case 0:
		if (row.signal_frame)
			report_first_byte(w);
		if (w->state.interrupted)
			red_zone_mend_row(&w->state, w->lookup, w->context, &row);
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
step_over_gap(struct walk *w, const struct code_place *place)
{
	struct rule rule = {.kind = RULE_GAP};

	if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted && place->kind == CODE_MODULE)
		rule = code_leaf_rule(place->module, place->address, rule);
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
step_completely(struct walk *w, const struct code_place *place, struct rule rule)
{
	if (!register_is_known(&w->state.registers, REGISTER_SP))
		rule = rule_without_sp(rule);
	switch (rule.kind) {
	case RULE_END:
		return step_end(&w->state, END_ROOT);
	case RULE_GAP:
		return step_over_gap(w, place);
	case RULE_SIGRETURN:
		if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted)
			return step_over_gap(w, place); /* the stub is what follows a *return address* here */
		return step_by_sigreturn(w);
	case RULE_START:
		if (INSTRUCTION_ALIGNMENT == 1 && w->state.interrupted)
			return step_over_gap(w, place); /* a gap's last byte */
		report_first_byte(w);
		return step_end(&w->state, END_ROOT);
	case RULE_SP:
	case RULE_FP:
		if (rule.from_code)
			return step_by_code_rule(w, rule);
		return step_by_module_row(w, place);
	case RULE_SLOW:
		return step_by_module_row(w, place);
	case RULE_UNREADABLE:
		return step_end(&w->state, END_UNREADABLE);
	default:
		return step_end(&w->state, END_BAD_CFI);
	}
}

/* Walks to the end: STEP_ENDED, or STEP_NEEDS_REGISTERS. `exact`: every frame by its complete row. */
static inline __attribute__((always_inline)) enum step
walk_frames(struct walk *w, bool exact)
{
	struct position at;
	bool interrupted = true, fast_steps = false;
	uint64_t asked = w->state.stack->sp;

	position_load(&w->state.registers, &at);
	for (;;) {
		struct code_place place;
		struct rule rule;
		enum step step;

		if (!enter_frame(w, at.pc - !interrupted, &place)) {
			position_store(&at, &w->state.registers); /* for report_stop() */
			return STEP_ENDED;
		}
		stack_view_read_ahead(w->state.stack, at.sp, &asked);
		rule = find_rule(w, &place);
		if (!exact && __builtin_expect(position_step(&at, w->state.stack, rule, interrupted), 1)) {
			interrupted = false;
			fast_steps = true;
			continue;
		}
		if (fast_steps) {
			position_store(&at, &w->state.registers);
			w->state.interrupted = false;
		}
		fast_steps = false;
		step = step_completely(w, &place, rule);
		if (step != STEP_MOVED)
			return step;
		if (!exact && !register_is_known(&w->state.registers, REGISTER_FP))
			return STEP_NEEDS_REGISTERS; /* a position needs its fp */
		position_load(&w->state.registers, &at);
		interrupted = w->state.interrupted;
	}
}

static void
start(struct walk *w, const struct user_registers *registers, const struct stack_view *stack)
{
	w->count = 0;
	w->state = (struct frame_state){.stack = stack, .interrupted = true};
	for (unsigned number = 0; number < REGISTER_COUNT; number++)
		w->state.registers.value[number] = registers->value[number];
	w->state.registers.known = ALL_REGISTERS;
}

static void
report_stop(const struct walk *w, struct walk_stop *ret)
{
	const struct register_file *registers = &w->state.registers;

	*ret = (struct walk_stop){
		.pc = registers->value[REGISTER_PC] - !w->state.interrupted,
		.sp = registers->value[REGISTER_SP],
		.fp = registers->value[REGISTER_FP],
		.fp_known = register_is_known(registers, REGISTER_FP),
	};
}

enum unwind_end
unwinder_walk_to(struct unwinder *unwinder, const struct user_registers *registers,
		 const struct stack_view *stack, code_lookup *lookup, void *context, struct frame *frames,
		 size_t *ret_count, struct walk_stop *ret_stop)
{
	struct walk w = {.unwinder = unwinder, .lookup = lookup, .context = context, .frames = frames};

	unwinder->scratch.budget = CFI_BYTES_PER_WALK;
	start(&w, registers, stack);
	if (walk_frames(&w, /* exact= */ false) == STEP_NEEDS_REGISTERS) {
		start(&w, registers, stack);
		if (walk_frames(&w, /* exact= */ true) == STEP_NEEDS_REGISTERS)
			w.state.end = END_BAD_CFI; /* CFI asks for a register that no caller can have */
	}
	report_stop(&w, ret_stop);
	*ret_count = finish_frames(&w);
	return w.state.end;
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
	struct walk w = {.unwinder = unwinder};
	struct rule rule;

	if (place->kind != CODE_MODULE && place->kind != CODE_ANONYMOUS)
		return (struct rule){.kind = RULE_UNREADABLE};
	unwinder->scratch.budget = *cfi_bytes_left;
	rule = find_rule(&w, place);
	*cfi_bytes_left = unwinder->scratch.budget;
	return rule;
}
