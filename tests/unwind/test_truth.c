/* The truth test: a small program is stepped from its first instruction to its last while a shadow stack
 * records every call, return and signal. At every single instruction, the walk over the registers and the
 * copied stack must give exactly the shadow's return addresses, and reach the root.
 *
 *   shadow entry  { slot, pc }   slot: where on the stack the return address lies
 *   call          push { sp, [sp] }
 *   any step      drop entries whose slot is below sp (returns, longjmp, sigreturn)
 *   signal        push the interrupted pc (in the kernel's record), then the stub the handler returns to
 *
 * Every mapping that sp visits has a shadow of its own: coroutines, alternate signal stacks, split stacks.
 * A walk must give that stack's frames and no other's. It ends in a root where the stack has one, and
 * otherwise says that more was not copied. */

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
#include <sys/auxv.h>
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
	SHADOWS_MAX = 16,
	CODE_CACHE = 4096,
	STEPS_MIN = 5000,
	STEPS_MAX = 3000000,
	INJECT_EVERY = 401, /* steps between signals, once the program has shown that it takes them */
	REPORTED_MAX = 20,
};

struct shadow_entry {
	uint64_t slot, pc;
	bool exact; /* pc is not a return address: the frame is at pc, not before it */
	bool in_register;
};

struct shadow {
	uint64_t start, end; /* of the mapping */
	struct shadow_entry entries[SHADOW_MAX];
	size_t depth;
	bool goes_on_elsewhere; /* its outermost frame was called or interrupted on another stack */
};

/* What a walk was. */
enum verdict {
	RIGHT,
	SWITCHING,   /* registers are loaded from elsewhere: at most what is true there */
	UNFINISHED,  /* all frames, but not told so; or in code without tables: not all, from the leaf on */
	SKIPPING,    /* in code without tables: only true frames, but not all */
	UNDESCRIBED, /* in code without tables: a frame that is none */
	WRONG,
	VERDICTS,
};

static const char *const verdict_names[VERDICTS] = {"right",    "switching",   "unfinished",
						    "skipping", "undescribed", "wrong"};

struct trace {
	pid_t pid;
	struct user_regs_struct registers;
	uint8_t code[16]; /* at the pc */
	struct {
		uint64_t pc;
		uint8_t bytes[16];
	} code_cache[CODE_CACHE];
	struct address_space *space;
	struct unwinder *unwinder;
	struct shadow shadows[SHADOWS_MAX], *shadow;
	bool is_switching;
	uint64_t stack[STACK_MAX / 8];
	uint64_t steps, steps_max, frames, signals;
	uint64_t walks[VERDICTS];
	enum verdict last;
	bool from_the_start; /* ld.so is the same in all programs: stepped through in two of them */
	bool has_split_stacks, throws, is_landing;
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
	uint64_t pc;

	assert_int_equal(ptrace(PTRACE_GETREGS, t->pid, NULL, &t->registers), 0);
	pc = t->registers.rip;
	if (t->code_cache[pc % CODE_CACHE].pc != pc) {
		uint8_t *bytes = t->code_cache[pc % CODE_CACHE].bytes;

		t->code_cache[pc % CODE_CACHE].pc = pc;
		if (!peek(t->pid, pc, bytes, sizeof(t->code)) &&
		    !peek(t->pid, pc, bytes, 8)) /* end of a mapping */
			memset(bytes, 0, sizeof(t->code));
	}
	memcpy(t->code, t->code_cache[pc % CODE_CACHE].bytes, sizeof(t->code));
}

/* bnd, notrack, addr32 (what ld makes of a call through the GOT), REX */
static const uint8_t *
skip_prefixes(const uint8_t *code)
{
	while (*code == 0xf2 || *code == 0x3e || *code == 0x67 || (*code & 0xf0) == 0x40)
		code++;
	return code;
}

static bool
is_call(const uint8_t *code)
{
	code = skip_prefixes(code);
	return *code == 0xe8 || (*code == 0xff && ((code[1] >> 3 & 7) == 2 || (code[1] >> 3 & 7) == 3));
}

static bool
is_pop(const uint8_t *code)
{
	return (*skip_prefixes(code) & 0xf8) == 0x58;
}

static bool
is_jump_or_return(const uint8_t *code)
{
	code = skip_prefixes(code);
	return *code == 0xc3 || *code == 0xc2 || (*code == 0xff && (code[1] >> 3 & 7) == 4);
}

static bool
is_system_call(const uint8_t *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

/* A thunk against speculation calls its own next instructions, only to overwrite the return address:
 * mov %reg,(%rsp) or lea 8(%rsp),%rsp, then ret. No frame. */
static bool
is_inside_thunk(const uint8_t *code)
{
	static const uint8_t discard[] = {0x48, 0x8d, 0x64, 0x24, 0x08, 0xc3};

	return (((code[0] & 0xfb) == 0x48 && code[1] == 0x89 && (code[2] & 0xc7) == 0x04 && code[3] == 0x24 &&
		 code[4] == 0xc3) ||
		!memcmp(code, discard, sizeof(discard)));
}

/* The tables of __morestack hide the function that calls it: it is called again on the new stack. */
static bool
makes_no_frame(const struct trace *t)
{
	struct code_place place;
	struct cfi_row row;

	address_space_lookup(t->space, t->registers.rip, &place);
	t->scratch->budget = SIZE_MAX;
	return place.kind == CODE_MODULE &&
	       unwind_module_find_row(place.module, t->scratch, place.address, &row) == 0 &&
	       row.cfa.kind == CFI_REGISTER && row.cfa.number == REGISTER_SP && row.cfa.offset == 16;
}

static void
push(struct trace *t, uint64_t slot, uint64_t pc, bool exact)
{
	assert_true(t->shadow->depth < SHADOW_MAX);
	t->shadow->entries[t->shadow->depth++] =
		(struct shadow_entry){.slot = slot, .pc = pc, .exact = exact};
}

static struct shadow_entry *
top(struct trace *t)
{
	return t->shadow->depth > 0 ? &t->shadow->entries[t->shadow->depth - 1] : NULL;
}

static bool
is_on(const struct shadow *shadow, uint64_t sp)
{
	return sp - shadow->start < shadow->end - shadow->start;
}

/* The shadow of the stack that sp is on. What is mapped may have moved down: the main stack grows. */
static struct shadow *
find_shadow(struct trace *t)
{
	uint64_t sp = t->registers.rsp, start, end;
	struct shadow *shadow = t->shadows;

	if (t->shadow && is_on(t->shadow, sp))
		return t->shadow;
	address_space_reload(t->space);
	assert_true(address_space_find_mapping(t->space, sp, &start, &end));
	while (shadow->end && shadow->end != end)
		assert_true(++shadow < t->shadows + SHADOWS_MAX);
	shadow->start = start;
	shadow->end = end;
	return shadow;
}

static bool
is_handler_entry(const struct trace *t, uint64_t stub_address)
{
	uint8_t stub[sizeof(sigreturn_stub)];

	return peek(t->pid, stub_address, stub, sizeof(stub)) && !memcmp(stub, sigreturn_stub, sizeof(stub));
}

/* The kernel has built a frame for a handler: its record of the interrupted code, and a return address. */
static void
enter_handler(struct trace *t, uint64_t stub_address)
{
	uint64_t slot = t->registers.rsp + 8 + 40 + 16 * 8; /* rip in the ucontext */
	uint64_t interrupted;

	assert_true(peek(t->pid, slot, &interrupted, sizeof(interrupted)));
	push(t, slot, interrupted, true);
	push(t, t->registers.rsp, stub_address, true);
	t->signals++;
}

/* Drops what lies below sp. A return address in a register (glibc's vfork pops it) is still one until it is
 * jumped to. */
static void
drop_returned(struct trace *t, const uint8_t *code)
{
	uint64_t sp = t->registers.rsp;

	while (top(t) && top(t)->slot < sp) {
		top(t)->in_register |= is_pop(code);
		if (top(t)->slot + 8 == sp && top(t)->in_register && !is_jump_or_return(code))
			return;
		t->shadow->depth--;
	}
}

/* After a jump or return on a stack that was switched to: a stack that is new has the return address of its
 * first function on top. */
static void
finish_switch(struct trace *t)
{
	uint64_t word;

	t->is_switching = false;
	if (t->shadow->depth == 0 && peek(t->pid, t->registers.rsp, &word, sizeof(word)) && word != 0)
		push(t, t->registers.rsp, word, true);
}

/* Brings the shadow up to date after one step from `before`. */
static void
follow(struct trace *t, const struct user_regs_struct *before, const uint8_t *code)
{
	uint64_t sp = t->registers.rsp, word;
	struct shadow *shadow = find_shadow(t);
	bool other = shadow != t->shadow, is_new;

	t->shadow = shadow;
	t->is_landing = t->is_landing && !is_jump_or_return(code);
	drop_returned(t, code);
	if (!peek(t->pid, sp, &word, sizeof(word)))
		return;
	is_new = shadow->depth == 0;
	if ((other || sp < before->rsp - 128) && is_handler_entry(t, word)) {
		if (other)
			*shadow = (struct shadow){
				.start = shadow->start, .end = shadow->end, .goes_on_elsewhere = true};
		enter_handler(t, word);
	} else if (sp == before->rsp - 8 && is_call(code)) {
		if (is_inside_thunk(t->code) || (t->has_split_stacks && makes_no_frame(t)))
			return;
		push(t, sp, word, false);
		shadow->goes_on_elsewhere |= is_new && t->is_switching;
		t->is_switching = false;
	} else if (other && !is_system_call(code)) {
		t->is_switching = true;
	} else if (t->is_switching && is_jump_or_return(code)) {
		finish_switch(t);
	}
}

static size_t
copy_stack(struct trace *t)
{
	uint64_t sp = t->registers.rsp, size = t->shadow->end - sp;

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
report(struct trace *t, const struct frame *frames, size_t count, enum unwind_end end)
{
	fprintf(stderr, "step %lu: %s, end %d, pc %#llx sp %#llx\n", t->steps, verdict_names[t->last],
		(int)end, t->registers.rip, t->registers.rsp);
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "   walk %s+%#lx\n", address_space_file_name(t->space, frames[i].file),
			frames[i].address);
	for (size_t i = t->shadow->depth; i-- > 0;) {
		const struct shadow_entry *entry = &t->shadow->entries[i];
		struct code_place place;

		address_space_lookup(t->space, entry->pc - !entry->exact, &place);
		fprintf(stderr, "   true %s+%#lx\n", address_space_file_name(t->space, place.file),
			place.address);
	}
}

static enum unwind_end
walk(struct trace *t, struct frame *frames, size_t *ret_count)
{
	struct stack_view stack = {
		.bytes = (const uint8_t *)t->stack, .mask = UINT64_MAX, .sp = t->registers.rsp};
	struct user_registers registers;
	enum unwind_end end;

	stack.size = copy_stack(t);
	convert(&t->registers, &registers);
	end = unwinder_walk(t->unwinder, &registers, &stack, address_space_lookup, t->space, frames,
			    ret_count);
	t->frames += *ret_count;
	return end;
}

/* How many of the walk's frames are true, from the leaf on; *ret_skipped: with how many left out. */
static size_t
count_true(const struct trace *t, const struct frame *frames, size_t count, size_t *ret_skipped)
{
	size_t is_true = 1, depth = t->shadow->depth;

	*ret_skipped = 0;
	if (!same_frame(t, &frames[0], t->registers.rip))
		return 0;
	for (; is_true < count; is_true++, depth--) {
		size_t at = depth;

		while (at > 0 &&
		       !same_frame(t, &frames[is_true],
				   t->shadow->entries[at - 1].pc - !t->shadow->entries[at - 1].exact))
			at--;
		if (at == 0)
			break;
		*ret_skipped += depth - at;
		depth = at;
	}
	return is_true;
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
	for (size_t i = 0; i < t->shadow->depth; i++)
		if (!has_tables(t, t->shadow->entries[i].pc - 1))
			return true;
	return !has_tables(t, t->registers.rip);
}

/* Before it lands in a catch or a destructor, libgcc's unwinder overwrites what its own frame saved; then the
 * landing pad is where it returns to. */
static bool
is_landing(struct trace *t)
{
	for (size_t i = 0; i < t->shadow->depth && !t->is_landing; i++) {
		const struct shadow_entry *entry = &t->shadow->entries[i];
		uint64_t at = (entry->slot - t->registers.rsp) / 8;

		t->is_landing = at < STACK_MAX / 8 && t->stack[at] != entry->pc;
	}
	return t->is_landing;
}

/* Code that loads sp and the pc with what was saved elsewhere (longjmp, setcontext, a switch of stacks): its
 * caller is the one it left, or already the one it goes to. */
static bool
is_switching(struct trace *t)
{
	struct code_place place;
	struct cfi_row row;

	address_space_lookup(t->space, t->registers.rip, &place);
	t->scratch->budget = SIZE_MAX;
	return t->is_switching ||
	       (place.kind == CODE_MODULE &&
		unwind_module_find_row(place.module, t->scratch, place.address, &row) == 0 &&
		row.registers[REGISTER_SP].kind != CFI_UNSPECIFIED && !row.signal_frame);
}

static bool
is_true_beside_caller(const struct trace *t, const struct frame *frames, size_t count)
{
	struct frame others[UNWIND_MAX_FRAMES];
	size_t skipped;

	others[0] = frames[0];
	memcpy(others + 1, frames + 2, (count - 2) * sizeof(*frames));
	return count_true(t, others, count - 1, &skipped) == count - 1;
}

static enum verdict
judge(struct trace *t, const struct frame *frames, size_t count, enum unwind_end end)
{
	size_t skipped, is_true = count_true(t, frames, count, &skipped), all = t->shadow->depth + 1;
	bool only_true = is_true == count;

	if (only_true && count == all && end == (t->shadow->goes_on_elsewhere ? END_OTHER_STACK : END_ROOT))
		return RIGHT;
	if (is_switching(t) && is_true > 0 && (only_true || is_true_beside_caller(t, frames, count)))
		return SWITCHING;
	if (t->throws && is_true > 0 && (only_true || is_landing(t)))
		return SWITCHING;
	if (t->has_split_stacks && is_true > 0 && !only_true && is_true_beside_caller(t, frames, count))
		return SWITCHING; /* __morestack's last instructions do show who called it */
	if (only_true && count == all && end != END_COPY_SHORT)
		return UNFINISHED; /* not so called, but all */
	if (!is_undescribed(t))
		return WRONG;
	if (!only_true)
		return UNDESCRIBED;
	return skipped ? SKIPPING : end == END_ROOT && count < all ? UNDESCRIBED : UNFINISHED;
}

static void
check(struct trace *t)
{
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;
	enum unwind_end end = walk(t, frames, &count);

	t->last = judge(t, frames, count, end);
	t->walks[t->last]++;
	if (t->last == RIGHT)
		return;
	if (getenv("UNWIND_TRUTH_VERBOSE") || (t->last == WRONG && t->walks[WRONG] < REPORTED_MAX))
		report(t, frames, count, end);
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

static uint64_t
entry_point(pid_t pid)
{
	char name[64];
	uint64_t pair[2];
	FILE *vector;
	uint64_t entry = 0;

	snprintf(name, sizeof(name), "/proc/%d/auxv", (int)pid);
	vector = fopen(name, "re");
	assert_non_null(vector);
	while (!entry && fread(pair, sizeof(pair), 1, vector) == 1)
		if (pair[0] == AT_ENTRY)
			entry = pair[1];
	fclose(vector);
	return entry;
}

/* To the program's first instruction, behind the start of ld.so. */
static void
run_to_entry(pid_t pid)
{
	uint64_t entry = entry_point(pid);
	struct user_regs_struct registers;
	long code;
	int status;

	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, pid, entry, NULL);
	assert_int_equal(errno, 0);
	assert_int_equal(ptrace(PTRACE_POKETEXT, pid, entry, (code & ~0xffl) | 0xcc), 0);
	assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	assert_int_equal(ptrace(PTRACE_POKETEXT, pid, entry, code), 0);
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &registers), 0);
	registers.rip = entry;
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &registers), 0);
}

static void
start(struct trace *t, char **argv)
{
	t->pid = start_target(argv);
	if (!t->from_the_start)
		run_to_entry(t->pid);
	t->space = address_space_new(t->pid);
	t->unwinder = unwinder_new();
	assert_non_null(t->unwinder);
	read_state(t);
	t->shadow = find_shadow(t);
	check(t);
}

static void
print_summary(const struct trace *t, const char *name)
{
	fprintf(stderr, "%s: %lu steps, %lu frames, %lu signals; walks:", name, t->steps, t->frames,
		t->signals);
	for (size_t i = 0; i < VERDICTS; i++)
		fprintf(stderr, " %s %lu", verdict_names[i], t->walks[i]);
	fprintf(stderr, "\n");
}

static void
trace_program(struct trace *t, char **argv)
{
	int number = 0;
	bool takes_signals = false;

	t->has_split_stacks = strstr(argv[0], "split") != NULL;
	t->throws = strstr(argv[0], "throw") != NULL;
	start(t, argv);
	while (t->steps++ < t->steps_max) {
		struct user_regs_struct before = t->registers;
		uint8_t code[sizeof(t->code)];

		memcpy(code, t->code, sizeof(code));
		/* not inside what cannot be walked anyway: every step of the handler would count */
		if (takes_signals && number == 0 && t->last == RIGHT && t->steps % INJECT_EVERY == 0)
			number = SIGUSR1;
		if (!step(t, number, &number))
			break;
		takes_signals |= number == SIGUSR1;
		read_state(t);
		if (is_system_call(code)) { /* mappings may have changed */
			address_space_reload(t->space);
			memset(t->code_cache, 0, sizeof(t->code_cache));
		}
		follow(t, &before, code);
		check(t);
	}
	if (t->steps > t->steps_max)
		kill(t->pid, SIGKILL);
	unwinder_free(t->unwinder);
	address_space_free(t->space);
	free(t->scratch);
	print_summary(t, argv[0]);
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

struct program {
	const char *name, *argument;
	bool from_the_start;
	unsigned most[VERDICTS]; /* walks that may be other than right; RIGHT: not used */
};

static void
test_program(void **state)
{
	const struct program *program = *state;
	char path[512];
	char *argv[] = {path, (char *)(uintptr_t)program->argument, NULL};
	struct trace *t;

	snprintf(path, sizeof(path), "%s%s", TRUTH_FOLDER, program->name);
	if (access(path, X_OK) != 0 && !getenv("DDPROF_MUST_WORK"))
		skip(); /* its compiler or linker is not here */
	t = new_trace(STEPS_MAX);
	t->from_the_start = program->from_the_start;
	trace_program(t, argv);
	assert_true(t->steps > STEPS_MIN && t->steps < STEPS_MAX);
	assert_true(t->signals > 5);
	for (enum verdict v = RIGHT + 1; v < VERDICTS; v++)
		assert_true(t->walks[v] <= program->most[v]);
	free(t);
}

/* By hand: test_unwind_truth STEPS PROGRAM ARGUMENTS... looks at any other program. */
static int
look_at(char **argv)
{
	struct trace *t = new_trace(strtoul(argv[1], NULL, 10));

	t->from_the_start = true;
	trace_program(t, argv + 2);

	bool is_wrong = t->walks[WRONG] != 0;

	free(t);
	return is_wrong;
}

/* Everywhere, also in the code of crti.o and crtbegin.o that has no tables, with these exceptions:
 *
 *   bare             frame pointers and byte patterns alone: gcc schedules something between push and mov
 *   lld_retpoline    the first call of each function, for two instructions
 *   split            while the program starts: __stack_split_initialize has no tables
 *   stacks           in __start_context, whose tables know its return address, which is none; in the three
 *                    instructions before and behind the frame of made code, whose bytes are not known
 *   stacks, "bare"   also code that has neither tables nor frame pointers
 *   throw            while libgcc overwrites its own frame to land elsewhere */
static const struct program programs[] = {
	{"unwind_truth", .from_the_start = true},
	{"unwind_truth_fp", .from_the_start = true},
	{"unwind_truth_debug_frame"},
	{"unwind_truth_no_header"},
	{"unwind_truth_static"},
	{"unwind_truth_static_pie"},
	{"unwind_truth_small"},
	{"unwind_truth_no_plt"},
	{"unwind_truth_thunks"},
	{"unwind_truth_gold"},
	{"unwind_truth_lld"},
	{"unwind_truth_lld_ibt"},
	{"unwind_truth_lld_retpoline", .most = {[UNFINISHED] = 40}},
	{"unwind_truth_lld_retpoline_now"},
	{"unwind_truth_mold"},
	{"unwind_truth_clang_omit"},
	{"unwind_truth_clang_no-omit"},
	{"unwind_truth_clang_retpoline"},
	{"unwind_truth_bare", "plain", .most = {[UNFINISHED] = 9}},
	{"unwind_stacks", .most = {[SWITCHING] = 170, [UNFINISHED] = 30}},
	{"unwind_stacks_fp", .most = {[SWITCHING] = 170, [UNFINISHED] = 30, [SKIPPING] = 3}},
	{"unwind_stacks", "bare", .most = {[SWITCHING] = 220, [UNFINISHED] = 120, [UNDESCRIBED] = 24}},
	{"unwind_stacks_fp", "bare",
	 .most = {[SWITCHING] = 220, [UNFINISHED] = 30, [SKIPPING] = 130, [UNDESCRIBED] = 6}},
	{"unwind_split", .most = {[SWITCHING] = 20, [UNFINISHED] = 2200}},
	{"unwind_throw", .most = {[SWITCHING] = 1300}},
};

int
main(int argc, char **argv)
{
	enum { COUNT = sizeof(programs) / sizeof(programs[0]) };
	struct CMUnitTest tests[COUNT];

	for (size_t i = 0; i < COUNT; i++)
		tests[i] = (struct CMUnitTest){.name = programs[i].name,
					       .test_func = test_program,
					       .initial_state = (void *)(uintptr_t)&programs[i]};
	return argc > 2 ? look_at(argv) : cmocka_run_group_tests(tests, NULL, NULL);
}
