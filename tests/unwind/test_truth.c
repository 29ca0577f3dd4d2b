/* The truth test: a small program is stepped from its first instruction to its last while a shadow stack
 * records every call, return and signal. At every single instruction, the walk over the registers and the
 * copied stack must give exactly the shadow's return addresses, and reach the root.
 *
 *   shadow entry  { slot, pc }   slot: where on the stack the return address lies
 *   call          push { sp, [sp] }
 *   any step      drop entries whose slot is below sp (returns, longjmp, sigreturn)
 *   signal        push the interrupted pc (in the kernel's record), then the stub the handler returns to */

#include "tests/unwind/address_space.h"

#include "worker/unwind/module.h"
#include "worker/unwind/stack_view.h"
#include "worker/unwind/unwind.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	STACK_MAX = 128 * 1024,
	SHADOW_MAX = 256,
	STEPS_MAX = 3000000,
	ELSEWHERE_EVERY = 16, /* see is_worth_checking() */
	INJECT_EVERY = 401,   /* steps between signals, once the program has shown that it takes them */
	REPORTED_MAX = 20,
};

struct shadow_entry {
	uint64_t slot, pc;
	bool exact; /* pc is not a return address: the frame is at pc, not before it */
};

struct trace {
	pid_t pid;
	struct user_regs_struct registers;
	uint8_t code[16]; /* at the pc */
	struct address_space *space;
	struct unwinder *unwinder;
	struct shadow_entry shadow[SHADOW_MAX];
	size_t depth;
	uint64_t stack_end;
	uint64_t stack[STACK_MAX / 8];
	uint64_t steps, steps_max, frames, wrong, undescribed_wrong, signals;
	bool right; /* the last walk was */
	bool is_thorough;
	struct cfi_scratch *scratch;
};

static const uint8_t sigreturn_stub[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

static bool
peek(pid_t pid, uint64_t address, void *ret_bytes, size_t size)
{
	struct iovec to = {ret_bytes, size}, from = {(void *)(uintptr_t)address, size};

	return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

static void
read_state(struct trace *t)
{
	assert_int_equal(ptrace(PTRACE_GETREGS, t->pid, NULL, &t->registers), 0);
	if (!peek(t->pid, t->registers.rip, t->code, sizeof(t->code)) &&
	    !peek(t->pid, t->registers.rip, t->code, 8)) /* end of a mapping */
		memset(t->code, 0, sizeof(t->code));
}

static bool
is_call(const uint8_t *code)
{
	while (*code == 0xf2 || *code == 0x3e || *code == 0x67 ||
	       (*code & 0xf0) ==
		       0x40) /* bnd, notrack, addr32 (what ld makes of a call through the GOT), REX */
		code++;
	return *code == 0xe8 || (*code == 0xff && ((code[1] >> 3 & 7) == 2 || (code[1] >> 3 & 7) == 3));
}

static void
push(struct trace *t, uint64_t slot, uint64_t pc, bool exact)
{
	assert_true(t->depth < SHADOW_MAX);
	t->shadow[t->depth++] = (struct shadow_entry){.slot = slot, .pc = pc, .exact = exact};
}

/* Brings the shadow up to date after one step from `before`. */
static void
follow(struct trace *t, const struct user_regs_struct *before, const uint8_t *code_before)
{
	uint64_t sp = t->registers.rsp, word, interrupted;
	uint8_t stub[sizeof(sigreturn_stub)];

	while (t->depth > 0 && t->shadow[t->depth - 1].slot < sp)
		t->depth--;
	if (sp >= before->rsp || !peek(t->pid, sp, &word, sizeof(word)))
		return;
	if (sp == before->rsp - 8 && is_call(code_before)) {
		push(t, sp, word, false);
	} else if (sp < before->rsp - 128 && peek(t->pid, word, stub, sizeof(stub)) &&
		   !memcmp(stub, sigreturn_stub, sizeof(stub))) {
		uint64_t slot = sp + 8 + 40 + 16 * 8; /* rip in the ucontext behind the return address */

		assert_true(peek(t->pid, slot, &interrupted, sizeof(interrupted)));
		push(t, slot, interrupted, true);
		push(t, sp, word, true);
		t->signals++;
	}
}

static size_t
copy_stack(struct trace *t)
{
	uint64_t sp = t->registers.rsp, size;

	if (sp >= t->stack_end || t->stack_end - sp > (64u << 20))
		t->stack_end = address_space_mapping_end(t->space, sp);
	size = t->stack_end - sp;
	if (size > STACK_MAX)
		size = STACK_MAX;
	assert_true(peek(t->pid, sp, t->stack, size));
	return size;
}

static void
convert(const struct user_regs_struct *from, struct user_registers *ret)
{
	*ret = (struct user_registers){{from->rax, from->rdx, from->rcx, from->rbx, from->rsi, from->rdi,
					from->rbp, from->rsp, from->r8, from->r9, from->r10, from->r11,
					from->r12, from->r13, from->r14, from->r15, from->rip}};
}

static bool
same_frame(const struct trace *t, const struct frame *frame, uint64_t pc)
{
	struct code_place place;

	address_space_lookup(t->space, pc, &place);
	return frame->kind == place.kind && frame->file == place.file && frame->address == place.address;
}

static void
report(const struct trace *t, const struct frame *frames, size_t count, enum unwind_end end)
{
	fprintf(stderr, "step %lu: end %d\n", t->steps, (int)end);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "   walk %s+%#lx\n", address_space_file_name(t->space, frames[i].file),
			frames[i].address);
	for (size_t i = t->depth; i-- > 0;) {
		struct code_place place;

		address_space_lookup(t->space, t->shadow[i].pc - !t->shadow[i].exact, &place);
		fprintf(stderr, "   true %s+%#lx\n", address_space_file_name(t->space, place.file),
			place.address);
	}
}

static bool
walk_is_true(struct trace *t, struct frame *frames, size_t *ret_count, enum unwind_end *ret_end)
{
	struct stack_view stack = {
		.bytes = (const uint8_t *)t->stack, .mask = UINT64_MAX, .sp = t->registers.rsp};
	struct user_registers registers;
	size_t count;

	stack.size = copy_stack(t);
	convert(&t->registers, &registers);
	*ret_end = unwinder_walk(t->unwinder, &registers, &stack, address_space_lookup, t->space, frames,
				 &count);
	*ret_count = count;
	t->frames += count;
	if (*ret_end != END_ROOT || count != t->depth + 1 || !same_frame(t, &frames[0], t->registers.rip))
		return false;
	for (size_t i = 1; i < count; i++) {
		const struct shadow_entry *entry = &t->shadow[t->depth - i];

		if (!same_frame(t, &frames[i], entry->pc - !entry->exact))
			return false;
	}
	return true;
}

static bool
has_tables(struct trace *t, uint64_t pc)
{
	struct code_place place;
	struct cfi_row row;

	address_space_lookup(t->space, pc, &place);
	t->scratch->budget = SIZE_MAX;
	return place.kind == CODE_MODULE &&
	       unwind_module_find_row(place.module, t->scratch, place.address, &row) != -ENOENT;
}

/* A stack with a frame in code without unwind tables: the walk may be wrong there when that code has no
 * frame pointer either, as in the few functions of crti.o and crtbegin.o (_init, __do_global_dtors_aux). */
static bool
is_undescribed(struct trace *t)
{
	for (size_t i = 0; i < t->depth; i++)
		if (!has_tables(t, t->shadow[i].pc - 1))
			return true;
	return !has_tables(t, t->registers.rip);
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
		return;
	}
	if (t->wrong++ < REPORTED_MAX)
		report(t, frames, count, end);
}

/* ld.so and libc are the same in all programs: stepping through them with every walk is done twice, in the
 * others most walks start in the program itself. */
static bool
is_worth_checking(struct trace *t)
{
	struct code_place place;

	if (t->is_thorough || t->steps % ELSEWHERE_EVERY == 0)
		return true;
	address_space_lookup(t->space, t->registers.rip, &place);
	return !strncmp(address_space_file_name(t->space, place.file), TRUTH_FOLDER, strlen(TRUTH_FOLDER));
}

static pid_t
start_target(char **argv)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		char *envp[] = {NULL};

		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			execve(argv[0], argv, envp);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127 && !getenv("DDPROF_MUST_WORK"))
		skip(); /* no ptrace here */
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* One instruction further, delivering `number` first unless it is 0. False: the program has ended. */
static bool
step(struct trace *t, int number, int *ret_signal)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, t->pid, NULL, number), 0);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	if (WIFEXITED(status))
		return false;
	assert_true(WIFSTOPPED(status));
	*ret_signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	return true;
}

static void
trace_program(struct trace *t, char **argv)
{
	int number = 0;
	bool takes_signals = false;

	t->pid = start_target(argv);
	t->space = address_space_new(t->pid);
	t->unwinder = unwinder_new();
	assert_non_null(t->unwinder);
	read_state(t);
	check(t);
	while (t->steps++ < t->steps_max) {
		struct user_regs_struct before = t->registers;
		uint8_t code[sizeof(t->code)];

		memcpy(code, t->code, sizeof(code));
		/* not inside what cannot be walked anyway: every step of the handler would count */
		if (takes_signals && number == 0 && t->right && t->steps % INJECT_EVERY == 0)
			number = SIGUSR1;
		if (!step(t, number, &number))
			break;
		takes_signals |= number == SIGUSR1;
		read_state(t);
		if (code[0] == 0x0f && code[1] == 0x05) /* syscall: mappings may have changed */
			address_space_reload(t->space);
		follow(t, &before, code);
		if (is_worth_checking(t))
			check(t);
	}
	if (t->steps > t->steps_max)
		kill(t->pid, SIGKILL);
	unwinder_free(t->unwinder);
	address_space_free(t->space);
	free(t->scratch);
	fprintf(stderr, "%s: %lu steps, %lu frames, %lu signals; wrong %lu, and %lu in code without tables\n",
		argv[0], t->steps, t->frames, t->signals, t->wrong, t->undescribed_wrong);
}

static struct trace *
new_trace(uint64_t steps_max)
{
	struct trace *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->steps_max = steps_max;
	t->scratch = calloc(1, sizeof(*t->scratch));
	assert_non_null(t->scratch);
	return t;
}

/* Steps through one program and returns what was seen. A static one has no ld.so to step through. */
static struct trace
trace_target(const char *name, const char *argument)
{
	char path[512];
	char *argv[] = {path, (char *)(uintptr_t)argument, NULL};
	struct trace *t, seen;

	snprintf(path, sizeof(path), "%s%s", TRUTH_FOLDER, name);
	if (access(path, X_OK) != 0 && !getenv("DDPROF_MUST_WORK"))
		skip(); /* its compiler or linker is not here */
	t = new_trace(STEPS_MAX);
	t->is_thorough = !strcmp(name, "unwind_truth") || !strcmp(name, "unwind_truth_fp");
	trace_program(t, argv);
	assert_true(t->steps > (strstr(name, "static") ? 10000 : 50000) && t->steps < STEPS_MAX);
	assert_true(t->signals > 10);
	seen = *t;
	free(t);
	return seen;
}

/* Everywhere, also in the code of crti.o and crtbegin.o that has no tables. */
static void
test_program(void **state)
{
	struct trace seen = trace_target(*state, NULL);

	assert_int_equal(seen.wrong, 0);
	assert_int_equal(seen.undescribed_wrong, 0);
}

/* The gap rule: frame pointers and byte patterns alone. It may be wrong where gcc schedules something
 * between push and mov or realigns the stack. */
static void
test_without_tables(void **state)
{
	struct trace seen = trace_target(*state, "plain");

	assert_true(seen.wrong + seen.undescribed_wrong < 10);
}

/* By hand: test_unwind_truth STEPS PROGRAM ARGUMENTS... looks at any other program. */
static int
look_at(char **argv)
{
	struct trace *t = new_trace(strtoul(argv[1], NULL, 10));

	t->is_thorough = true;
	trace_program(t, argv + 2);

	bool is_wrong = t->wrong != 0;

	free(t);
	return is_wrong;
}

int
main(int argc, char **argv)
{
#define PROGRAM(suffix)                                                                        \
	{                                                                                      \
		"unwind_truth" suffix, test_program, NULL, NULL, (void *)"unwind_truth" suffix \
	}
	const struct CMUnitTest tests[] = {
		PROGRAM(""),
		PROGRAM("_fp"),
		PROGRAM("_debug_frame"),
		PROGRAM("_no_header"),
		PROGRAM("_static"),
		PROGRAM("_static_pie"),
		PROGRAM("_gold"),
		PROGRAM("_lld"),
		PROGRAM("_lld_ibt"),
		PROGRAM("_mold"),
		PROGRAM("_clang_omit"),
		PROGRAM("_clang_no-omit"),
		cmocka_unit_test_prestate(test_without_tables, (void *)"unwind_truth_bare"),
	};

	return argc > 2 ? look_at(argv) : cmocka_run_group_tests(tests, NULL, NULL);
}
