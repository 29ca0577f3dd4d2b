/* Our walks against two witnesses who know nothing of us, on programs with frame pointers in every frame:
 *
 *   the kernel's frame pointer chain, taken with each sample: it may skip a frame (the leaf's caller, in a
 *   prologue) but must name no frame that we do not, and none in another order;
 *   gdb, on stopped processes: the same frames. */

#include "tests/unwind/address_space.h"

#include "worker/unwind/stack_view.h"
#include "worker/unwind/unwind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	SAMPLES = 10000,
	PERIOD_NS = 50000,
	STACK_BYTES = 8192,
	RING_BYTES = 8 << 20,
	REGISTERS = 17,
	GDB_FRAMES_MAX = 256,
	GDB_ROUNDS = 6,
};

#define REGISTERS_MASK 0xff01ffull /* ax bx cx dx si di bp sp ip, r8 to r15 */
#define CHAIN_IS_CONTEXT(pc) ((pc) >= (uint64_t)-4095)

struct witness {
	pid_t pid;
	struct address_space *space;
	struct unwinder *unwinder;
	uint64_t samples, frames, skipping, contradictions, short_of_root;
};

static bool
must_work(void)
{
	return getenv("DDPROF_MUST_WORK") != NULL;
}

/* Started and in its endless loop. */
static struct witness
start_program(char **argv)
{
	struct witness w = {.unwinder = unwinder_new()};
	int out[2];
	char byte;

	if (access(argv[0], X_OK) != 0 && !must_work())
		skip();
	assert_non_null(w.unwinder);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w.pid = fork();
	assert_true(w.pid >= 0);
	if (w.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed check leaves nothing behind */
		dup2(out[1], STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	assert_int_equal(read(out[0], &byte, 1), 1);
	close(out[0]);
	w.space = address_space_new(w.pid);
	return w;
}

static void
end_program(struct witness *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	unwinder_free(w->unwinder);
	address_space_free(w->space);
}

/* ---- the kernel's frame pointer chain ---- */

static int
open_event(pid_t pid)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.exclude_kernel = 1,
		.exclude_callchain_kernel = 1,
		.sample_regs_user = REGISTERS_MASK,
		.sample_stack_user = STACK_BYTES,
	};

	return (int)syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void
report(struct witness *w, const struct frame *frames, size_t count, const uint64_t *chain, size_t length)
{
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "   walk    %s+%#lx\n", address_space_file_name(w->space, frames[i].file),
			frames[i].address);
	for (size_t i = 0; i < length; i++) {
		struct code_place place;

		address_space_lookup(w->space, chain[i], &place);
		fprintf(stderr, "   witness %s+%#lx\n", address_space_file_name(w->space, place.file),
			place.address);
	}
}

/* The chain's frames in the program itself and the return address that leaves it: what is above may have no
 * frame pointers. True: all of them are ours, in this order. */
static bool
is_subsequence(struct witness *w, const uint64_t *chain, size_t length, const struct frame *frames,
	       size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < length; i++) {
		struct code_place place;

		address_space_lookup(w->space, chain[i] - (i > 0), &place);
		while (at < count && (frames[at].file != place.file || frames[at].address != place.address))
			at++;
		if (at == count)
			return false;
		if (place.file != frames[0].file)
			break;
		w->skipping += i == 1 && at > 1;
	}
	return true;
}

static void
judge(struct witness *w, const uint64_t *chain, size_t length, const struct user_registers *registers,
      const struct stack_view *stack)
{
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;
	enum unwind_end end =
		unwinder_walk(w->unwinder, registers, stack, address_space_lookup, w->space, frames, &count);

	w->samples++;
	w->frames += count;
	w->short_of_root += end != END_ROOT;
	if (is_subsequence(w, chain, length, frames, count))
		return;
	if (w->contradictions++ < 5)
		report(w, frames, count, chain, length);
}

/* { nr, chain[nr] } { abi, registers[17] } { size, stack[size], dyn_size } */
static void
judge_sample(struct witness *w, const uint64_t *body)
{
	static const uint8_t order[REGISTERS] = {
		REGISTER_RAX, REGISTER_RBX, REGISTER_RCX, REGISTER_RDX, REGISTER_RSI, REGISTER_RDI,
		REGISTER_RBP, REGISTER_RSP, REGISTER_RIP, REGISTER_R8,  REGISTER_R9,  REGISTER_R10,
		REGISTER_R11, REGISTER_R12, REGISTER_R13, REGISTER_R14, REGISTER_R15};
	const uint64_t *chain = body + 1, *values = chain + body[0], *bytes = values + 1 + REGISTERS;
	struct user_registers registers;
	size_t length = body[0];

	if (values[0] == PERF_SAMPLE_REGS_ABI_NONE)
		return;
	assert_int_equal(bytes[0], STACK_BYTES);
	while (length > 0 && CHAIN_IS_CONTEXT(chain[0])) {
		chain++;
		length--;
	}
	for (size_t i = 0; i < REGISTERS; i++)
		registers.value[order[i]] = values[1 + i];
	struct stack_view stack = {.bytes = (const uint8_t *)(bytes + 1),
				   .mask = UINT64_MAX,
				   .sp = registers.value[REGISTER_RSP],
				   .size = bytes[1 + STACK_BYTES / 8]};
	judge(w, chain, length, &registers, &stack);
}

static void
drain(struct witness *w, struct perf_event_mmap_page *page)
{
	static uint64_t record[65536 / 8 + 1];
	const uint8_t *data = (const uint8_t *)page + page->data_offset;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = page->data_tail;

	while (at < head) {
		struct perf_event_header header;

		memcpy(&header, data + at % RING_BYTES, sizeof(header)); /* 8 bytes never wrap */
		for (size_t i = 0; i < header.size; i += 8)
			memcpy((uint8_t *)record + i, data + (at + i) % RING_BYTES, 8);
		at += header.size;
		if (header.type == PERF_RECORD_SAMPLE)
			judge_sample(w, record + 1);
	}
	__atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
}

static void
test_frame_pointer_chain(void **state)
{
	char *argv[] = {*state, NULL};
	struct witness w = start_program(argv);
	int event = open_event(w.pid);

	if (event < 0 && !must_work()) {
		end_program(&w);
		skip();
	}
	assert_true(event >= 0);
	struct perf_event_mmap_page *page =
		mmap(NULL, 4096 + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
	assert_true(page != MAP_FAILED);
	while (w.samples < SAMPLES && waitpid(w.pid, NULL, WNOHANG) == 0) {
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		drain(&w, page);
	}
	munmap(page, 4096 + RING_BYTES);
	close(event);
	end_program(&w);
	fprintf(stderr,
		"%s: %lu samples, %lu frames; the chain skips the leaf's caller in %lu; "
		"%lu contradictions, %lu short of the root\n",
		argv[0], w.samples, w.frames, w.skipping, w.contradictions, w.short_of_root);
	assert_true(w.samples >= SAMPLES);
	assert_true(w.frames > 5 * w.samples);
	assert_true(w.skipping > 0); /* or nothing was compared */
	assert_int_equal(w.contradictions, 0);
	assert_int_equal(w.short_of_root, 0);
}

/* ---- gdb ---- */

static size_t
walk_stopped(struct witness *w, struct frame *frames)
{
	static uint64_t copy[64 * 1024 / 8];
	struct user_regs_struct r;
	int status;

	kill(w->pid, SIGSTOP);
	assert_int_equal(waitpid(w->pid, &status, WUNTRACED), w->pid);
	assert_int_equal(ptrace(PTRACE_SEIZE, w->pid, NULL, NULL), 0);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	assert_int_equal(ptrace(PTRACE_GETREGS, w->pid, NULL, &r), 0);
	address_space_reload(w->space);
	uint64_t stack_start, stack_end = r.rsp, size;
	assert_true(address_space_find_mapping(w->space, r.rsp, &stack_start, &stack_end));
	size = stack_end - r.rsp;
	size = size < sizeof(copy) ? size : sizeof(copy);
	struct iovec to = {copy, size}, from = {(void *)(uintptr_t)r.rsp, size};
	assert_int_equal(process_vm_readv(w->pid, &to, 1, &from, 1, 0), size);
	assert_int_equal(ptrace(PTRACE_DETACH, w->pid, NULL, NULL), 0); /* stays stopped */

	struct user_registers registers = {{r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
					    r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip}};
	struct stack_view stack = {
		.bytes = (const uint8_t *)copy, .mask = UINT64_MAX, .sp = r.rsp, .size = size};
	size_t count;
	enum unwind_end end = unwinder_walk(w->unwinder, &registers, &stack, address_space_lookup, w->space,
					    frames, &count);
	assert_int_equal(end, END_ROOT);
	return count;
}

/* Frames that are code of their own: what was inlined has no place on the stack. */
static size_t
ask_gdb(pid_t pid, uint64_t *ret_pcs)
{
	static const char script[] =
		"gdb -nx -batch -iex 'set auto-load off' -iex 'set debuginfod enabled off' "
		"-p %d -ex 'set backtrace past-main on' -ex 'set backtrace past-entry on' "
		"-ex 'python\n"
		"f = gdb.newest_frame()\n"
		"while f:\n"
		"  if f.type() != gdb.INLINE_FRAME: print(\"pc %%x\" %% f.pc())\n"
		"  f = f.older()\n"
		"' 2>/dev/null";
	char command[1024], line[512];
	size_t count = 0;
	FILE *gdb;

	snprintf(command, sizeof(command), script, (int)pid);
	gdb = popen(command, "r");
	assert_non_null(gdb);
	while (fgets(line, sizeof(line), gdb))
		if (count < GDB_FRAMES_MAX && sscanf(line, "pc %lx", &ret_pcs[count]) == 1)
			count++;
	pclose(gdb);
	return count;
}

static void
test_gdb(void **state)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	char *program[] = {*state, NULL};
	static char path
		[] = "/usr/bin/python3",
	    options[] = "-uc",
	    script[] =
		    "import re\nprint()\nf = lambda n: n if n < 2 else f(n - 1) + f(n - 2)\n"
		    "while True: f(12); re.sub('b', lambda m: str(f(9)), 'abcb'); sorted([3, 1, 2], key=f)";
	char *python[] = {path, options, script, NULL};
	struct witness w = start_program(*state ? program : python);
	uint64_t pcs[GDB_FRAMES_MAX];
	size_t compared = 0;

	for (unsigned round = 0; round < GDB_ROUNDS; round++) {
		size_t count = walk_stopped(&w, frames), said = ask_gdb(w.pid, pcs);
		bool same = said == count;

		if (said == 0 && !must_work()) {
			end_program(&w);
			skip(); /* no gdb, or not allowed to attach */
		}
		for (size_t i = 0; same && i < count; i++) {
			struct code_place place;

			address_space_lookup(w.space, pcs[i] - (i > 0), &place);
			same = place.file == frames[i].file && place.address == frames[i].address;
		}
		if (!same)
			report(&w, frames, count, pcs, said);
		assert_true(same);
		compared += count;
		kill(w.pid, SIGCONT);
		nanosleep(&(struct timespec){.tv_nsec = 50000000 + 1234567 * round}, NULL);
	}
	end_program(&w);
	fprintf(stderr, "%s: %zu frames in %d stops as gdb sees them\n", *state ? (char *)*state : python[0],
		compared, GDB_ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_frame_pointer_chain,
					  (void *)TRUTH_FOLDER "frame_pointers_gcc"),
		cmocka_unit_test_prestate(test_frame_pointer_chain,
					  (void *)TRUTH_FOLDER "frame_pointers_clang"),
		cmocka_unit_test_prestate(test_gdb, (void *)TRUTH_FOLDER "frame_pointers_gcc"),
		cmocka_unit_test_prestate(test_gdb, (void *)TRUTH_FOLDER "frame_pointers_clang"),
		cmocka_unit_test_prestate(test_gdb, (void *)TRUTH_FOLDER "no_frame_pointers"),
		cmocka_unit_test_prestate(test_gdb, NULL),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
