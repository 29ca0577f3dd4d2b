/* What a walk finds does not depend on its company: random stacks over real code, alone and in groups. */

#include "tests/support/random.h"
#include "tests/unwind/address_space.h"

#include "worker/unwind/unwind.h"

#include <fnmatch.h>
#include <glob.h>
#include <locale.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 4000, STACK_WORDS = 400, PROCESSES = 3 };

/* Processes that map the same files, which have other numbers in each. */
struct view {
	struct address_space *space;
	uint32_t first_file;
};

static struct view views[PROCESSES];

struct sample {
	unsigned process;
	struct user_registers registers;
	struct stack_view stack;
	uint64_t words[STACK_WORDS];
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;
	enum unwind_end end;
};

static struct sample samples[SAMPLES];
static struct frame found[UNWIND_JOBS_MAX][UNWIND_MAX_FRAMES];

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	const struct view *view = context;

	address_space_lookup(view->space, pc, ret);
	ret->file += view->first_file;
	ret->start = pc & ~15ull; /* as much as is certain */
	ret->size = ret->kind == CODE_UNMAPPED ? 0 : 16;
}

/* Addresses that are return addresses, or at least code. Mostly libc's, which no sanitizer changes. */
static uint64_t
random_code(uint64_t *seed)
{
	static void *const functions[] = {(void *)regcomp, (void *)fnmatch,   (void *)getpid,
					  (void *)glob,    (void *)setlocale, (void *)unwinder_walk};

	return (uint64_t)(uintptr_t)functions[random_below(seed, sizeof(functions) / sizeof(functions[0]))] +
	       random_below(seed, 2000);
}

static void
make_sample(struct sample *sample, uint64_t *seed)
{
	uint64_t base = 0x7ffc00000000 + 0x100000 * random_below(seed, 4);

	sample->process = (unsigned)random_below(seed, PROCESSES);
	for (size_t i = 0; i < STACK_WORDS; i++)
		switch (random_below(seed, 20)) {
		case 0:
			sample->words[i] = random_below(seed, 2) ? random_next(seed) : 0;
			break;
		case 1:
		case 2: /* a saved frame pointer */
			sample->words[i] = base + 8 * (i + random_below(seed, 12));
			break;
		default:
			sample->words[i] = random_code(seed);
		}
	for (size_t i = 0; i < REGISTER_COUNT; i++)
		sample->registers.value[i] = base + 8 * random_below(seed, STACK_WORDS);
	sample->registers.value[REGISTER_SP] = base;
	sample->registers.value[REGISTER_PC] = random_code(seed);
	sample->stack = (struct stack_view){
		.bytes = (const uint8_t *)sample->words,
		.mask = UINT64_MAX,
		.sp = base,
		.size = sizeof(sample->words),
	};
}

static void
walk_group(struct unwinder *unwinder, size_t first, size_t count, bool is_remembered)
{
	struct unwind_job jobs[UNWIND_JOBS_MAX];

	for (size_t i = 0; i < count; i++)
		jobs[i] = (struct unwind_job){
			.registers = &samples[first + i].registers,
			.stack = &samples[first + i].stack,
			.context = &views[samples[first + i].process],
			.space = is_remembered ? 1 + samples[first + i].process : 0,
			.frames = found[i],
		};
	unwinder_walk_together(unwinder, lookup, jobs, count);
	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = &samples[first + i];

		assert_int_equal(jobs[i].end, sample->end);
		assert_int_equal(jobs[i].count, sample->count);
		for (size_t frame = 0; frame < sample->count; frame++) {
			assert_int_equal(found[i][frame].kind, sample->frames[frame].kind);
			assert_int_equal(found[i][frame].file, sample->frames[frame].file);
			assert_int_equal(found[i][frame].address, sample->frames[frame].address);
		}
	}
}

/* Three times: rules not known yet, known, and with frames remembered from walks before. */
static void
test_company(void **state)
{
	struct address_space *space = address_space_new(getpid());
	struct unwinder *unwinder = unwinder_new();
	uint64_t seed = 4;
	size_t frames = 0, roots = 0;

	(void)state;
	for (uint32_t i = 0; i < PROCESSES; i++)
		views[i] = (struct view){.space = space, .first_file = 100 * i};
	for (size_t i = 0; i < SAMPLES; i++) {
		struct unwinder *fresh = i % 16 ? NULL : unwinder_new();
		struct sample *sample = &samples[i];

		make_sample(sample, &seed);
		sample->end = unwinder_walk(fresh ? fresh : unwinder, &sample->registers, &sample->stack,
					    lookup, &views[sample->process], sample->frames, &sample->count);
		unwinder_free(fresh);
		frames += sample->count;
		roots += sample->end == END_ROOT;
	}
	assert_true(frames > 2 * SAMPLES && roots > 10);
	unwinder_free(unwinder);
	unwinder = unwinder_new();
	for (unsigned round = 0; round < 3; round++)
		for (size_t first = 0, count; first < SAMPLES; first += count) {
			count = 1 + random_below(&seed, UNWIND_JOBS_MAX);
			if (count > SAMPLES - first)
				count = SAMPLES - first;
			walk_group(unwinder, first, count, round > 0);
		}
	unwinder_free(unwinder);
	address_space_free(space);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
