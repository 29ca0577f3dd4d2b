/* Build-time: turns each role's table into a constant BPF program for x86-64 and arm64 (C source on
 * standard output), or into the page that documents it (--markdown). libseccomp is needed here only. */

#include "policy/syscalls.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	uint32_t token;
	const char *condition;
	uint32_t others[2]; /* calling conventions the same kernel may offer */
} architectures[] = {
	{SCMP_ARCH_X86_64, "__x86_64__", {SCMP_ARCH_X86, SCMP_ARCH_X32}},
	{SCMP_ARCH_AARCH64, "__aarch64__", {SCMP_ARCH_ARM}},
};

static const uint32_t actions[] = {
	[VERDICT_KILL] = SCMP_ACT_KILL_PROCESS,
	[VERDICT_ALLOW] = SCMP_ACT_ALLOW,
	[VERDICT_EACCES] = SCMP_ACT_ERRNO(13),
	[VERDICT_EPERM] = SCMP_ACT_ERRNO(1),
};

static _Noreturn void
fail(const char *what, const char *name)
{
	fprintf(stderr, "generate_filters: %s: %s\n", what, name);
	exit(1);
}

static bool
is_unconditional(const struct syscall_rule *rule)
{
	return rule->argument[0].mask == 0;
}

/* True when some table of the role allows the call whatever its arguments: narrower rules of the tables
 * it includes then mean nothing. */
static bool
is_allowed_outright(const struct role_policy *policy, const char *name)
{
	for (size_t t = 0; t < ROLE_MAX_TABLES && policy->tables[t]; t++) {
		const struct syscall_table *table = policy->tables[t];

		for (size_t i = 0; i < table->count; i++)
			if (table->rules[i].verdict == VERDICT_ALLOW && is_unconditional(&table->rules[i]) &&
			    strcmp(table->rules[i].name, name) == 0)
				return true;
	}
	return false;
}

static void
add_rule(scmp_filter_ctx context, const struct syscall_rule *rule, bool outright)
{
	int number = seccomp_syscall_resolve_name(rule->name);
	struct scmp_arg_cmp compare[RULE_MAX_ARGUMENTS];
	unsigned count = 0;

	if (number == __NR_SCMP_ERROR)
		fail("libseccomp does not know the system call", rule->name);
	for (size_t i = 0; !outright && i < RULE_MAX_ARGUMENTS && rule->argument[i].mask; i++)
		compare[count++] = SCMP_CMP64(rule->argument[i].index, SCMP_CMP_MASKED_EQ,
					      rule->argument[i].mask, rule->argument[i].value);
	int result = seccomp_rule_add_array(context, actions[rule->verdict], number, count, compare);
	/* -EDOM: the architecture has no such call (poll on arm64) */
	if (result < 0 && result != -EDOM && result != -EEXIST)
		fail(strerror(-result), rule->name);
}

/* An allow-list knows one calling convention and kills what comes by another. A deny-list that did not know
 * the others would be one system call instruction away from useless, and one that killed them would be the
 * end of every 32-bit target. */
static scmp_filter_ctx
new_context(const struct role_policy *policy, size_t a)
{
	scmp_filter_ctx context = seccomp_init(actions[policy->otherwise]);
	uint32_t token = architectures[a].token;

	if (!context)
		fail("out of memory", policy->name);
	if (token != seccomp_arch_native() &&
	    (seccomp_arch_add(context, token) < 0 || seccomp_arch_remove(context, SCMP_ARCH_NATIVE) < 0))
		fail("architecture", policy->name);
	for (size_t i = 0; role_is_deny_list(policy) && i < 2 && architectures[a].others[i]; i++)
		if (seccomp_arch_add(context, architectures[a].others[i]) < 0)
			fail("another architecture", policy->name);
	return context;
}

/* What a table within this one refuses means nothing where the call is allowed whatever its arguments. */
static void
add_table(scmp_filter_ctx context, const struct role_policy *policy, const struct syscall_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct syscall_rule *rule = &table->rules[i];
		bool outright = is_allowed_outright(policy, rule->name);

		if (rule->verdict != policy->otherwise && (rule->verdict == VERDICT_ALLOW || !outright))
			add_rule(context, rule, outright);
	}
}

static scmp_filter_ctx
build(const struct role_policy *policy, size_t a)
{
	scmp_filter_ctx context = new_context(policy, a);

	seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree: calls cost the same (the kernel caches constant verdicts), but to fill that cache it
	 * runs the filter once for every system call there is, while the target waits to be started. */
	seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t t = 0; t < ROLE_MAX_TABLES && policy->tables[t]; t++)
		add_table(context, policy, policy->tables[t]);
	return context;
}

static void
print_program(const char *role, scmp_filter_ctx context)
{
	FILE *file = tmpfile();
	struct sock_filter instruction;

	if (!file || seccomp_export_bpf(context, fileno(file)) < 0)
		fail("cannot export", role);
	rewind(file);
	printf("static const struct sock_filter %s_code[] = {\n", role);
	while (fread(&instruction, sizeof(instruction), 1, file) == 1)
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", instruction.code, instruction.jt, instruction.jf,
		       instruction.k);
	printf("};\n");
	fclose(file);
}

static void
print_source(void)
{
	printf("/* Generated from policy/syscalls.c. */\n#include \"policy/filter.h\"\n");
	for (size_t a = 0; a < sizeof(architectures) / sizeof(architectures[0]); a++) {
		printf("#%s defined(%s)\n", a == 0 ? "if" : "elif", architectures[a].condition);
		for (int r = 0; r < ROLE_COUNT; r++) {
			scmp_filter_ctx context = build(role_policy(r), a);

			print_program(role_policy(r)->name, context);
			seccomp_release(context);
		}
	}
	printf("#else\n#error \"no system call tables for this architecture\"\n#endif\n"
	       "const struct filter_program filter_programs[ROLE_COUNT] = {\n");
	for (int r = 0; r < ROLE_COUNT; r++)
		printf("\t{%s_code, sizeof(%s_code) / sizeof(%s_code[0])},\n", role_policy(r)->name,
		       role_policy(r)->name, role_policy(r)->name);
	printf("};\n");
}

static void
print_condition(const struct syscall_rule *rule)
{
	for (size_t i = 0; i < RULE_MAX_ARGUMENTS && rule->argument[i].mask; i++)
		printf("%s(arg%u & 0x%llx) == 0x%llx", i ? " and " : "", rule->argument[i].index,
		       (unsigned long long)rule->argument[i].mask,
		       (unsigned long long)rule->argument[i].value);
}

static void
print_markdown(void)
{
	printf("# System calls of each process\n\n"
	       "Generated from `policy/syscalls.c`; a test compares this page, the table and the filter. Any "
	       "call that\n"
	       "is not listed kills the process. Filters stack: a role is also bound by the supervisor's and "
	       "the\n"
	       "opener's, which is why those contain the lists of the roles they start. The target's list is "
	       "the other\n"
	       "way round: what is not listed is allowed.\n");
	for (int r = 0; r < ROLE_COUNT; r++) {
		const struct role_policy *policy = role_policy(r);

		printf("\n## %s\n\n%s.\n", policy->name, policy->purpose);
		if (role_is_deny_list(policy))
			printf("**A deny-list**: everything else is allowed. It holds for every calling "
			       "convention of the machine\n"
			       "(64-bit, 32-bit, x32), so that none is a way around it.\n");
		for (size_t t = 0; t < ROLE_MAX_TABLES && policy->tables[t]; t++) {
			printf("\n%s:\n\n| call | when | why |\n| --- | --- | --- |\n",
			       policy->tables[t]->title);
			for (size_t i = 0; i < policy->tables[t]->count; i++) {
				const struct syscall_rule *rule = &policy->tables[t]->rules[i];

				printf("| %s%s | ", rule->name,
				       rule->verdict == VERDICT_EACCES ? " (refused)" : "");
				print_condition(rule);
				printf(" | %s |\n", rule->reason);
			}
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--markdown") == 0)
		print_markdown();
	else
		print_source();
	return fflush(stdout) == 0 ? 0 : 1;
}
