/* What test_truth steps through, one instruction at a time: every kind of frame that C and assembly code
 * make, small enough to step from the first instruction of ld.so to the last of exit. */

#include <alloca.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile uint64_t sink;
static volatile sig_atomic_t signals;

NOINLINE static uint64_t
leaf(uint64_t a)
{
	return a * 3 + 1;
}

/* callee-saved registers, pushes and pops */
NOINLINE static uint64_t
busy(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t x = leaf(a), y = leaf(b), z = leaf(c), w = leaf(x ^ y);

	return leaf(x + y) + leaf(y + z) + leaf(z + w) + leaf(w + x) + x * y * z * w;
}

NOINLINE static uint64_t
recurse(unsigned depth, uint64_t value)
{
	if (depth == 0)
		return busy(value, value + 1, value + 2);
	return recurse(depth - 1, value * 2) + leaf(depth);
}

/* a frame pointer although the rest has none */
NOINLINE static uint64_t
variable_frame(size_t size)
{
	volatile char *bytes = alloca(size);

	bytes[0] = 1;
	bytes[size - 1] = 2;
	return busy((uint64_t)bytes[0], (uint64_t)bytes[size - 1], size);
}

/* the CFA is *(rbp - n) here: gcc realigns through r10 */
NOINLINE static uint64_t
aligned_frame(uint64_t a, uint64_t b)
{
	_Alignas(64) volatile uint64_t block[16];
	volatile char *more = alloca(a & 63);

	more[0] = 1;
	block[b & 15] = a;
	return busy(block[b & 15], a, b);
}

NOINLINE static uint64_t
large_frame(uint64_t a)
{
	volatile uint64_t block[1500]; /* 12 KB, probed page by page */

	block[a & 1023] = a;
	return busy(block[a & 1023], a, 1);
}

/* more than registers hold: at -Os gcc pushes them, and the CFA's offset changes around the call */
NOINLINE static uint64_t
many_arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h,
	       uint64_t i)
{
	return leaf(a + b + c + d + e) + f * g * h * i;
}

NOINLINE static uint64_t
pushes_arguments(uint64_t a)
{
	uint64_t b = leaf(a), c = leaf(b);

	return many_arguments(a, b, c, a, b, c, a, b, c) + many_arguments(c, b, a, c, b, a, c, b, leaf(c)) +
	       b;
}

NOINLINE static uint64_t
tail_call(uint64_t a)
{
	return busy(a, a, a);
}

/* registers are saved only on the long way */
NOINLINE static uint64_t
shrink_wrapped(uint64_t *at)
{
	if (!at)
		return 7;
	for (unsigned i = 0; i < 3; i++)
		at[i] = leaf(at[i]) + leaf(at[2 - i]);
	return at[0];
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
on_signal(int number)
{
	signals++;
	sink += recurse(2, (uint64_t)number);
}

#ifdef __x86_64__
NOINLINE static uint64_t
huge_frame(uint64_t a)
{
	volatile uint64_t block[12500]; /* 100 KB: offsets of more than 16 bits */

	block[a & 1023] = a;
	return busy(block[a & 1023], a, 1);
}

/* Hand-written frames, as in OpenSSL and ld.so: the old sp kept in the aligned frame, CFA by expression. */
uint64_t asm_deref_frame(uint64_t (*function)(uint64_t), uint64_t argument);
__asm__(".text\n"
	".type asm_deref_frame, @function\n"
	"asm_deref_frame:\n"
	"	.cfi_startproc\n"
	"	mov %rsp, %rax\n"
	"	.cfi_def_cfa_register %rax\n"
	"	sub $192, %rsp\n"
	"	and $-64, %rsp\n"
	"	mov %rax, 152(%rsp)\n"
	"	.cfi_escape 0x0f, 0x06, 0x77, 0x98, 0x01, 0x06, 0x23, 0x08\n" /* *(rsp + 152) + 8 */
	"	xchg %rdi, %rsi\n"
	"	call *%rsi\n"
	"	mov 152(%rsp), %rsi\n"
	"	.cfi_def_cfa %rsi, 8\n"
	"	lea (%rsi), %rsp\n"
	"	.cfi_def_cfa_register %rsp\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size asm_deref_frame, . - asm_deref_frame\n");

/* CFA = rbx + n across a call: the walk must know a callee-saved register of a caller. */
uint64_t asm_rbx_frame(uint64_t (*function)(uint64_t), uint64_t argument);
__asm__(".text\n"
	".type asm_rbx_frame, @function\n"
	"asm_rbx_frame:\n"
	"	.cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_adjust_cfa_offset 8\n"
	"	.cfi_rel_offset %rbx, 0\n"
	"	mov %rsp, %rbx\n"
	"	.cfi_def_cfa_register %rbx\n"
	"	and $-64, %rsp\n"
	"	sub $64, %rsp\n"
	"	xchg %rdi, %rsi\n"
	"	call *%rsi\n"
	"	mov %rbx, %rsp\n"
	"	.cfi_def_cfa_register %rsp\n"
	"	pop %rbx\n"
	"	.cfi_adjust_cfa_offset -8\n"
	"	.cfi_restore %rbx\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size asm_rbx_frame, . - asm_rbx_frame\n");

NOINLINE static uint64_t
clobber_rbx(uint64_t a)
{
	return recurse(3, a) + leaf(a);
}

NOINLINE static uint64_t
nested_asm(uint64_t a)
{
	return asm_rbx_frame(clobber_rbx, a) + asm_deref_frame(clobber_rbx, a);
}
#endif

int
main(int argc, char **argv)
{
	uint32_t numbers[] = {9, 3, 7, 1, 8, 2};
	uint64_t three[] = {1, 2, 3};
	struct timespec now;
	char text[64];

	(void)argv;
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	sink += recurse(12, 3);
	sink += variable_frame((size_t)(sink & 255) + 16);
	sink += aligned_frame(5, 6);
	sink += large_frame(5);
	sink += pushes_arguments(4);
	sink += tail_call(4);
	sink += shrink_wrapped(NULL) + shrink_wrapped(three);
#ifdef __x86_64__
	if (argc == 1) { /* with an argument: only what frame pointers alone can find a way through */
		sink += huge_frame(4);
		sink += asm_deref_frame(clobber_rbx, 4);
		sink += asm_rbx_frame(clobber_rbx, 4);
		sink += asm_rbx_frame(nested_asm, 4);
	}
#else
	(void)argc;
#endif
	qsort(numbers, sizeof(numbers) / sizeof(numbers[0]), sizeof(numbers[0]), compare);
	clock_gettime(CLOCK_MONOTONIC, &now);
	sink += (uint64_t)snprintf(text, sizeof(text), "%d %s %.3f", numbers[0], "text", 1.5);
	memmove(text + 1, text, strlen(text));
	free(malloc(1000));
	sink += recurse(3, (uint64_t)strtol("123", NULL, 10));
	return signals == 0;
}
