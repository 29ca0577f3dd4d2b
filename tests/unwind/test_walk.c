/* Whole walks over stacks written as arrays, through hand-written call frame information: every way a stack
 * can end, every rule of the loop. Code is at CODE(x) = run-time address of ELF address 0x4000 + x:
 *
 *   0x000  outermost  rip undefined
 *   0x100  plain      CFA = rsp + 16                       (one local word)
 *   0x200  framed     push rbp; mov rsp,rbp: CFA = rbp + 16, rbp at CFA - 16, also at 0x20f (`ret`), where
 *                     CFA = rsp + 8 but gcc goes on saying that rbp is at CFA - 16
 *   0x300  saves rbx  CFA = rsp + 16, rbx at CFA - 16
 *   0x400  on rbx     CFA = rbx + 16
 *   0x500  on rax     CFA = rax + 16
 *   0x600  malformed
 *   0x700  stuck      CFA = rsp + 0
 *   0x800  no return  like plain; its last instruction is a call, so its caller's return address is 0x900
 *   0x900  wide       CFA = rsp + 64
 *   0xa00  in rdi     CFA = rsp + 0, rip in rdi (vfork)
 *   0xb00  bad slot   rbp at CFA + 1000
 *   0xc00  restorer   a signal frame: CFA = *(rsp + 24), rip = *(rsp + 32), rbp = *(rsp + 40)
 *   0xd00  moves on   CFA = rsp + 8, rip in rbx: a step without memory
 *   0xe00  loses rax  CFA = rsp + 16, rax undefined
 *   0xf00  below      CFA = *(rsp - 8) + 8, which was not copied
 *   0x2000 up         code without tables */

#include "tests/unwind/frame_builder.h"

#include "worker/unwind/unwind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BIAS 0x555500000000u
#define CODE(x) (BIAS + FRAME_CODE + (x))
#define ELF(x) (FRAME_CODE + (x))
#define JIT 0x700000000000u
#define LOST 0x710000000000u /* a file we cannot read */
#define SP 0x7ffc00001000u
#define ADDRESS(i) (SP + 8 * (uint64_t)(i)) /* of word i */
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

enum { WORDS = 64 };

struct fixture {
	struct frame_builder builder;
	struct elf_image *image;
	struct unwind_module *module;
	struct unwinder *unwinder;
	struct user_registers registers;
	uint64_t words[WORDS], word_count;
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;
	enum unwind_end end;
};

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct fixture *f = context;

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (pc >= CODE(0) && pc < CODE(0x4000))
		*ret = (struct code_place){
			.kind = CODE_MODULE, .file = 7, .address = pc - BIAS, .module = f->module};
	else if (pc >= JIT && pc < JIT + 0x1000)
		ret->kind = CODE_ANONYMOUS;
	else if (pc >= LOST && pc < LOST + 0x1000)
		ret->kind = CODE_UNREADABLE;
}

static void
add_functions(struct frame_builder *b)
{
	frame_builder_fde(b, ELF(0x000), 0x100, BYTES(0x07, 16));
	frame_builder_fde(b, ELF(0x100), 0x100, BYTES(0x0e, 16));
	frame_builder_fde(b, ELF(0x200), 0x100,
			  BYTES(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x4b, 0x0c, 7, 8));
	frame_builder_fde(b, ELF(0x300), 0x100, BYTES(0x0e, 16, 0x83, 2));
	frame_builder_fde(b, ELF(0x400), 0x100, BYTES(0x0c, 3, 16));
	frame_builder_fde(b, ELF(0x500), 0x100, BYTES(0x0c, 0, 16));
	frame_builder_fde(b, ELF(0x600), 0x100, BYTES(0x3f));
	frame_builder_fde(b, ELF(0x700), 0x100, BYTES(0x0e, 0));
	frame_builder_fde(b, ELF(0x800), 0x100, BYTES(0x0e, 16));
	frame_builder_fde(b, ELF(0x900), 0x100, BYTES(0x0e, 64));
	frame_builder_fde(b, ELF(0xa00), 0x100, BYTES(0x0e, 0, 0x09, 16, 5));
	frame_builder_fde(b, ELF(0xb00), 0xff, BYTES(0x0e, 16, 0x11, 6, 0x83, 0x7f));
	frame_builder_fde(b, ELF(0xd00), 0x100, BYTES(0x0e, 8, 0x09, 16, 3));
	frame_builder_fde(b, ELF(0xe00), 0x100, BYTES(0x0e, 16, 0x07, 0));
	frame_builder_fde(b, ELF(0xf00), 0x100, BYTES(0x0f, 5, 0x77, 0x78, 0x06, 0x23, 0x08));
	frame_builder_cie(b, "zRS");
	/* from one byte before, as glibc does: a return address to its start is looked up at pc - 1 */
	frame_builder_fde(b, ELF(0xbff), 0x101,
			  BYTES(0x0f, 3, 0x77, 24, 0x06, 0x10, 16, 2, 0x77, 32, 0x10, 6, 2, 0x77, 40));
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	frame_builder_init(&f->builder);
	add_functions(&f->builder);
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

/* Starts a stack: registers zero but for pc and sp. */
static void
begin(struct fixture *f, uint64_t pc, const uint64_t *words, size_t count)
{
	memset(&f->registers, 0, sizeof(f->registers));
	f->registers.value[REGISTER_RIP] = pc;
	f->registers.value[REGISTER_RSP] = SP;
	memset(f->words, 0, sizeof(f->words));
	assert_true(count <= WORDS);
	memcpy(f->words, words, count * sizeof(*words));
	f->word_count = count;
}

#define BEGIN(f, pc, ...) \
	begin(f, pc, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

/* Walks twice, with an empty and a warm cache, over a buffer of exactly the copied size. */
static void
walk(struct fixture *f)
{
	uint8_t *copy = malloc(f->word_count * 8 + !f->word_count);
	struct stack_view stack = {.bytes = copy, .mask = UINT64_MAX, .sp = SP, .size = f->word_count * 8};
	enum unwind_end end;
	size_t count;

	assert_non_null(copy);
	memcpy(copy, f->words, f->word_count * 8);
	end = unwinder_walk(f->unwinder, &f->registers, &stack, lookup, f, f->frames, &count);
	f->end = unwinder_walk(f->unwinder, &f->registers, &stack, lookup, f, f->frames, &f->count);
	assert_int_equal(end, f->end);
	assert_int_equal(count, f->count);
	free(copy);
}

static void
expect_addresses(struct fixture *f, enum unwind_end end, const uint64_t *addresses, size_t count)
{
	walk(f);
	assert_int_equal(f->end, end);
	assert_int_equal(f->count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(f->frames[i].address, addresses[i]);
}

#define EXPECT(f, end, ...) \
	expect_addresses(f, end, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void
test_root(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, CODE(0x110), 0, CODE(0x120), 0, CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x11f), ELF(0xf));
	assert_int_equal(f->frames[0].kind, CODE_MODULE);
	assert_int_equal(f->frames[2].file, 7);

	/* a return address of zero ends a stack too */
	BEGIN(f, CODE(0x110), 0, CODE(0x120), 0, 0);
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x11f));

	BEGIN(f, CODE(0x10), 0);
	EXPECT(f, END_ROOT, ELF(0x10));
}

static void
test_copy_short(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, CODE(0x110), 0, CODE(0x120), 0);
	EXPECT(f, END_COPY_SHORT, ELF(0x110), ELF(0x11f));
	f->word_count = 1;
	EXPECT(f, END_COPY_SHORT, ELF(0x110));
	f->word_count = 0;
	EXPECT(f, END_COPY_SHORT, ELF(0x110));
}

static void
test_places(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, CODE(0x110), 0, 0x1234, 0, 0);
	EXPECT(f, END_UNMAPPED, ELF(0x110)); /* a return address to nowhere is no frame */
	BEGIN(f, 0x1234, CODE(0x10));
	EXPECT(f, END_UNMAPPED, 0x1234); /* a leaf is */
	assert_int_equal(f->frames[0].kind, CODE_UNMAPPED);
	BEGIN(f, CODE(0x110), 0, LOST + 8, 0, 0);
	EXPECT(f, END_UNREADABLE, ELF(0x110), LOST + 7);
	assert_int_equal(f->frames[1].kind, CODE_UNREADABLE);
}

static void
test_bad_cfi(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, CODE(0x110), 0, CODE(0x610), 0, 0);
	EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0x60f));
	BEGIN(f, CODE(0x710), 0, 0, 0); /* CFA = rsp: the return address would lie below sp */
	EXPECT(f, END_BAD_CFI, ELF(0x710));
	BEGIN(f, CODE(0x110), 0, CODE(0x710), 0, 0);
	EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0x70f));
	BEGIN(f, CODE(0x210), 0, 0, 0, 0);
	f->registers.value[REGISTER_RBP] = SP - 16; /* CFA = sp: did not move up */
	f->registers.value[REGISTER_RIP] = CODE(0x208);
	EXPECT(f, END_BAD_CFI, ELF(0x208));
	f->registers.value[REGISTER_RBP] = SP + 3; /* no CFA is odd */
	EXPECT(f, END_BAD_CFI, ELF(0x208));
	f->registers.value[REGISTER_RBP] = 64; /* nor in the first page */
	EXPECT(f, END_BAD_CFI, ELF(0x208));
	f->registers.value[REGISTER_RBP] = SP - 4096; /* nor where this stack was before */
	EXPECT(f, END_BAD_CFI, ELF(0x208));
	f->registers.value[REGISTER_RBP] = 0x5555000000; /* but it may be on another stack */
	EXPECT(f, END_OTHER_STACK, ELF(0x208));
	f->registers.value[REGISTER_RBP] = SP + 4096; /* but it may be behind the copy */
	EXPECT(f, END_COPY_SHORT, ELF(0x208));
	BEGIN(f, CODE(0xe10), 0, CODE(0x510), 0, 0, CODE(0x10), 0); /* rax of a caller: nobody knows */
	f->registers.value[REGISTER_RAX] = ADDRESS(3);
	EXPECT(f, END_BAD_CFI, ELF(0xe10), ELF(0x50f));
}

/* `depth` frames: one leaf, callers that differ by their place in 0x200 bytes of code, the outermost. */
static void
walk_deep(struct fixture *f, size_t depth)
{
	static uint64_t words[2 * 4 * UNWIND_MAX_FRAMES];
	struct stack_view stack = {
		.bytes = (uint8_t *)words, .mask = UINT64_MAX, .sp = SP, .size = sizeof(words)};

	assert_true(2 * depth <= sizeof(words) / sizeof(words[0]));
	BEGIN(f, CODE(0x110), 0);
	memset(words, 0, sizeof(words));
	for (size_t i = 1; i < depth; i++)
		words[2 * i - 1] = i == depth - 1 ? CODE(0x10) : CODE(0x101 + i % 64);
	f->end = unwinder_walk(f->unwinder, &f->registers, &stack, lookup, f, f->frames, &f->count);
}

static void
test_depth(void **state)
{
	static const size_t depths[] = {2,
					UNWIND_MAX_FRAMES - 1,
					UNWIND_MAX_FRAMES,
					UNWIND_MAX_FRAMES + 1,
					UNWIND_MAX_FRAMES + 2,
					3 * UNWIND_MAX_FRAMES / 2,
					3 * UNWIND_MAX_FRAMES + 77};
	struct fixture *f = *state;

	for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
		size_t depth = depths[d], kept = depth < UNWIND_MAX_FRAMES ? depth : UNWIND_MAX_FRAMES;
		size_t left_out = depth > kept ? depth - kept + 1 : 0;

		walk_deep(f, depth);
		assert_int_equal(f->end, left_out ? END_DEPTH : END_ROOT);
		assert_int_equal(f->count, kept);
		for (size_t i = 1; i + 1 < kept; i++) {
			size_t number = left_out && i >= kept / 2 ? i + left_out - 1 : i;

			if (left_out && i == kept / 2) {
				assert_int_equal(f->frames[i].kind, CODE_LEFT_OUT);
				assert_int_equal(f->frames[i].address, left_out);
			} else {
				assert_int_equal(f->frames[i].kind, CODE_MODULE);
				assert_int_equal(f->frames[i].address, ELF(0x100 + number % 64));
			}
		}
		assert_int_equal(f->frames[0].address, ELF(0x110));
		assert_int_equal(f->frames[kept - 1].address, ELF(0xf));
	}
}

/* Steps that take nothing from memory end too: rip in rdi again and again, hostile and impossible. */
static void
test_depth_of_what_never_ends(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, CODE(0xd10), 0);
	f->registers.value[REGISTER_RBX] = CODE(0xd20);
	walk(f);
	assert_int_equal(f->end, END_BAD_CFI);
	assert_int_equal(f->count, UNWIND_MAX_FRAMES);
	assert_int_equal(f->frames[UNWIND_MAX_FRAMES / 2].kind, CODE_LEFT_OUT);
}

static void
test_frame_pointer_rows(void **state)
{
	struct fixture *f = *state;

	/* framed -> framed -> outermost */
	BEGIN(f, CODE(0x208), 1, ADDRESS(4), CODE(0x208), 2, ADDRESS(9), CODE(0x10));
	f->registers.value[REGISTER_RBP] = ADDRESS(1);
	EXPECT(f, END_ROOT, ELF(0x208), ELF(0x207), ELF(0xf));

	/* on `ret`: the slot is below sp, rbp is the caller's again (fact 7) */
	BEGIN(f, CODE(0x20f), CODE(0x208), 1, ADDRESS(9), CODE(0x10));
	f->registers.value[REGISTER_RBP] = ADDRESS(2);
	EXPECT(f, END_ROOT, ELF(0x20f), ELF(0x207), ELF(0xf));

	/* rbp's slot is not in the copy: a caller that does not need rbp is still found */
	BEGIN(f, CODE(0xb10), 0, CODE(0x120), 0, CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0xb10), ELF(0x11f), ELF(0xf));
	BEGIN(f, CODE(0x110), 0, CODE(0xb10), 0, CODE(0x120), 0, CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0xb0f), ELF(0x11f), ELF(0xf));
	/* and one that does is not invented */
	BEGIN(f, CODE(0x110), 0, CODE(0xb10), 0, CODE(0x208), 0, CODE(0x10));
	f->registers.value[REGISTER_RBP] = ADDRESS(4);
	EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0xb0f), ELF(0x207));
	BEGIN(f, CODE(0x110), 0, CODE(0xb10), 0, CODE(0x120), 0, CODE(0x2010), 0, 0, 0);
	EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0xb0f), ELF(0x11f), ELF(0x200f));
}

static void
test_call_at_the_end(void **state)
{
	struct fixture *f = *state;

	/* 0x900 is where the next function starts: the frame is the call before it */
	BEGIN(f, CODE(0x110), 0, CODE(0x900), 0, CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x8ff), ELF(0xf));
	/* a leaf there is the next function's first instruction */
	BEGIN(f, CODE(0x900), 0, CODE(0x10), 0, 0, 0, 0, 0, CODE(0x20));
	EXPECT(f, END_ROOT, ELF(0x900), ELF(0x1f));
}

static void
test_slow_rows(void **state)
{
	struct fixture *f = *state;

	/* a leaf knows rbx, rax and rdi */
	BEGIN(f, CODE(0x410), 0, 0, CODE(0x10));
	f->registers.value[REGISTER_RBX] = ADDRESS(1);
	EXPECT(f, END_ROOT, ELF(0x410), ELF(0xf));
	BEGIN(f, CODE(0x510), 0, 0, CODE(0x10));
	f->registers.value[REGISTER_RAX] = ADDRESS(1);
	EXPECT(f, END_ROOT, ELF(0x510), ELF(0xf));
	BEGIN(f, CODE(0xa10), 0, CODE(0x20));
	f->registers.value[REGISTER_RDI] = CODE(0x120);
	EXPECT(f, END_ROOT, ELF(0xa10), ELF(0x11f), ELF(0x1f));

	/* a caller's rbx needs the walk with all registers: saved by the leaf, untouched by the next */
	BEGIN(f, CODE(0x310), ADDRESS(6), CODE(0x120), 0, CODE(0x410), 1, 2, 3, CODE(0x120), 4, CODE(0x10));
	f->registers.value[REGISTER_RBX] = 12345;
	EXPECT(f, END_ROOT, ELF(0x310), ELF(0x11f), ELF(0x40f), ELF(0x11f), ELF(0xf));

	/* and a caller's rax, where the callee's rules do not say that it is lost */
	BEGIN(f, CODE(0x110), 0, CODE(0x510), 0, 0, CODE(0x10), 0);
	f->registers.value[REGISTER_RAX] = ADDRESS(3);
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x50f), ELF(0xf));
}

/* The pointer to a return address, not that to any code nor one downwards; and not in a caller's frame. */
static void
test_red_zone(void **state)
{
	struct fixture *f = *state;

	frame_builder_code(&f->builder, ELF(0x120) - 5, BYTES(0xe8));
	frame_builder_code(&f->builder, ELF(0x130) - 3, BYTES(0xff, 0x53)); /* call *disp8(%rbx) */
	for (uint64_t caller = 0x120; caller <= 0x130; caller += 0x10) {
		BEGIN(f, CODE(0xf10), CODE(caller), ADDRESS(0), ADDRESS(3), CODE(0x150), ADDRESS(7) + 1,
		      ADDRESS(7), ADDRESS(9), CODE(caller), 5, CODE(0x10));
		EXPECT(f, END_ROOT, ELF(0xf10), ELF(caller - 1), ELF(0xf));
	}
	f->words[5] = 0;
	EXPECT(f, END_BAD_CFI, ELF(0xf10));
	BEGIN(f, CODE(0x110), 0, CODE(0xf10), ADDRESS(3), CODE(0x120), 5, CODE(0x10));
	EXPECT(f, END_OTHER_STACK, ELF(0x110), ELF(0xf0f)); /* its red zone is in the copy: another's words */
}

static void
test_jit(void **state)
{
	struct fixture *f = *state;

	BEGIN(f, JIT + 5, 1, ADDRESS(3), JIT + 50, ADDRESS(9), CODE(0x120), 0, CODE(0x10));
	f->registers.value[REGISTER_RBP] = ADDRESS(1);
	EXPECT(f, END_ROOT, JIT + 5, JIT + 49, ELF(0x11f), ELF(0xf));
	assert_int_equal(f->frames[1].kind, CODE_ANONYMOUS);

	f->words[2] = 0x1234; /* must land in code */
	EXPECT(f, END_UNMAPPED, JIT + 5);
	f->registers.value[REGISTER_RBP] = 0;
	EXPECT(f, END_ROOT, JIT + 5);
	f->registers.value[REGISTER_RBP] = SP - 8;
	EXPECT(f, END_BAD_CFI, JIT + 5);
	f->registers.value[REGISTER_RBP] = SP + 4;
	EXPECT(f, END_BAD_CFI, JIT + 5);
	f->registers.value[REGISTER_RBP] = ADDRESS(6); /* half of it is copied */
	EXPECT(f, END_COPY_SHORT, JIT + 5);
	f->registers.value[REGISTER_RBP] = SP + (1ull << 30); /* Go's runtime, called on a stack of its own */
	EXPECT(f, END_OTHER_STACK, JIT + 5);
	f->registers.value[REGISTER_RBP] = SP - (1ull << 30);
	EXPECT(f, END_OTHER_STACK, JIT + 5);
	f->registers.value[REGISTER_RBP] = 1ull << 60; /* some other number */
	EXPECT(f, END_BAD_CFI, JIT + 5);

	/* a chain that points back down, and one that ends in zero */
	BEGIN(f, JIT + 5, 1, ADDRESS(0), JIT + 50, 4, 5);
	f->registers.value[REGISTER_RBP] = ADDRESS(1);
	EXPECT(f, END_BAD_CFI, JIT + 5, JIT + 49);
	f->words[1] = ADDRESS(2); /* one word too low is too low */
	EXPECT(f, END_BAD_CFI, JIT + 5, JIT + 49);
	f->words[1] = 0;
	EXPECT(f, END_ROOT, JIT + 5, JIT + 49);

	/* such code may have saved rbx anywhere */
	BEGIN(f, JIT + 5, 1, ADDRESS(3), CODE(0x410), 4, 5, CODE(0x10));
	f->registers.value[REGISTER_RBP] = ADDRESS(1);
	f->registers.value[REGISTER_RBX] = ADDRESS(4);
	EXPECT(f, END_BAD_CFI, JIT + 5, ELF(0x40f));
}

/* Leaves in code without tables: where the return address is, by the bytes at the pc. */
static void
test_leaf_patterns(void **state)
{
	static const struct {
		uint8_t bytes[12];
		uint8_t pc;   /* offset of the pc in them */
		int8_t depth; /* words from sp to the return address; -1: by frame pointer */
		bool saved;   /* the caller's rbp is the word below */
	} cases[] = {
		{{0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5}, 0, 0, false},
		{{0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5}, 4, 0, false},
		{{0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5}, 5, 1, true},
		{{0x55, 0x48, 0x8b, 0xec}, 0, 0, false},
		{{0x55, 0x48, 0x8b, 0xec}, 1, 1, true},
		{{0x5d, 0xc3}, 0, 1, true},
		{{0x5d, 0xc3}, 1, 0, false},
		{{0xf3, 0xc3}, 0, 0, false},
		{{0xc2, 8, 0}, 0, 0, false},
		{{0xff, 0x25, 1, 2, 3, 4}, 0, 0, false},
		{{0xf2, 0xff, 0x25, 1, 2, 3, 4}, 0, 0, false},
		{{0x55, 0x90}, 0, -1, false}, /* a push is not always a prologue */
		{{0x90, 0x48, 0x89, 0xe5}, 1, -1, false},
		{{0x5d, 0x90}, 0, -1, false},
		{{0x90}, 0, -1, false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t pc = 0x2100 + cases[i].pc;

		memset(f->builder.elf.bytes + ELF(0x2100), 0x90, 16);
		memcpy(f->builder.elf.bytes + ELF(0x2100), cases[i].bytes, sizeof(cases[i].bytes));
		/* three candidates for the return address; each caller reaches the root by frame pointer 0 */
		BEGIN(f, CODE(pc), CODE(0x2010), CODE(0x2020), 3, 0, CODE(0x2030));
		f->registers.value[REGISTER_RBP] = cases[i].depth < 0 ? ADDRESS(3) : 0;
		if (cases[i].saved) {
			f->words[0] = 0;
			f->registers.value[REGISTER_RBP] = 77; /* would be wrong in the caller */
		}
		walk(f);
		if (f->end != END_ROOT || f->count != 2 ||
		    f->frames[1].address != (cases[i].depth < 0
						     ? ELF(0x202f)
						     : ELF(0x200fu + 16u * (unsigned)cases[i].depth)))
			fail_msg("case %zu: end %d, %zu frames, %#lx", i, f->end, f->count,
				 f->frames[1].address);
	}

	/* the last byte of the file's code */
	f->builder.elf.bytes[FRAME_CODE_END - 1] = 0xc3;
	BEGIN(f, CODE(0x3fff), CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0x3fff), ELF(0xf));
}

/* musl's and Go's signal return stubs have no tables: mov $15, %rax; syscall. */
static void
test_signal_stub(void **state)
{
	static const uint8_t stub[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	struct fixture *f = *state;
	uint64_t words[48] = {0,
			      CODE(0x2200)}; /* handler "plain", called from nowhere, returns to the stub */

	memcpy(f->builder.elf.bytes + ELF(0x2200), stub, sizeof(stub));
	/* ucontext at word 2; rbp, rsp, rip are gregs 10, 15, 16 from byte 40 on */
	words[2 + 5 + 10] = ADDRESS(40);
	words[2 + 5 + 15] = ADDRESS(38);
	words[2 + 5 + 16] = CODE(0x20f); /* interrupted on `ret`: no pc - 1, and rbp is the caller's */
	words[38] = CODE(0x208);
	words[41] = CODE(0x10);
	begin(f, CODE(0x110), words, 48);
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x2200), ELF(0x20f), ELF(0x207), ELF(0xf));

	/* interrupted in the stub itself, before and on the syscall */
	for (unsigned at = 0; at < 8; at += 7) {
		begin(f, CODE(0x2200 + at), words, 48);
		f->registers.value[REGISTER_RSP] = ADDRESS(2);
		EXPECT(f, END_ROOT, ELF(0x2200 + at), ELF(0x20f), ELF(0x207), ELF(0xf));
	}

	/* the handler ran on its own stack: the interrupted one was not copied, wherever it is */
	for (int above = 0; above < 2; above++) {
		words[2 + 5 + 15] = above ? SP + (1ull << 40) : SP - (1ull << 40);
		begin(f, CODE(0x110), words, 48);
		EXPECT(f, END_OTHER_STACK, ELF(0x110), ELF(0x2200), ELF(0x20f));
	}
	for (unsigned back = 0; back <= 2; back++) { /* never in circles */
		words[2 + 5 + 15] = ADDRESS(back);
		begin(f, CODE(0x110), words, 48);
		EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0x2200));
	}
	words[2 + 5 + 16] = 0;
	begin(f, CODE(0x110), words, 48);
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0x2200));
	begin(f, CODE(0x110), words, 20);
	EXPECT(f, END_COPY_SHORT, ELF(0x110), ELF(0x2200));
}

/* glibc's way: the stub has tables, marked 'S'. */
static void
test_signal_frame(void **state)
{
	struct fixture *f = *state;

	/* interrupted on `ret`: reported there, not before; the stub at its first byte */
	/* words: local, RA | 3 unused, sp, rip, rbp, unused | RA, saved rbp, RA */
	BEGIN(f, CODE(0x110), 0, CODE(0xc00), 0, 0, 0, ADDRESS(9), CODE(0x20f), ADDRESS(10), 0, CODE(0x208),
	      ADDRESS(12), CODE(0x10));
	EXPECT(f, END_ROOT, ELF(0x110), ELF(0xc00), ELF(0x20f), ELF(0x207), ELF(0xf));

	for (int above = 0; above < 2; above++) {
		f->words[5] = above ? SP + (1ull << 40) : SP - (1ull << 40);
		EXPECT(f, END_OTHER_STACK, ELF(0x110), ELF(0xc00), ELF(0x20f));
	}
	for (unsigned back = 0; back <= 2; back++) { /* never in circles */
		f->words[5] = ADDRESS(back);
		EXPECT(f, END_BAD_CFI, ELF(0x110), ELF(0xc00));
	}
}

/* The same walk, read out of a ring at every position. */
static void
test_ring(void **state)
{
	enum { RING_WORDS = 16 };
	const uint64_t words[] = {0, CODE(0x120), 0, CODE(0x130), 0, CODE(0x10), 0, 0};
	struct fixture *f = *state;
	uint64_t ring[RING_WORDS];

	BEGIN(f, CODE(0x110), 0);
	for (uint64_t at = 0; at < RING_WORDS; at++) {
		struct stack_view stack = {.bytes = (uint8_t *)ring,
					   .mask = sizeof(ring) - 1,
					   .at = 8 * (at + 1600),
					   .sp = SP,
					   .size = sizeof(words)};

		memset(ring, 0xee, sizeof(ring));
		for (size_t i = 0; i < sizeof(words) / 8; i++)
			ring[(at + i) % RING_WORDS] = words[i];
		assert_int_equal(
			unwinder_walk(f->unwinder, &f->registers, &stack, lookup, f, f->frames, &f->count),
			END_ROOT);
		assert_int_equal(f->count, 4);
		assert_int_equal(f->frames[2].address, ELF(0x12f));
	}
}

/* Random registers and stacks: every walk ends, with at least the leaf. */
static void
test_random_stacks(void **state)
{
	struct fixture *f = *state;
	uint64_t random = 3, ends[UNWIND_END_COUNT] = {0};

	for (int i = 0; i < 30000; i++) {
		uint64_t words[40];

		for (size_t k = 0; k < 40; k++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			switch (random >> 60) {
			case 0:
				words[k] = random;
				break;
			case 1:
			case 2:
			case 3:
			case 4:
				words[k] = ADDRESS(random >> 33 & 63);
				break;
			default:
				words[k] = CODE(random >> 33 & 0x3fff);
			}
		}
		begin(f, words[17], words + 17, 23);
		for (unsigned k = 0; k < REGISTER_RIP; k++)
			f->registers.value[k] = words[k];
		f->registers.value[REGISTER_RSP] = SP + (random >> 62) * 8;
		walk(f);
		assert_true(f->count >= 1 && f->count <= UNWIND_MAX_FRAMES);
		ends[f->end]++;
	}
	assert_true(ends[END_ROOT] > 100 && ends[END_BAD_CFI] > 100 && ends[END_COPY_SHORT] > 100);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_root),
		TEST(test_copy_short),
		TEST(test_places),
		TEST(test_bad_cfi),
		TEST(test_depth),
		TEST(test_depth_of_what_never_ends),
		TEST(test_frame_pointer_rows),
		TEST(test_call_at_the_end),
		TEST(test_slow_rows),
		TEST(test_red_zone),
		TEST(test_jit),
		TEST(test_leaf_patterns),
		TEST(test_signal_stub),
		TEST(test_signal_frame),
		TEST(test_ring),
		TEST(test_random_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
