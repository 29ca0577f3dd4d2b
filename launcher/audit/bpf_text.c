/* Names need to know what the accumulator holds where a comparison is reached, and for which architecture the
 * filter has found the call to be. Jumps only go forward, so one pass over the program knows, unless two ways
 * to an instruction disagree. */

#include "launcher/audit/bpf_text.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	HOLDS_UNREACHED = -1,
	HOLDS_UNKNOWN = -2,
	/* else the offset in struct seccomp_data it was loaded from */
};

struct knowledge {
	int holds;             /* what is in the accumulator */
	uint32_t architecture; /* that the filter has found; 0: not certain */
};

static const struct {
	uint32_t value;
	const char *name;
} actions[] = {
	{SECCOMP_RET_KILL_PROCESS, "KILL_PROCESS"},
	{SECCOMP_RET_KILL_THREAD, "KILL_THREAD"},
	{SECCOMP_RET_TRAP, "TRAP"},
	{SECCOMP_RET_ERRNO, "ERRNO"},
	{SECCOMP_RET_LOG, "LOG"},
	{SECCOMP_RET_ALLOW, "ALLOW"},
};

static const struct {
	uint32_t value;
	const char *name;
} architectures[] = {{AUDIT_ARCH_X86_64, "x86-64"},
		     {AUDIT_ARCH_I386, "i386"},
		     {AUDIT_ARCH_AARCH64, "aarch64"},
		     {AUDIT_ARCH_ARM, "arm"}};

static const struct {
	uint16_t code;
	const char *name;
} jumps[] = {
	{BPF_JMP | BPF_JEQ | BPF_K, "jeq"},
	{BPF_JMP | BPF_JGT | BPF_K, "jgt"},
	{BPF_JMP | BPF_JGE | BPF_K, "jge"},
	{BPF_JMP | BPF_JSET | BPF_K, "jset"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *
jump_name(uint16_t code)
{
	for (size_t i = 0; i < COUNT_OF(jumps); i++)
		if (jumps[i].code == code)
			return jumps[i].name;
	return NULL;
}

static void
reach(struct knowledge *known, size_t length, size_t at, struct knowledge now)
{
	if (at >= length)
		return;
	if (known[at].holds == HOLDS_UNREACHED) {
		known[at] = now;
		return;
	}
	if (known[at].holds != now.holds)
		known[at].holds = HOLDS_UNKNOWN;
	if (known[at].architecture != now.architecture)
		known[at].architecture = 0;
}

static void
follow_jump(const struct sock_filter *code, size_t length, size_t at, struct knowledge *known)
{
	const struct sock_filter *jump = &code[at];
	struct knowledge taken = known[at];

	if (jump->code == (BPF_JMP | BPF_JEQ | BPF_K) && taken.holds == offsetof(struct seccomp_data, arch))
		taken.architecture = jump->k;
	reach(known, length, at + 1 + jump->jt, taken);
	reach(known, length, at + 1 + jump->jf, known[at]);
}

/* known[i]: what is certain when instruction i is reached. */
static void
follow(const struct sock_filter *code, size_t length, struct knowledge *known)
{
	for (size_t i = 0; i < length; i++)
		known[i] = (struct knowledge){HOLDS_UNREACHED, 0};
	reach(known, length, 0, (struct knowledge){HOLDS_UNKNOWN, 0});
	for (size_t i = 0; i < length; i++) {
		struct knowledge now = known[i];

		if (code[i].code == (BPF_LD | BPF_W | BPF_ABS)) {
			now.holds = (int)code[i].k;
			reach(known, length, i + 1, now);
		} else if (code[i].code == (BPF_JMP | BPF_JA)) {
			reach(known, length, i + 1 + code[i].k, now);
		} else if (jump_name(code[i].code)) {
			follow_jump(code, length, i, known);
		} else if (BPF_CLASS(code[i].code) == BPF_ALU) {
			now.holds = HOLDS_UNKNOWN;
			reach(known, length, i + 1, now);
		}
	}
}

static void
print_load(unsigned offset, FILE *to)
{
	unsigned first = offsetof(struct seccomp_data, args);

	fprintf(to, "ld [%u]", offset);
	if (offset == offsetof(struct seccomp_data, nr))
		fprintf(to, "  ; system call");
	else if (offset == offsetof(struct seccomp_data, arch))
		fprintf(to, "  ; architecture");
	else if (offset >= first)
		fprintf(to, "  ; argument %u, %s half", (offset - first) / 8,
			(offset - first) % 8 ? "upper" : "lower");
}

static void
print_return(uint32_t value, FILE *to)
{
	uint32_t data = value & SECCOMP_RET_DATA;

	for (size_t i = 0; i < COUNT_OF(actions); i++) {
		if (actions[i].value != (value & SECCOMP_RET_ACTION_FULL))
			continue;
		fprintf(to, "ret %s", actions[i].name);
		if (data)
			fprintf(to, "(%u)  ; %s", data,
				actions[i].value == SECCOMP_RET_ERRNO ? strerrorname_np((int)data) : "");
		return;
	}
	fprintf(to, "ret #0x%x", value);
}

static void
print_meaning(struct knowledge known, uint32_t operand, bpf_call_name call_name, FILE *to)
{
	if (known.holds == offsetof(struct seccomp_data, arch)) {
		for (size_t i = 0; i < COUNT_OF(architectures); i++)
			if (architectures[i].value == operand)
				fprintf(to, "  ; %s", architectures[i].name);
	} else if (known.holds == offsetof(struct seccomp_data, nr) && known.architecture) {
		char *name = call_name(known.architecture, operand);

		if (name)
			fprintf(to, "  ; %s", name);
		free(name);
	}
}

void
bpf_text_print(const struct sock_filter *code, size_t length, bpf_call_name call_name, FILE *to)
{
	static struct knowledge known[BPF_TEXT_MAX_INSTRUCTIONS];

	if (length > BPF_TEXT_MAX_INSTRUCTIONS)
		length = BPF_TEXT_MAX_INSTRUCTIONS;
	follow(code, length, known);
	for (size_t i = 0; i < length; i++) {
		const struct sock_filter *step = &code[i];
		const char *jump = jump_name(step->code);

		fprintf(to, "%5zu  ", i);
		if (step->code == (BPF_LD | BPF_W | BPF_ABS)) {
			print_load(step->k, to);
		} else if (step->code == (BPF_ALU | BPF_AND | BPF_K)) {
			fprintf(to, "and #0x%x", step->k);
		} else if (step->code == (BPF_JMP | BPF_JA)) {
			fprintf(to, "ja %zu", i + 1 + step->k);
		} else if (jump) {
			fprintf(to, "%s #0x%x, %zu, %zu", jump, step->k, i + 1 + step->jt, i + 1 + step->jf);
			print_meaning(known[i], step->k, call_name, to);
		} else if (step->code == (BPF_RET | BPF_K)) {
			print_return(step->k, to);
		} else {
			fprintf(to, "code 0x%x, %u, %u, #0x%x", step->code, step->jt, step->jf, step->k);
		}
		fprintf(to, "\n");
	}
}
