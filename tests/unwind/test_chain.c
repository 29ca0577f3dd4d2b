/* The kernel's chain behind a small copy: where it may go on, where it must not, and what its end is called.
 * Stacks are arrays of words, code is hand-written CFI at CODE(x):
 *
 *   0x000  outermost  rip undefined
 *   0x100  plain      CFA = rsp + 16, no frame record
 *   0x200  framed     from 0x204 on CFA = rbp + 16, rbp at CFA - 16
 *   0x300  wide       CFA = rsp + 512, no frame record
 *   0x400  borrowed   CFA = rbp + 16, but rbp is the caller's too: not saved there
 *   0x500  malformed
 *   0x600  pushed     CFA = rsp + 16, rbp at CFA - 16, but it holds something else now */

#include "tests/unwind/frame_builder.h"

#include "worker/unwind/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BIAS 0x555500000000u
#define CODE(x) (BIAS + FRAME_CODE + (x))
#define LOST 0x710000000000u /* a file we cannot read */
#define NOWHERE 0x720000000000u
#define SP 0x7ffc00001000u
#define ADDRESS(i) (SP + 8 * (uint64_t)(i)) /* of word i */
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define FRAMED CODE(0x220) /* a return address */
#define OUTERMOST CODE(0x20)

enum { WORDS = 4096, PROGRAM = 5 };

struct fixture {
	struct frame_builder builder;
	struct elf_image *image;
	struct unwind_module *module;
	struct unwinder *unwinder;
	struct user_registers registers;
	uint64_t words[WORDS];
	size_t top;     /* words in use */
	uint64_t *link; /* where the next record's address goes */
	uint64_t chain[KERNEL_CHAIN_MAX];
	struct root_tails tails;
	struct frame frames[UNWIND_MAX_FRAMES], full_frames[UNWIND_MAX_FRAMES];
	struct chain_walk walk, full;
};

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct fixture *f = context;

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (pc >= CODE(0) && pc < CODE(0x4000))
		*ret = (struct code_place){
			.kind = CODE_MODULE, .file = 7, .address = pc - BIAS, .module = f->module};
	else if (pc >= LOST && pc < LOST + 0x1000)
		*ret = (struct code_place){.kind = CODE_UNREADABLE, .file = 8, .address = pc};
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	frame_builder_init(&f->builder);
	frame_builder_fde(&f->builder, FRAME_CODE + 0x000, 0x100, BYTES(0x07, 16));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x100, 0x100, BYTES(0x0e, 16));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x200, 0x100,
			  BYTES(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x300, 0x100, BYTES(0x0e, 0x80, 4));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x400, 0x100, BYTES(0x0c, 6, 16));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x500, 0x100, BYTES(0x3f));
	frame_builder_fde(&f->builder, FRAME_CODE + 0x600, 0x100, BYTES(0x0e, 16, 0x86, 2));
	f->image = frame_builder_finish(&f->builder, FRAME_TABLE);
	f->module = unwind_module_new(f->image, 1);
	f->unwinder = unwinder_new();
	*state = f;
	return f->module && f->unwinder ? 0 : -1;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	unwinder_free(f->unwinder);
	unwind_module_free(f->module);
	elf_image_free(f->image);
	free(f);
	return 0;
}

/* ---- stacks, from the leaf outwards ---- */

static void
begin(struct fixture *f, uint64_t pc)
{
	memset(&f->registers, 0, sizeof(f->registers));
	memset(f->words, 0, sizeof(f->words));
	f->registers.value[REGISTER_PC] = pc;
	f->registers.value[REGISTER_SP] = SP;
	f->top = 0;
	f->link = &f->registers.value[REGISTER_FP];
}

static void
push_plain(struct fixture *f, uint64_t return_address)
{
	f->top++;
	f->words[f->top++] = return_address;
}

static void
push_wide(struct fixture *f, uint64_t return_address)
{
	f->top += 63;
	f->words[f->top++] = return_address;
}

/* Ten local words, then the record. */
static void
push_framed(struct fixture *f, uint64_t return_address)
{
	f->top += 10;
	*f->link = ADDRESS(f->top);
	f->link = &f->words[f->top++];
	f->words[f->top++] = return_address;
}

static struct stack_view
copy_of(struct fixture *f, size_t words)
{
	return (struct stack_view){
		.bytes = (const uint8_t *)f->words, .mask = UINT64_MAX, .sp = SP, .size = words * 8};
}

static enum unwind_end
walk_copy(struct fixture *f, size_t words, struct chain_walk *ret, struct frame *frames)
{
	struct stack_view copy = copy_of(f, words);
	struct walk_stop stop;
	enum unwind_end end;

	*ret = (struct chain_walk){
		.unwinder = f->unwinder,
		.lookup = lookup,
		.context = f,
		.program = PROGRAM,
		.tails = &f->tails,
		.chain = f->chain,
		.chain_count = ret->chain_count,
		.frames = frames,
	};
	end = unwinder_walk_to(f->unwinder, &f->registers, &copy, lookup, f, frames, &ret->count, &stop);
	if (end == END_COPY_SHORT)
		end = chain_walk_on(ret, &f->registers, &copy, &stop);
	return end;
}

/* The kernel sees the whole stack, the walk so many words of it. */
static enum unwind_end
splice(struct fixture *f, size_t words)
{
	struct stack_view whole = copy_of(f, WORDS);

	f->walk.chain_count = chain_of_copy(&f->registers, &whole, f->chain);
	return walk_copy(f, words, &f->walk, f->frames);
}

static bool
is_as_whole(struct fixture *f)
{
	f->full.chain_count = 0;
	walk_copy(f, WORDS, &f->full, f->full_frames);
	if (f->full.count != f->walk.count)
		return false;
	for (size_t i = 0; i < f->full.count; i++)
		if (!frame_equals(&f->full_frames[i], &f->frames[i]))
			return false;
	return true;
}

/* ---- going on ---- */

/* All return addresses are the same, so that only frame pointers tell where the chain goes on; wherever the
 * copy ends, the stack comes out whole. The leaf has no record: a chain alone leaves its caller out. */
static void
test_any_cut_of_a_recursion(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x110));
	push_plain(f, FRAMED);
	for (unsigned i = 0; i < 20; i++)
		push_framed(f, i < 19 ? FRAMED : OUTERMOST);
	for (size_t words = 2; words <= f->top; words++) {
		assert_int_equal(splice(f, words), END_ROOT);
		assert_int_equal(f->walk.count, 22);
		assert_true(is_as_whole(f));
	}
	assert_int_equal(f->walk.chain_count, 21);
	assert_int_equal(splice(f, 1), END_COPY_SHORT); /* the leaf has no record: its caller is not known */
	assert_int_equal(f->walk.count, 1);
}

/* A frame without a record of its own has a caller that the chain does not name. */
static void
test_no_record_at_the_cut(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, CODE(0x320));
	push_wide(f, FRAMED);
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	assert_int_equal(splice(f, 40), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 2);
	assert_int_equal(splice(f, 80), END_ROOT);
	assert_true(is_as_whole(f));

	begin(f, CODE(0x420));
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	assert_int_equal(splice(f, 5), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 1);
}

/* Nor is one left out further up, where the copy does not reach. */
static void
test_no_record_beyond_the_cut(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, CODE(0x120));
	push_plain(f, FRAMED);
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	assert_int_equal(splice(f, 12), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 3);
	assert_int_equal(splice(f, 26), END_ROOT);
	assert_true(is_as_whole(f));
	assert_int_equal(chain_walk_alone(&f->walk), END_ROOT);
	assert_int_equal(f->walk.count, f->full.count - 1);
}

/* Code that uses rbp for something else: the kernel was somewhere, but not here. */
static void
test_chain_leads_elsewhere(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	struct stack_view whole = copy_of(f, WORDS);
	f->walk.chain_count = chain_of_copy(&f->registers, &whole, f->chain);
	assert_int_equal(walk_copy(f, 15, &f->walk, f->frames), END_ROOT);
	f->chain[1]++; /* not what the copy says: another moment, or another kind of chain */
	assert_int_equal(walk_copy(f, 15, &f->walk, f->frames), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 2);
	f->chain[1]--;
	f->walk.chain_count = 1; /* ends before it */
	assert_int_equal(walk_copy(f, 15, &f->walk, f->frames), END_COPY_SHORT);

	/* the walk knows a caller's rbp that the kernel never saw: it was saved by the leaf, then used */
	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	f->walk.chain_count = chain_of_copy(&(struct user_registers){0}, &whole, f->chain);
	assert_int_equal(walk_copy(f, 15, &f->walk, f->frames), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 2);
}

/* ---- its end ---- */

static void
test_ends(void **state)
{
	static const struct {
		uint64_t last;
		enum unwind_end end;
		size_t count;
	} rows[] = {
		{OUTERMOST, END_ROOT, 4},         {0, END_ROOT, 3},
		{FRAMED, END_BAD_CFI, 4},         {NOWHERE, END_UNMAPPED, 3},
		{LOST + 8, END_UNREADABLE, 4},    {CODE(0x520), END_BAD_CFI, 4},
		{CODE(0x120), END_COPY_SHORT, 4}, {CODE(0x420), END_COPY_SHORT, 4},
		{CODE(0x620), END_COPY_SHORT, 4},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(f, CODE(0x220));
		push_framed(f, FRAMED);
		push_framed(f, FRAMED);
		push_framed(f, rows[i].last);
		*f->link = 1; /* no address */
		assert_int_equal(splice(f, 15), rows[i].end);
		assert_int_equal(f->walk.count, rows[i].count);
	}

	/* what an outermost frame leaves in rbp leads nowhere, and does not matter */
	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	push_framed(f, NOWHERE);
	assert_int_equal(splice(f, 12), END_ROOT);
	assert_int_equal(f->walk.count, 3);
}

static void
test_cut_chain(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	for (unsigned i = 0; i < 200; i++)
		push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	assert_int_equal(splice(f, 128), END_COPY_SHORT);
	assert_int_equal(f->walk.chain_count, KERNEL_CHAIN_MAX);
	assert_int_equal(f->walk.count, KERNEL_CHAIN_MAX);
}

static void
test_chain_alone(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, OUTERMOST);
	splice(f, 12);
	f->walk.count = 99;
	assert_int_equal(chain_walk_alone(&f->walk), END_ROOT);
	assert_int_equal(f->walk.count, 3);
	assert_int_equal(f->frames[0].address, FRAME_CODE + 0x220);
	assert_int_equal(f->frames[1].address, FRAME_CODE + 0x21f);
	f->walk.chain_count = 2;
	assert_int_equal(chain_walk_alone(&f->walk), END_BAD_CFI);
	f->walk.chain_count = 1; /* not a chain */
	assert_int_equal(chain_walk_alone(&f->walk), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 1);
	f->walk.chain_count = 0;
	assert_int_equal(chain_walk_alone(&f->walk), END_ROOT);
	assert_int_equal(f->walk.count, 0);
	f->chain[0] = NOWHERE; /* a leaf is a frame, wherever it is */
	f->chain[1] = NOWHERE;
	f->walk.chain_count = 2;
	assert_int_equal(chain_walk_alone(&f->walk), END_UNMAPPED);
	assert_int_equal(f->walk.count, 1);
}

/* Recordings may have chains of any length. */
static void
test_chain_longer_than_a_stack(void **state)
{
	static uint64_t chain[UNWIND_MAX_FRAMES + 100];
	struct fixture *f = *state;

	for (size_t i = 0; i < UNWIND_MAX_FRAMES + 100; i++)
		chain[i] = FRAMED;
	begin(f, CODE(0x220));
	splice(f, 12);
	f->walk.chain = chain;
	f->walk.chain_count = UNWIND_MAX_FRAMES + 100;
	assert_int_equal(chain_walk_alone(&f->walk), END_COPY_SHORT);
	assert_int_equal(f->walk.count, UNWIND_MAX_FRAMES);
}

/* ---- root tails ---- */

/* framed <- framed <- plain <- plain <- outermost: no records beyond the second, rbp is nothing. */
static void
begin_without_records(struct fixture *f, uint64_t start)
{
	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, CODE(0x120));
	push_plain(f, start);
	push_plain(f, OUTERMOST);
	*f->link = NOWHERE;
}

static bool
learn(struct fixture *f)
{
	struct stack_view whole = copy_of(f, WORDS);

	f->full.chain_count = chain_of_copy(&f->registers, &whole, f->chain);
	assert_int_equal(walk_copy(f, WORDS, &f->full, f->full_frames), END_ROOT);
	return chain_learn_tail(&f->full, &f->tails);
}

static void
test_root_tail(void **state)
{
	struct fixture *f = *state;

	begin_without_records(f, CODE(0x130));
	assert_int_equal(splice(f, 12), END_COPY_SHORT);
	assert_int_equal(f->walk.count, 3);
	assert_true(learn(f));
	assert_false(learn(f)); /* no news */
	for (size_t words = 12; words < f->top; words++) {
		assert_int_equal(splice(f, words), END_ROOT);
		assert_true(is_as_whole(f));
	}
	f->walk.program++;
	assert_int_equal(chain_walk_alone(&f->walk), END_BAD_CFI); /* of another program nothing is known */

	begin_without_records(f, CODE(0x140)); /* the same call has other callers: no longer known */
	assert_false(learn(f));
	assert_int_equal(splice(f, 12), END_COPY_SHORT);
	begin_without_records(f, CODE(0x130));
	assert_int_equal(splice(f, 12), END_COPY_SHORT);
}

/* A stack that ends because the next word is zero: the chain does not show that. */
static void
test_root_without_callers(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, CODE(0x120));
	push_plain(f, 0);
	assert_int_equal(splice(f, 12), END_COPY_SHORT);
	assert_true(learn(f));
	assert_int_equal(splice(f, 12), END_ROOT);
	assert_true(is_as_whole(f));
}

static void
test_tail_too_long(void **state)
{
	struct fixture *f = *state;

	begin(f, CODE(0x220));
	push_framed(f, FRAMED);
	push_framed(f, CODE(0x110));
	for (unsigned i = 1; i <= ROOT_TAIL_FRAMES; i++)
		push_plain(f, CODE(0x110 + i));
	push_plain(f, OUTERMOST);
	assert_false(learn(f));
	assert_int_equal(f->tails.count, 0);
}

static void
test_tails_are_compared_whole(void **state)
{
	static struct root_tails tails;
	const struct frame *callers, other = {.address = 99};
	struct frame frames[ROOT_TAIL_FRAMES + 2] = {{0}};

	(void)state;
	for (uint64_t i = 0; i < ROOT_TAIL_FRAMES + 2; i++)
		frames[i].address = i;
	assert_false(root_tails_learn(&tails, PROGRAM, frames, ROOT_TAIL_FRAMES + 2, 0));
	assert_true(root_tails_learn(&tails, PROGRAM, frames, ROOT_TAIL_FRAMES + 1, 0));
	assert_int_equal(root_tails_find(&tails, PROGRAM, &frames[0], &callers), ROOT_TAIL_FRAMES);
	assert_int_equal(root_tails_find(&tails, PROGRAM, &other, &callers), -1);
	assert_int_equal(root_tails_find(&tails, PROGRAM + 1, &frames[0], &callers), -1);
	root_tails_learn(&tails, PROGRAM, frames, 3, 0); /* the same callers, but fewer */
	assert_int_equal(root_tails_find(&tails, PROGRAM, &frames[0], &callers), -1);
	for (uint64_t i = 0; i < 2 * ROOT_TAILS_MAX; i++) {
		frames[0].address = 100 + i;
		root_tails_learn(&tails, PROGRAM, frames, 2, 0);
	}
	assert_int_equal(tails.count, ROOT_TAILS_MAX);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_any_cut_of_a_recursion),
		TEST(test_no_record_at_the_cut),
		TEST(test_no_record_beyond_the_cut),
		TEST(test_chain_leads_elsewhere),
		TEST(test_ends),
		TEST(test_cut_chain),
		TEST(test_chain_alone),
		TEST(test_chain_longer_than_a_stack),
		TEST(test_root_tail),
		TEST(test_root_without_callers),
		TEST(test_tail_too_long),
		TEST(test_tails_are_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
