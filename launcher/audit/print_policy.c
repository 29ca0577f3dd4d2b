/* What the product may do, printed from the very arrays that it installs and checks against. */

#include "launcher/audit/audit.h"
#include "launcher/audit/bpf_text.h"
#include "launcher/audit/event_text.h"
#include "launcher/audit/policy_text.h"
#include "launcher/quote.h"

#include "policy/filter.h"
#include "policy/levels.h"
#include "policy/limits.h"
#include "policy/syscalls.h"

#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define X32_BIT 0x40000000u /* of the numbers of the x32 ABI (linux arch/x86/include/uapi/asm/unistd.h) */

static const char *const verdict_names[] = {
	[VERDICT_KILL] = "kill",
	[VERDICT_ALLOW] = "allow",
	[VERDICT_EACCES] = "EACCES",
	[VERDICT_EPERM] = "EPERM",
};

static const struct {
	const char *name;
	unsigned long long value;
	const char *unit, *reason;
} limits[] = {
	{"frequency", FREQUENCY_MAX_HZ, "Hz", "5 % of a core in kernel time with a 32 KB stack"},
	{"unless the policy says more", FREQUENCY_POLICY_HZ, "Hz", "1 % of a core"},
	{"default frequency", FREQUENCY_DEFAULT_HZ, "Hz", "not 100: never in lockstep with a timer"},
	{"least stack", STACK_MIN_BYTES, "bytes", "a few frames"},
	{"most stack", STACK_MAX_BYTES, "bytes", "what perf_event_attr.sample_stack_user can express"},
	{"default stack", STACK_DEFAULT_BYTES, "bytes", "holds 99 % of stacks; sampling begins with it"},
	{"least sample ring", SAMPLE_RING_MIN_BYTES, "bytes", "below, a burst of one CPU loses samples"},
	{"most sample ring", SAMPLE_RING_MAX_BYTES, "bytes", "stays in the L2 cache"},
	{"all sample rings", SAMPLE_RINGS_MAX_BYTES, "bytes", "mapping them delays the target"},
	{"sideband ring", SIDEBAND_RING_BYTES, "bytes", "about 500 mmap records"},
};

static void
print_limits(void)
{
	printf("limits (in the code; the policy file can only lower them)\n");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		printf("  %-26s %8llu %-5s  %s\n", limits[i].name, limits[i].value, limits[i].unit,
		       limits[i].reason);
}

static void
print_levels(void)
{
	printf("levels of a sample event (one is enabled at a time; those beyond max_stack are not "
	       "opened)\n");
	for (int i = 0; i < LEVEL_COUNT; i++) {
		const struct level_policy *level = level_policy((enum sampling_level)i);

		printf("  %-26s %8u bytes  %s%s\n", level->name, level->stack_bytes,
		       i == LEVEL_CHAIN ? "and the kernel's walk: " : "", level->reason);
	}
}

static void
print_roles(FILE *to)
{
	fprintf(to, "roles (ddprof-launch --print-policy ROLE: system calls and filter)\n");
	for (int r = 0; r < ROLE_COUNT; r++)
		fprintf(to, "  %-12s %4u instructions  %s\n", role_policy(r)->name, filter_programs[r].length,
			role_policy(r)->purpose);
}

static int
print_common(void)
{
	int result = policy_text_print(stdout);

	for (int id = 0; id < EVENT_COUNT; id++) {
		printf("\n");
		event_text_print(event_policy(id), stdout);
	}
	printf("\n");
	print_levels();
	printf("\n");
	print_limits();
	printf("\n");
	print_roles(stdout);
	return result < 0 ? 1 : 0;
}

static char *
call_name(uint32_t architecture, unsigned number)
{
	bool is_x32 = architecture == SCMP_ARCH_X86_64 && number & X32_BIT;

	return seccomp_syscall_resolve_num_arch(is_x32 ? SCMP_ARCH_X32 : architecture, (int)number);
}

static void
print_condition(const struct syscall_rule *rule)
{
	const char *before = "  when ";

	for (size_t i = 0; i < sizeof(rule->argument) / sizeof(rule->argument[0]); i++) {
		const struct argument_rule *argument = &rule->argument[i];

		if (!argument->mask)
			continue;
		printf("%s(argument %u & 0x%llx) == 0x%llx", before, argument->index,
		       (unsigned long long)argument->mask, (unsigned long long)argument->value);
		before = " and ";
	}
}

static void
print_table(const struct syscall_table *table)
{
	printf("\n%s\n", table->title);
	for (size_t i = 0; i < table->count; i++) {
		const struct syscall_rule *rule = &table->rules[i];

		printf("  %-7s %-20s %s", verdict_names[rule->verdict], rule->name, rule->reason);
		print_condition(rule);
		printf("\n");
	}
}

static int
print_role(enum role role)
{
	const struct role_policy *policy = role_policy(role);
	const struct filter_program *program = &filter_programs[role];

	printf("role %s: %s\n", policy->name, policy->purpose);
	for (size_t t = 0; t < ROLE_MAX_TABLES && policy->tables[t]; t++)
		print_table(policy->tables[t]);
	printf("\nany other call: %s\n", policy->otherwise == VERDICT_KILL ? "kills the process" : "allowed");
	printf("\nfilter (%u instructions; jumps name the next instruction if true, if false)\n",
	       program->length);
	bpf_text_print(program->code, program->length, call_name, stdout);
	return 0;
}

int
print_policy_main(const char *role)
{
	if (!role)
		return print_common();
	for (int r = 0; r < ROLE_COUNT; r++)
		if (strcmp(role_policy(r)->name, role) == 0)
			return print_role(r);
	fprintf(stderr, "ddprof-launch: --print-policy: '%s' is no role; there are",
		quoted(role, strlen(role)).text);
	for (int r = 0; r < ROLE_COUNT; r++)
		fprintf(stderr, "%s %s", r ? "," : "", role_policy(r)->name);
	fprintf(stderr, "\n");
	return 1;
}
