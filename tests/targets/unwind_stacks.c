/* What test_truth steps through, one instruction at a time: code that leaves its stack. Coroutines (ucontext,
 * and a switch by hand), handlers on a stack of their own, longjmp, vfork, code made at run time. Every stack
 * is a mapping between guard pages, so that the test can tell them apart. */

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

enum { PAGE = 4096, STACK_SIZE = 64 * 1024 };

static volatile uint64_t sink;

NOINLINE static uint64_t
leaf(uint64_t a)
{
	return a * 3 + 1;
}

NOINLINE static uint64_t
recurse(unsigned depth, uint64_t value)
{
	if (depth == 0)
		return leaf(value) + leaf(value + 1);
	return recurse(depth - 1, value * 2) + leaf(depth);
}

static char *
new_stack(void)
{
	char *bytes = mmap(NULL, STACK_SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED || mprotect(bytes + PAGE, STACK_SIZE, PROT_READ | PROT_WRITE))
		abort();
	return bytes + PAGE;
}

/* ---- ucontext ---- */

static ucontext_t main_context, contexts[2];

NOINLINE static void
yield_from(unsigned depth, unsigned self, unsigned other)
{
	if (depth > 0) {
		yield_from(depth - 1, self, other);
		sink += leaf(depth);
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		sink += recurse(i, self);
		swapcontext(&contexts[self], &contexts[other]);
	}
}

static void
run_context(int self)
{
	yield_from(2 + (unsigned)self, (unsigned)self, 1 - (unsigned)self);
	sink += leaf(3);
}

static void
use_contexts(void)
{
	for (int i = 0; i < 2; i++) {
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = new_stack();
		contexts[i].uc_stack.ss_size = STACK_SIZE;
		contexts[i].uc_link = i == 0 ? &main_context : &contexts[0];
		makecontext(&contexts[i], (void (*)(void))run_context, 1, i);
	}
	swapcontext(&main_context, &contexts[0]);
	sink += leaf(5);
}

/* ---- a switch by hand: what it saves lies on the stack it leaves ---- */

void switch_stack(void **save, void *load);
__asm__(".text\n"
	".type switch_stack, @function\n"
	"switch_stack:\n"
	"	.cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbp, 0\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	push %r12\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %r12, 0\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r12\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore %r12\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore %rbx\n"
	"	pop %rbp\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore %rbp\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size switch_stack, . - switch_stack\n");

/* The same without tables, as boost.context has it. */
void jump_stack(void **save, void *load);
__asm__(".text\n"
	".type jump_stack, @function\n"
	"jump_stack:\n"
	"	lea -24(%rsp), %rsp\n"
	"	mov %r12, (%rsp)\n"
	"	mov %rbx, 8(%rsp)\n"
	"	mov %rbp, 16(%rsp)\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	mov 24(%rsp), %r8\n"
	"	mov (%rsp), %r12\n"
	"	mov 8(%rsp), %rbx\n"
	"	mov 16(%rsp), %rbp\n"
	"	lea 32(%rsp), %rsp\n"
	"	jmp *%r8\n"
	".size jump_stack, . - jump_stack\n");

static void *main_stack, *stacks[2];
static void (*switch_with)(void **save, void *load);

NOINLINE static void
take_turns(unsigned depth, unsigned self)
{
	if (depth > 0) {
		take_turns(depth - 1, self);
		sink += leaf(depth);
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		sink += recurse(i, self);
		switch_with(&stacks[self], stacks[1 - self]);
	}
}

static void
first_routine(void)
{
	take_turns(2, 0);
	switch_with(&stacks[0], main_stack);
	abort();
}

static void
second_routine(void)
{
	take_turns(3, 1);
	switch_with(&stacks[1], main_stack);
	abort();
}

/* Nothing called the routine: the word where its return address would be is 0. */
static void *
prepare_stack(void (*routine)(void))
{
	void **top = (void **)(void *)(new_stack() + STACK_SIZE);

	*--top = NULL;
	*--top = NULL; /* the return address of the routine; the ABI's alignment */
	*--top = (void *)(uintptr_t)routine;
	for (unsigned i = 0; i < 3; i++)
		*--top = NULL;
	return top;
}

static void
use_switch(void (*with)(void **save, void *load))
{
	switch_with = with;
	stacks[0] = prepare_stack(first_routine);
	stacks[1] = prepare_stack(second_routine);
	switch_with(&main_stack, stacks[0]);
	sink += leaf(7);
}

/* ---- signals, longjmp, vfork ---- */

static sigjmp_buf back;

static void
on_own_stack(int number)
{
	sink += recurse(2, (uint64_t)number);
}

static void
leave_by_jump(int number)
{
	sink += recurse(1, (uint64_t)number);
	siglongjmp(back, 1);
}

static void
on_signal(int number)
{
	sink += leaf((uint64_t)number);
}

NOINLINE static void
jump_back(unsigned depth)
{
	if (depth == 0)
		longjmp(back, 1);
	jump_back(depth - 1);
	sink += depth;
}

static void
use_signals(void)
{
	stack_t own = {.ss_sp = new_stack(), .ss_size = STACK_SIZE};
	struct sigaction action = {.sa_handler = on_own_stack, .sa_flags = SA_ONSTACK | SA_NODEFER};

	sigaltstack(&own, NULL);
	sigaction(SIGUSR2, &action, NULL);
	raise(SIGUSR2);
	action.sa_handler = leave_by_jump;
	sigaction(SIGUSR2, &action, NULL);
	if (!sigsetjmp(back, 1))
		raise(SIGUSR2);
	if (!setjmp(back))
		jump_back(4);
}

static void
use_vfork(void)
{
	int status;

	if (vfork() == 0)
		_exit(0);
	wait(&status);
}

/* ---- code made at run time: it calls back ---- */

/* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
static const uint8_t with_frame[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
/* sub $8,%rsp; call *%rdi; add $8,%rsp; ret */
static const uint8_t without_frame[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x08, 0xc3};

static void
call_back(void)
{
	sink += recurse(2, sink);
}

static void
use_made_code(const uint8_t *code, size_t size)
{
	char *bytes =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		abort();
	memcpy(bytes, code, size);
	((void (*)(void (*)(void)))(uintptr_t)bytes)(call_back);
}

/* With an argument: also code that has neither tables nor frame pointers. */
int
main(int argc, char **argv)
{
	(void)argv;
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	use_contexts();
	use_switch(switch_stack);
	use_signals();
	use_vfork();
	use_made_code(with_frame, sizeof(with_frame));
	if (argc > 1) {
		use_switch(jump_stack);
		use_made_code(without_frame, sizeof(without_frame));
	}
	return sink == 0;
}
