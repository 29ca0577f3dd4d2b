/* The filter's text says what the filter does: loads, jumps with absolute numbers, actions, and a name only
 * where the accumulator really holds a system call. */

#include "launcher/audit/bpf_text.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *
name_of(uint32_t architecture, unsigned number)
{
	return number != 7 ? NULL : strdup(architecture == AUDIT_ARCH_I386 ? "seven of i386" : "seven");
}

static char *
text_of(const struct sock_filter *code, size_t length)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(to);
	bpf_text_print(code, length, name_of, to);
	fclose(to);
	return text;
}

#define CHECK(expected, ...)                                                \
	do {                                                                \
		const struct sock_filter code[] = {__VA_ARGS__};            \
		char *text = text_of(code, sizeof(code) / sizeof(code[0])); \
                                                                            \
		assert_string_equal(text, expected);                        \
		free(text);                                                 \
	} while (0)

static void
test_a_whole_filter(void **state)
{
	(void)state;
	CHECK("    0  ld [4]  ; architecture\n"
	      "    1  jeq #0xc000003e, 2, 7  ; x86-64\n"
	      "    2  ld [0]  ; system call\n"
	      "    3  jeq #0x7, 6, 4  ; seven\n"
	      "    4  jgt #0x8, 5, 7\n"
	      "    5  ret ERRNO(13)  ; EACCES\n"
	      "    6  ret ALLOW\n"
	      "    7  ret KILL_PROCESS\n",
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, AUDIT_ARCH_X86_64},
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 7},
	      {BPF_JMP | BPF_JGT | BPF_K, 0, 2, 8}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | 13},
	      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS});
}

static void
test_an_argument_has_no_name(void **state)
{
	(void)state;
	CHECK("    0  ld [4]  ; architecture\n"
	      "    1  jeq #0xc000003e, 2, 10  ; x86-64\n"
	      "    2  ld [0]  ; system call\n"
	      "    3  jeq #0x7, 4, 7  ; seven\n"
	      "    4  ld [28]  ; argument 1, upper half\n"
	      "    5  and #0x7\n"
	      "    6  jeq #0x7, 8, 9\n"
	      "    7  jeq #0x7, 8, 9  ; seven\n" /* reached from 3 only: still the system call */
	      "    8  ld [24]  ; argument 1, lower half\n"
	      "    9  jset #0x7, 10, 10\n" /* reached with an argument or with a call: no name */
	      "   10  ret TRAP\n",
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 8, AUDIT_ARCH_X86_64},
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 7},
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 28}, {BPF_ALU | BPF_AND | BPF_K, 0, 0, 7},
	      {BPF_JMP | BPF_JEQ | BPF_K, 1, 2, 7}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 7},
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 24}, {BPF_JMP | BPF_JSET | BPF_K, 0, 0, 7},
	      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRAP});
}

/* The same number is another call on another architecture, and where two meet it is none. */
static void
test_names_belong_to_an_architecture(void **state)
{
	(void)state;
	CHECK("    0  ld [4]  ; architecture\n"
	      "    1  jeq #0xc000003e, 2, 4  ; x86-64\n"
	      "    2  ld [0]  ; system call\n"
	      "    3  jeq #0x7, 7, 7  ; seven\n"
	      "    4  jeq #0x40000003, 5, 8  ; i386\n"
	      "    5  ld [0]  ; system call\n"
	      "    6  jeq #0x7, 7, 7  ; seven of i386\n"
	      "    7  jeq #0x7, 8, 8\n"
	      "    8  ret ALLOW\n",
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 2, AUDIT_ARCH_X86_64},
	      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 3, 3, 7},
	      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, AUDIT_ARCH_I386}, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
	      {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7},
	      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
}

static void
test_jumps_and_the_unknown(void **state)
{
	(void)state;
	CHECK("    0  ja 2\n"
	      "    1  code 0x60, 1, 2, #0x3\n"
	      "    2  ret #0x12340000\n",
	      {BPF_JMP | BPF_JA, 0, 0, 1}, {0x60, 1, 2, 3}, {BPF_RET | BPF_K, 0, 0, 0x12340000});
}

/* Jumps out of the program (the kernel refuses such) and a missing return must not be followed. */
static void
test_a_broken_program(void **state)
{
	(void)state;
	CHECK("    0  ja 4294967296\n"
	      "    1  jeq #0x0, 202, 102\n",
	      {BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, {BPF_JMP | BPF_JEQ | BPF_K, 200, 100, 0});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_filter),
		cmocka_unit_test(test_an_argument_has_no_name),
		cmocka_unit_test(test_names_belong_to_an_architecture),
		cmocka_unit_test(test_jumps_and_the_unknown),
		cmocka_unit_test(test_a_broken_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
