/* The truth test of the arm64 unwinder, on any machine: QEMU emulates the program and stops after each of its
 * instructions, while a shadow stack records every call, return and signal. At every single instruction, the
 * walk over the registers and the stack must give exactly the shadow's return addresses, and reach the root.
 *
 *   bl, blr   push the address behind it
 *   ret       back to an address on the shadow stack: drop that one and what is above it
 *   signal    push the interrupted pc, then the stub in x30 that the handler returns to */

#include "tests/unwind/frame_builder.h"
#include "tests/unwind/gdb_remote.h"

#include "worker/unwind/module.h"
#include "worker/unwind/stack_view.h"
#include "worker/unwind/unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	STACK_MAX = 64 * 1024,
	SHADOW_MAX = 256,
	STEPS_MAX = 300000,
	INJECT_EVERY = 401, /* steps between signals, once the program has shown that it takes them */
	REPORTED_MAX = 10,
	SYSTEM_CALL = (int)0xd4000001,
	USR1 = 30, /* in gdb's numbering */
	STUB = FRAME_CODE + 0x100,
};

struct shadow_entry {
	uint64_t pc;
	bool exact; /* pc is not a return address: the frame is at pc, not before it */
};

struct trace {
	struct gdb_remote *remote;
	struct user_registers registers;
	int fd;
	struct elf_image *image, *stub_image;
	struct unwind_module *module, *stub_module;
	uint64_t stub; /* where the emulator put its signal return stub; 0: not seen yet */
	struct frame_builder stub_builder;
	struct unwinder *unwinder;
	struct cfi_scratch scratch;
	struct shadow_entry shadow[SHADOW_MAX];
	size_t depth;
	uint64_t stack_end;
	uint64_t stack[STACK_MAX / 8];
	uint64_t steps, frames, wrong, undescribed_wrong, signals;
	bool right; /* the last walk was */
};

/* The program is linked to fixed addresses. The stub lies in a page of the emulator's, as the vdso's does. */
static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct trace *t = context;
	uint64_t address = pc;

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (t->stub && pc - t->stub + 16 < 32)
		*ret = (struct code_place){.kind = CODE_MODULE,
					   .file = 2,
					   .address = pc - t->stub + STUB,
					   .module = t->stub_module};
	else if (elf_image_read_address(t->image, address & ~3ull, &(uint32_t){0}, 4) == 0)
		*ret = (struct code_place){
			.kind = CODE_MODULE, .file = 1, .address = address, .module = t->module};
}

static uint32_t
read_code(struct trace *t, uint64_t pc)
{
	uint32_t code;

	if (elf_image_read_address(t->image, pc, &code, sizeof(code)) != 0)
		assert_int_equal(gdb_remote_read(t->remote, pc, &code, sizeof(code)), sizeof(code));
	return code;
}

static void
push(struct trace *t, uint64_t pc, bool exact)
{
	assert_true(t->depth < SHADOW_MAX);
	t->shadow[t->depth++] = (struct shadow_entry){.pc = pc, .exact = exact};
}

static void
meet_stub(struct trace *t, uint64_t stub)
{
	uint32_t code[2];

	if (t->stub)
		return;
	assert_int_equal(gdb_remote_read(t->remote, stub, code, sizeof(code)), sizeof(code));
	t->stub = stub;
	frame_builder_init(&t->stub_builder);
	t->stub_builder.elf.header.e_machine = EM_AARCH64;
	frame_builder_code(&t->stub_builder, STUB, code, sizeof(code));
	t->stub_image = frame_builder_finish(&t->stub_builder, FRAME_NOTHING);
	t->stub_module = unwind_module_new(t->stub_image, 2);
}

static bool
is_call(uint32_t code)
{
	return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000; /* bl, blr */
}

static bool
is_return(uint32_t code)
{
	return code == 0xd65f03c0 || code == 0xd65f0bff; /* ret, retaa */
}

static bool
is_exclusive_load(uint32_t code)
{
	return (code & 0x3fff7c00) == 0x085f7c00; /* ldxr, ldaxr */
}

static void
drop_to(struct trace *t, uint64_t pc)
{
	while (t->depth > 0 && t->shadow[t->depth - 1].pc != pc)
		t->depth--;
	assert_true(t->depth > 0);
	t->depth--;
}

/* Brings the shadow up to date after the instruction at `old_pc`. The emulator executes a system call
 * together with the instruction that follows it. */
static void
follow(struct trace *t, uint64_t old_pc)
{
	uint64_t pc = t->registers.value[REGISTER_PC];
	uint32_t code = read_code(t, old_pc);

	if (code == (uint32_t)SYSTEM_CALL) {
		uint64_t next = old_pc + 4;

		if (old_pc == t->stub + 4) {
			assert_true(t->depth > 0);
			next = t->shadow[--t->depth].pc;
		}
		if (pc == next)
			return;
		code = read_code(t, next);
		old_pc = next;
	}
	if (is_call(code))
		push(t, old_pc + 4, false);
	else if (is_return(code))
		drop_to(t, pc);
}

/* After a signal was delivered at `old_pc` and the first instruction of its handler executed. */
static void
follow_signal(struct trace *t, uint64_t old_pc)
{
	uint64_t stub = return_target(t->registers.value[REGISTER_LR]);

	meet_stub(t, stub);
	push(t, old_pc, true);
	push(t, stub, true);
	t->signals++;
}

static size_t
copy_stack(struct trace *t)
{
	uint64_t sp = t->registers.value[REGISTER_SP];
	size_t size = sp < t->stack_end ? t->stack_end - sp : 0;

	assert_true(size <= STACK_MAX);
	assert_int_equal(gdb_remote_read(t->remote, sp, t->stack, size), size);
	return size;
}

static uint64_t
address_of(const struct trace *t, uint64_t pc)
{
	return t->stub && pc - t->stub + 16 < 32 ? pc - t->stub + STUB : pc;
}

static void
report(const struct trace *t, const struct frame *frames, size_t count, enum unwind_end end)
{
	fprintf(stderr, "step %lu: end %d\n", t->steps, (int)end);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "   walk %#lx\n", frames[i].address);
	for (size_t i = t->depth; i-- > 0;)
		fprintf(stderr, "   true %#lx\n", address_of(t, t->shadow[i].pc - !t->shadow[i].exact));
}

static bool
walk_is_true(struct trace *t, struct frame *frames, size_t *ret_count, enum unwind_end *ret_end)
{
	struct stack_view stack = {.bytes = (const uint8_t *)t->stack,
				   .mask = UINT64_MAX,
				   .sp = t->registers.value[REGISTER_SP],
				   .size = copy_stack(t)};

	*ret_end = unwinder_walk(t->unwinder, &t->registers, &stack, lookup, t, frames, ret_count);
	t->frames += *ret_count;
	if (*ret_end != END_ROOT || *ret_count != t->depth + 1 ||
	    frames[0].address != address_of(t, t->registers.value[REGISTER_PC]))
		return false;
	for (size_t i = 1; i < *ret_count; i++) {
		const struct shadow_entry *entry = &t->shadow[t->depth - i];

		if (frames[i].address != address_of(t, entry->pc - !entry->exact))
			return false;
	}
	return true;
}

/* Whether there are tables, and no lie: glibc's _start says that it is outermost, in a range that goes on
 * over a function it calls. */
static bool
has_tables(struct trace *t, uint64_t pc)
{
	struct code_place place;
	struct cfi_row row = {0};

	lookup(t, pc, &place);
	if (place.kind != CODE_MODULE || place.module == t->stub_module)
		return place.kind == CODE_MODULE;
	t->scratch.budget = SIZE_MAX;
	return unwind_module_find_row(place.module, &t->scratch, place.address, &row) != -ENOENT &&
	       (row.registers[REGISTER_LR].kind != CFI_UNDEFINED || t->depth == 0);
}

/* As in test_truth.c: the walk may be wrong in code without tables that has no frame pointer either. */
static bool
is_undescribed(struct trace *t)
{
	for (size_t i = 1; i < t->depth; i++) /* 0 is in _start */
		if (!has_tables(t, t->shadow[i].pc - !t->shadow[i].exact))
			return true;
	return !has_tables(t, t->registers.value[REGISTER_PC]);
}

static void
check(struct trace *t)
{
	struct frame frames[UNWIND_MAX_FRAMES];
	enum unwind_end end;
	size_t count;

	t->right = walk_is_true(t, frames, &count, &end);
	if (t->right)
		return;
	if (is_undescribed(t)) {
		if (getenv("UNWIND_TRUTH_VERBOSE"))
			report(t, frames, count, end);
		t->undescribed_wrong++;
	} else if (t->wrong++ < REPORTED_MAX) {
		report(t, frames, count, end);
	}
}

/* An exclusive store fails when the program stopped since the exclusive load: such a loop is one step. */
static bool
step_over_exclusive(struct trace *t, unsigned *ret_signal)
{
	uint64_t pc = t->registers.value[REGISTER_PC], ends[8];
	uint32_t code[16];
	size_t count = 0;

	assert_int_equal(gdb_remote_read(t->remote, pc, code, sizeof(code)), sizeof(code));
	for (unsigned i = 1; i < sizeof(code) / sizeof(code[0]) - 1; i++) {
		if ((code[i] & 0xff000010) == 0x54000000 && count < 7) /* b.cond leaves the loop */
			ends[count++] = pc + 4 * i + 4 * (uint64_t)((int32_t)(code[i] << 8) >> 13);
		if ((code[i] & 0x3fe08000) == 0x08000000 ||
		    (code[i] & 0x3fe08000) == 0x08008000) { /* stxr, stlxr */
			ends[count++] = pc + 4 * i + 4;
			return gdb_remote_run_to(t->remote, ends, count, ret_signal);
		}
	}
	fail_msg("an exclusive load without a store at %#lx", pc);
	return false;
}

static void
trace_program(struct trace *t)
{
	unsigned number = 0;
	bool takes_signals = false, alive = true;

	gdb_remote_registers(t->remote, t->registers.value, REGISTER_COUNT);
	t->stack_end = t->registers.value[REGISTER_SP] + 64;
	check(t);
	while (t->steps++ < STEPS_MAX) {
		uint64_t pc = t->registers.value[REGISTER_PC];
		unsigned delivered;

		if (takes_signals && number == 0 && t->right && t->steps % INJECT_EVERY == 0)
			number = USR1;
		delivered = number;
		takes_signals |= number == USR1;
		if (number == 0 && is_exclusive_load(read_code(t, pc)))
			alive = step_over_exclusive(t, &number);
		else
			alive = gdb_remote_step(t->remote, number, &number);
		if (!alive)
			break;
		gdb_remote_registers(t->remote, t->registers.value, REGISTER_COUNT);
		if (delivered == USR1)
			follow_signal(t, pc);
		else
			follow(t, pc);
		check(t);
	}
}

/* Steps through one program and returns what was seen. */
static struct trace *
trace_target(const char *path)
{
	char *argv[] = {(char *)(uintptr_t)path, NULL};
	struct trace *t;

	if (access(EMULATOR, X_OK) || access(path, R_OK)) {
		assert_false(getenv("DDPROF_MUST_WORK"));
		skip(); /* no emulator, or no compiler for arm64 */
	}
	t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_image_open(t->fd, &t->image), 0);
	t->module = unwind_module_new(t->image, 1);
	t->unwinder = unwinder_new();
	t->remote = gdb_remote_start(EMULATOR, argv);
	assert_true(t->module && t->unwinder);
	trace_program(t);
	gdb_remote_end(t->remote);
	unwinder_free(t->unwinder);
	unwind_module_free(t->module);
	unwind_module_free(t->stub_module);
	elf_image_free(t->image);
	if (t->stub_image)
		elf_image_free(t->stub_image);
	close(t->fd);
	fprintf(stderr, "%s: %lu steps, %lu frames, %lu signals; wrong %lu, and %lu in code without tables\n",
		strrchr(path, '/') + 1, t->steps, t->frames, t->signals, t->wrong, t->undescribed_wrong);
	assert_true(t->steps > 10000 && t->steps < STEPS_MAX && t->signals > 10);
	return t;
}

static void
test_target(void **state)
{
	const char *const *path = *state;
	struct trace *t = trace_target(*path);

	assert_int_equal(t->wrong, 0);
	/* a few instructions of crtbegin.o, and prologues that compute a large frame's size */
	assert_true(t->undescribed_wrong * 1000 <= t->steps);
	free(t);
}

int
main(void)
{
	static const char *targets[] = {UNWIND_TRUTH, UNWIND_TRUTH_PROTECTED, UNWIND_TRUTH_NO_FP,
					UNWIND_TRUTH_BARE};
	const struct CMUnitTest tests[] = {
		{"usual", test_target, NULL, NULL, &targets[0]},
		{"signed return addresses", test_target, NULL, NULL, &targets[1]},
		{"no frame pointers", test_target, NULL, NULL, &targets[2]},
		{"no tables", test_target, NULL, NULL, &targets[3]},
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
