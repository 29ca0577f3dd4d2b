/* The compiled filters say what policy/syscalls.c says, for each role and both architectures: they are run
 * instruction by instruction over calls made from the tables, over everything that is in no table, and over
 * what an attacker would try. */

#include "policy/syscalls.h"

#include "tests/policy/both_architectures.h"
#include "tests/support/bpf.h"
#include "tests/support/random.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#define HIGHEST_NUMBER 470 /* beyond the newest call of linux 6.18 */
#define X32_BIT 0x40000000
#define RANDOM_CALLS 200

static const struct architecture {
	const char *name;
	uint32_t audit, libseccomp;
	const struct filter_program *programs;
} architectures[] = {
	{"x86_64", AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, filter_programs_x86_64},
	{"aarch64", AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, filter_programs_aarch64},
};
#define ARCHITECTURES (sizeof(architectures) / sizeof(architectures[0]))

static const uint32_t verdicts[] = {
	[VERDICT_KILL] = SECCOMP_RET_KILL_PROCESS,
	[VERDICT_ALLOW] = SECCOMP_RET_ALLOW,
	[VERDICT_EACCES] = SECCOMP_RET_ERRNO | 13,
	[VERDICT_EPERM] = SECCOMP_RET_ERRNO | 1,
};

/* ---- what the tables say ---- */

static bool
is_met(const struct syscall_rule *rule, const uint64_t *arguments)
{
	for (size_t i = 0; i < RULE_MAX_ARGUMENTS && rule->argument[i].mask; i++)
		if ((arguments[rule->argument[i].index] & rule->argument[i].mask) != rule->argument[i].value)
			return false;
	return true;
}

/* The rules of a role for one call, over all its tables; NULL after the last. */
static const struct syscall_rule *
next_rule(const struct role_policy *policy, const char *name, size_t *position)
{
	size_t seen = 0;

	for (size_t t = 0; t < ROLE_MAX_TABLES && policy->tables[t]; t++)
		for (size_t i = 0; i < policy->tables[t]->count; i++)
			if ((!name || strcmp(policy->tables[t]->rules[i].name, name) == 0) &&
			    seen++ == *position) {
				++*position;
				return &policy->tables[t]->rules[i];
			}
	return NULL;
}

static uint32_t
expected(const struct role_policy *policy, const char *name, const uint64_t *arguments)
{
	const struct syscall_rule *rule;

	for (size_t i = 0; (rule = next_rule(policy, name, &i));)
		if (is_met(rule, arguments))
			return verdicts[rule->verdict];
	return verdicts[policy->otherwise];
}

/* ---- what the filter says ---- */

static uint32_t
verdict_for(const struct architecture *architecture, enum role role, uint32_t audit, int number,
	    const uint64_t *arguments)
{
	struct seccomp_data data = {.nr = number, .arch = audit, .instruction_pointer = 0x123456789abcdef0};

	if (arguments)
		memcpy(data.args, arguments, sizeof(data.args));
	return bpf_run(architecture->programs[role].code, architecture->programs[role].length, &data);
}

static int
number_of(const struct architecture *architecture, const char *name)
{
	return seccomp_syscall_resolve_name_arch(architecture->libseccomp, name);
}

static void
compare(const struct architecture *architecture, enum role role, const char *name, const uint64_t *arguments)
{
	int number = number_of(architecture, name);
	uint32_t verdict, wanted = expected(role_policy(role), name, arguments);

	if (number < 0)
		return; /* the architecture has no such call */
	verdict = verdict_for(architecture, role, architecture->audit, number, arguments);
	if (verdict != wanted)
		fail_msg("%s, %s: %s(%#llx, %#llx, %#llx, %#llx, %#llx): %#x, but the table says %#x",
			 architecture->name, role_policy(role)->name, name, (unsigned long long)arguments[0],
			 (unsigned long long)arguments[1], (unsigned long long)arguments[2],
			 (unsigned long long)arguments[3], (unsigned long long)arguments[4], verdict, wanted);
}

/* ---- tests ---- */

/* Random arguments, of which a rule's own are made to fit; then each one of them to miss by one bit. */
static void
try_rule(const struct architecture *architecture, enum role role, const struct syscall_rule *rule,
	 uint64_t *seed)
{
	uint64_t arguments[6];

	for (size_t i = 0; i < 6; i++)
		arguments[i] = random_next(seed);
	for (size_t i = 0; i < RULE_MAX_ARGUMENTS && rule->argument[i].mask; i++) {
		uint64_t *argument = &arguments[rule->argument[i].index];
		*argument = (*argument & ~rule->argument[i].mask) | rule->argument[i].value;
	}
	assert_true(is_met(rule, arguments));
	compare(architecture, role, rule->name, arguments);
	for (size_t i = 0; i < RULE_MAX_ARGUMENTS && rule->argument[i].mask; i++) {
		for (uint64_t bit = 1; bit; bit <<= 1) {
			arguments[rule->argument[i].index] ^= bit;
			compare(architecture, role, rule->name, arguments);
			arguments[rule->argument[i].index] ^= bit;
		}
	}
	for (size_t i = 0; i < 6; i++)
		arguments[i] = random_next(seed) >> random_below(seed, 64);
	compare(architecture, role, rule->name, arguments);
}

static void
test_every_rule(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++) {
		for (int role = 0; role < ROLE_COUNT; role++) {
			const struct syscall_rule *rule;

			for (size_t i = 0; (rule = next_rule(role_policy(role), NULL, &i));) {
				assert_true(rule->reason && strlen(rule->reason) > 3);
				for (int n = 0; n < RANDOM_CALLS; n++)
					try_rule(&architectures[a], role, rule, &seed);
			}
		}
	}
}

static bool
is_listed(const struct architecture *architecture, enum role role, int number)
{
	const struct syscall_rule *rule;

	for (size_t i = 0; (rule = next_rule(role_policy(role), NULL, &i));)
		if (number_of(architecture, rule->name) == number)
			return true;
	return false;
}

/* Of a process of ours, not of the target. */
static bool
is_ours(enum role role)
{
	return !role_is_deny_list(role_policy(role));
}

static void
test_what_is_not_listed_kills(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++) {
		for (int role = 0; role < ROLE_COUNT; role++) {
			unsigned killed = 0;

			if (!is_ours(role))
				continue;
			for (int number = 0; number <= HIGHEST_NUMBER; number++) {
				if (is_listed(&architectures[a], role, number))
					continue;
				assert_int_equal(verdict_for(&architectures[a], role, architectures[a].audit,
							     number, NULL),
						 SECCOMP_RET_KILL_PROCESS);
				killed++;
			}
			assert_true(killed > HIGHEST_NUMBER / 2);
		}
	}
}

/* On x86-64 a number with bit 30 is the same call by another calling convention; arm64 has no such thing, and
 * no such number. -1 is what a tracer puts there to skip a call. */
static void
test_strange_numbers_kill(void **state)
{
	static const int numbers[] = {-1,      INT32_MIN,     INT32_MAX,    1 << 20,
				      X32_BIT, X32_BIT + 512, X32_BIT + 547};

	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++) {
		for (int role = 0; role < ROLE_COUNT; role++) {
			if (!is_ours(role))
				continue;
			for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
				assert_int_equal(verdict_for(&architectures[a], role, architectures[a].audit,
							     numbers[i], NULL),
						 SECCOMP_RET_KILL_PROCESS);
			for (int number = 0; number <= HIGHEST_NUMBER; number++)
				assert_int_equal(verdict_for(&architectures[a], role, architectures[a].audit,
							     number | X32_BIT, NULL),
						 SECCOMP_RET_KILL_PROCESS);
		}
	}
}

/* int 0x80 on x86-64 arrives as i386, where the numbers mean other calls. */
static void
test_foreign_architectures_kill(void **state)
{
	static const uint32_t foreign[] = {AUDIT_ARCH_I386,
					   AUDIT_ARCH_ARM,
					   AUDIT_ARCH_X86_64,
					   AUDIT_ARCH_AARCH64,
					   AUDIT_ARCH_MIPS,
					   AUDIT_ARCH_RISCV64,
					   AUDIT_ARCH_AARCH64 & ~__AUDIT_ARCH_LE,
					   0,
					   UINT32_MAX};

	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++)
		for (int role = 0; role < ROLE_COUNT; role++)
			for (size_t f = 0; f < sizeof(foreign) / sizeof(foreign[0]); f++)
				for (int number = 0; number <= HIGHEST_NUMBER; number++)
					if (foreign[f] != architectures[a].audit && is_ours(role))
						assert_int_equal(verdict_for(&architectures[a], role,
									     foreign[f], number, NULL),
								 SECCOMP_RET_KILL_PROCESS);
}

/* ---- the target's deny-list ---- */

/* What --drop_caps refuses, written down a second time: not derived from the table. */
static const char *const refused[] = {
	"perf_event_open", "bpf",        "userfaultfd",     "init_module",       "finit_module",
	"delete_module",   "kexec_load", "kexec_file_load", "process_vm_writev",
};
#define REFUSED (sizeof(refused) / sizeof(refused[0]))

/* Every way a call can come to a kernel of the machine. */
static const struct {
	const char *name;
	size_t machine; /* of architectures[] */
	uint32_t audit, libseccomp;
	int first;
	size_t refused; /* so many of the list above exist there */
} conventions[] = {
	{"x86_64", 0, AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, 0, REFUSED},
	{"x32", 0, AUDIT_ARCH_X86_64, SCMP_ARCH_X32, X32_BIT, REFUSED},
	{"i386", 0, AUDIT_ARCH_I386, SCMP_ARCH_X86, 0, REFUSED - 1}, /* no kexec_file_load */
	{"aarch64", 1, AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, 0, REFUSED},
	{"arm", 1, AUDIT_ARCH_ARM, SCMP_ARCH_ARM, 0, REFUSED},
};
#define NUMBERS 600 /* x32 has calls of its own from 512 on */

static bool
is_refused(uint32_t libseccomp, int number)
{
	for (size_t i = 0; i < REFUSED; i++)
		if (seccomp_syscall_resolve_name_arch(libseccomp, refused[i]) == number)
			return true;
	return false;
}

static void
test_target_over_every_convention(void **state)
{
	uint64_t seed = 3, arguments[6];

	(void)state;
	for (size_t c = 0; c < sizeof(conventions) / sizeof(conventions[0]); c++) {
		size_t count = 0;

		for (int number = conventions[c].first; number < conventions[c].first + NUMBERS; number++) {
			bool expect_refusal = is_refused(conventions[c].libseccomp, number);

			for (size_t i = 0; i < 6; i++)
				arguments[i] = random_next(&seed);
			uint32_t verdict = verdict_for(&architectures[conventions[c].machine], ROLE_TARGET,
						       conventions[c].audit, number, arguments);
			if (verdict != verdicts[expect_refusal ? VERDICT_EPERM : VERDICT_ALLOW])
				fail_msg("%s: call %d: %#x", conventions[c].name, number, verdict);
			count += expect_refusal;
		}
		assert_int_equal(count, conventions[c].refused);
	}
}

static void
test_target_by_an_impossible_convention(void **state)
{
	static const uint32_t foreign[][2] = {{AUDIT_ARCH_ARM, AUDIT_ARCH_AARCH64},
					      {AUDIT_ARCH_I386, AUDIT_ARCH_X86_64}};

	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++)
		for (size_t f = 0; f < 2; f++)
			for (int number = 0; number <= HIGHEST_NUMBER; number++)
				assert_int_equal(verdict_for(&architectures[a], ROLE_TARGET, foreign[a][f],
							     number, NULL),
						 SECCOMP_RET_KILL_PROCESS);
}

/* The kernel remembers a call's verdict when it depends on nothing but the call's number. */
static void
test_target_verdicts_are_constant(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCHITECTURES; a++) {
		const struct filter_program *program = &architectures[a].programs[ROLE_TARGET];

		for (size_t i = 0; i < program->length; i++)
			if (BPF_CLASS(program->code[i].code) == BPF_LD)
				assert_true(program->code[i].k == offsetof(struct seccomp_data, nr) ||
					    program->code[i].k == offsetof(struct seccomp_data, arch));
	}
}

/* Filters stack: a role runs under the supervisor's and the opener's too. What they do not allow it would die
 * of, so each list must be within the one around it. */
static void
test_each_list_is_within_the_one_around_it(void **state)
{
	static const enum role chain[][2] = {
		{ROLE_UNWINDER, ROLE_SUPERVISOR}, {ROLE_SYMBOLIZER, ROLE_SUPERVISOR},
		{ROLE_EXPORTER, ROLE_SUPERVISOR}, {ROLE_UPLOADER, ROLE_SUPERVISOR},
		{ROLE_SUPERVISOR, ROLE_OPENER},
	};
	uint64_t seed = 2, arguments[6];

	(void)state;
	for (size_t c = 0; c < sizeof(chain) / sizeof(chain[0]); c++) {
		const struct syscall_rule *rule;

		for (size_t i = 0; (rule = next_rule(role_policy(chain[c][0]), NULL, &i));) {
			for (int n = 0; n < RANDOM_CALLS; n++) {
				for (size_t k = 0; k < 6; k++)
					arguments[k] = random_next(&seed) >> random_below(&seed, 64);
				for (size_t k = 0; k < RULE_MAX_ARGUMENTS && rule->argument[k].mask; k++)
					arguments[rule->argument[k].index] = rule->argument[k].value;
				for (size_t a = 0; a < ARCHITECTURES; a++) {
					int number = number_of(&architectures[a], rule->name);

					if (number < 0)
						continue;
					uint32_t verdict =
						verdict_for(&architectures[a], chain[c][1],
							    architectures[a].audit, number, arguments);
					/* the stricter of two verdicts counts: around what is refused, either
					 * will do */
					if (verdict != SECCOMP_RET_ALLOW &&
					    verdict != verdicts[rule->verdict])
						fail_msg("%s may %s, what starts it may not",
							 role_policy(chain[c][0])->name, rule->name);
				}
			}
		}
	}
}

#define BIT(role) (1u << (role))
#define OPENER BIT(ROLE_OPENER)
#define SUPERVISOR (OPENER | BIT(ROLE_SUPERVISOR))
#define UNWINDER BIT(ROLE_UNWINDER)
#define SYMBOLIZER BIT(ROLE_SYMBOLIZER)
#define UPLOADER BIT(ROLE_UPLOADER)
#define EXPORTER (UPLOADER | BIT(ROLE_EXPORTER))
#define EVERYONE (SUPERVISOR | UNWINDER | SYMBOLIZER | EXPORTER)
#define NOBODY 0u

/* The rights as a security review states them, written down a second time: not derived from the tables. */
static void
test_rights(void **state)
{
	static const struct {
		const char *name;
		uint64_t arguments[6];
		unsigned allowed; /* to these roles */
		unsigned refused; /* with EACCES, to these */
	} calls[] = {
		/* profile, trace, reach into or become something else */
		{"perf_event_open", {0, 0, 0, UINT32_MAX, PERF_FLAG_FD_CLOEXEC}, OPENER},
		{"perf_event_open", {0, 0, 0, 5, PERF_FLAG_FD_CLOEXEC}, NOBODY}, /* a group */
		{"perf_event_open", {0, 0, 0, UINT32_MAX, 0}, NOBODY},
		{"perf_event_open",
		 {0, 0, 0, UINT32_MAX, PERF_FLAG_FD_CLOEXEC | PERF_FLAG_PID_CGROUP},
		 NOBODY},
		{"ptrace", {0}, NOBODY},
		{"process_vm_readv", {0}, NOBODY},
		{"process_vm_writev", {0}, NOBODY},
		{"pidfd_open", {0}, NOBODY},
		{"pidfd_getfd", {0}, NOBODY},
		{"kcmp", {0}, NOBODY},
		{"bpf", {0}, NOBODY},
		{"userfaultfd", {0}, NOBODY},
		{"io_uring_setup", {0}, NOBODY},
		{"io_uring_enter", {0}, NOBODY},
		{"keyctl", {KEYCTL_JOIN_SESSION_KEYRING}, OPENER}, /* the supervisor, before its own filter */
		{"keyctl", {KEYCTL_GET_KEYRING_ID}, NOBODY},
		{"keyctl", {KEYCTL_READ}, NOBODY},
		{"keyctl", {KEYCTL_SESSION_TO_PARENT}, NOBODY},
		{"add_key", {0}, NOBODY},
		{"request_key", {0}, NOBODY},
		{"setuid", {0}, NOBODY},
		{"setresgid", {0}, OPENER},
		{"setregid", {0}, NOBODY},
		{"setresuid", {0}, OPENER},
		{"setgroups", {0}, OPENER},
		{"unshare", {0}, NOBODY},
		{"setns", {0}, NOBODY},
		{"mount", {0}, NOBODY},
		{"chroot", {0}, NOBODY},
		{"init_module", {0}, NOBODY},
		{"finit_module", {0}, NOBODY},
		{"kexec_load", {0}, NOBODY},
		{"personality", {0}, NOBODY},
		{"execveat", {0}, NOBODY},
		{"name_to_handle_at", {0}, NOBODY},
		{"open_by_handle_at", {0}, NOBODY},
		/* start and end processes */
		{"execve", {0}, SUPERVISOR},
		{"clone", {0}, SUPERVISOR},
		{"clone3", {0}, NOBODY},
		{"kill", {0}, SUPERVISOR},
		{"wait4", {0}, SUPERVISOR},
		{"prctl", {0}, SUPERVISOR},
		{"seccomp", {0}, SUPERVISOR},
		{"landlock_create_ruleset", {0}, SUPERVISOR},
		{"landlock_add_rule", {0}, SUPERVISOR},
		{"landlock_restrict_self", {0}, SUPERVISOR},
		{"prlimit64", {0}, SUPERVISOR},
		{"capset", {0}, SUPERVISOR},
		/* files: openat, and only where a role has one */
		{"openat",
		 {(uint32_t)AT_FDCWD},
		 SUPERVISOR | UPLOADER}, /* where Landlock lets it: resolv.conf */
		{"openat", {3}, SUPERVISOR},
		{"openat", {4}, SUPERVISOR},
		{"openat", {6}, SUPERVISOR},
		{"openat", {7}, SUPERVISOR},
		{"openat", {7, 0, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC}, SUPERVISOR},
		{"openat", {7, 0, O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC}, SUPERVISOR},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_WRONLY}, NOBODY},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_RDWR}, NOBODY},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_ACCMODE}, NOBODY}, /* 3: needs both, gives neither */
		{"openat", {(uint32_t)AT_FDCWD, 0, O_CREAT}, NOBODY},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_TRUNC}, NOBODY},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_TMPFILE}, NOBODY},
		{"openat", {(uint32_t)AT_FDCWD, 0, O_WRONLY | O_CREAT | O_EXCL}, NOBODY},
		{"openat",
		 {4, 0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW},
		 SUPERVISOR | EXPORTER},
		{"openat", {4, 0, O_WRONLY | O_CREAT}, NOBODY}, /* one that exists */
		{"openat", {4, 0, O_WRONLY | O_CREAT | O_EXCL | O_TRUNC}, NOBODY},
		{"openat", {4, 0, O_WRONLY}, NOBODY},
		{"openat", {4, 0, O_WRONLY | O_TMPFILE}, NOBODY},
		{"open", {0}, NOBODY},
		{"openat", {6, 0, O_WRONLY | O_CREAT | O_EXCL}, SUPERVISOR | EXPORTER},
		{"openat", {6, 0, O_WRONLY | O_CREAT}, NOBODY},
		{"openat", {6, 0, O_WRONLY}, NOBODY},
		/* the spool's files are read again, and nothing is emptied by opening it */
		{"openat", {5}, SUPERVISOR | EXPORTER},
		{"openat", {5, 0, O_DIRECTORY}, SUPERVISOR | EXPORTER},
		{"openat", {5, 0, O_RDWR}, NOBODY},
		{"openat", {5, 0, O_WRONLY | O_CREAT | O_EXCL}, SUPERVISOR | EXPORTER},
		{"openat", {5, 0, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC}, NOBODY},
		{"openat", {5, 0, O_WRONLY}, NOBODY},
		{"openat", {5, 0, O_RDWR | O_CREAT}, NOBODY},
		{"openat", {5, 0, O_RDWR | O_TRUNC}, NOBODY},
		{"openat", {5, 0, O_RDWR | O_TMPFILE}, NOBODY},
		{"openat2", {0}, NOBODY},
		{"creat", {0}, NOBODY},
		{"unlinkat", {4}, SUPERVISOR | EXPORTER},
		{"unlinkat", {5}, SUPERVISOR | EXPORTER},
		{"unlinkat", {6}, SUPERVISOR | EXPORTER},
		{"unlinkat", {3}, NOBODY},
		{"unlinkat", {7}, NOBODY},
		{"unlinkat", {(uint32_t)AT_FDCWD}, NOBODY},
		{"unlinkat", {4, 0, AT_REMOVEDIR}, NOBODY},
		{"renameat2", {4, 0, 4}, SUPERVISOR | EXPORTER},
		{"renameat2", {5, 0, 5}, SUPERVISOR | EXPORTER},
		{"renameat2", {6, 0, 6}, SUPERVISOR | EXPORTER},
		{"renameat2", {4, 0, 5}, NOBODY},
		{"renameat2", {5, 0, 6}, NOBODY},
		{"renameat2", {4, 0, (uint32_t)AT_FDCWD}, NOBODY},
		{"renameat2", {(uint32_t)AT_FDCWD}, NOBODY},
		{"linkat", {4}, NOBODY},
		{"symlinkat", {0}, NOBODY},
		{"fchmod", {0}, NOBODY},
		{"fchmodat", {4}, NOBODY},
		{"getdents64", {0}, SUPERVISOR | EXPORTER},
		{"flock", {0}, SUPERVISOR | EXPORTER},
		{"fsync", {0}, SUPERVISOR | EXPORTER},
		{"ftruncate", {0}, SUPERVISOR | UNWINDER},
		{"newfstatat", {0, 0, 0, AT_EMPTY_PATH}, EVERYONE},
		{"newfstatat", {0, 0, 0, 0}, SUPERVISOR},
		{"newfstatat", {(uint32_t)AT_FDCWD, 0, 0, 0}, SUPERVISOR | UPLOADER},
		{"memfd_create", {0}, EVERYONE},
		{"pread64", {0}, EVERYONE},
		{"fcntl", {0, F_ADD_SEALS}, EVERYONE},
		{"fcntl", {0, F_GET_SEALS}, EVERYONE},
		{"fcntl", {0, F_SETOWN}, SUPERVISOR},
		{"fcntl", {0, F_DUPFD}, SUPERVISOR},
		{"fcntl", {0, F_SETFL}, SUPERVISOR | UPLOADER},
		/* network */
		{"socket", {0}, NOBODY},
		{"socket", {AF_INET, SOCK_STREAM, IPPROTO_TCP}, SUPERVISOR | UPLOADER},
		{"socket", {AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0}, SUPERVISOR | UPLOADER},
		{"socket", {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}, SUPERVISOR | UPLOADER},
		{"socket", {AF_UNIX, SOCK_STREAM, 0}, SUPERVISOR | UPLOADER},
		{"socket", {AF_INET, SOCK_STREAM, IPPROTO_SCTP}, NOBODY},
		{"socket", {AF_INET, SOCK_STREAM, IPPROTO_MPTCP}, NOBODY},
		{"socket", {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, NOBODY},
		{"socket", {AF_INET, SOCK_RAW, IPPROTO_TCP}, NOBODY},
		{"socket", {AF_INET6, SOCK_RAW, 0}, NOBODY},
		{"socket", {AF_UNIX, SOCK_SEQPACKET, 0}, NOBODY},
		{"socket", {AF_NETLINK, SOCK_RAW, 0}, NOBODY, SUPERVISOR | UPLOADER}, /* getaddrinfo copes */
		{"socket", {AF_PACKET, SOCK_RAW, 0}, NOBODY},
		{"socket", {AF_VSOCK, SOCK_STREAM, 0}, NOBODY},
		{"socket", {AF_ALG, SOCK_SEQPACKET, 0}, NOBODY},
		{"connect", {0}, SUPERVISOR | UPLOADER},
		{"bind", {0}, NOBODY},
		{"listen", {0}, NOBODY},
		{"accept", {0}, NOBODY},
		{"accept4", {0}, NOBODY},
		{"setsockopt", {0, IPPROTO_TCP, TCP_NODELAY}, SUPERVISOR | UPLOADER},
		{"setsockopt", {0, IPPROTO_TCP, TCP_ULP}, NOBODY},
		{"setsockopt", {0, SOL_SOCKET, SO_ATTACH_FILTER}, NOBODY},
		{"getsockopt", {0, SOL_SOCKET, SO_ERROR}, SUPERVISOR | UPLOADER},
		{"getsockopt", {0, SOL_SOCKET, SO_PEERCRED}, NOBODY},
		{"socketpair", {0}, SUPERVISOR},
		{"sendto", {0}, SUPERVISOR | UPLOADER},
		{"recvfrom", {0}, SUPERVISOR | UPLOADER},
		{"sendmmsg", {0}, SUPERVISOR | UPLOADER},
		{"recvmmsg", {0}, NOBODY},
		{"writev", {0}, SUPERVISOR | UPLOADER},
		{"rt_sigaction", {SIGPIPE}, SUPERVISOR | UPLOADER},
		{"rt_sigaction", {SIGSEGV}, SUPERVISOR},
		{"sendmsg", {0}, EVERYONE},
		{"recvmsg", {0}, EVERYONE},
		/* code */
		{"mmap", {0, 0, PROT_READ | PROT_WRITE}, EVERYONE},
		{"mmap",
		 {0, 0, PROT_READ | PROT_EXEC},
		 SUPERVISOR,
		 UPLOADER}, /* the loaders of what it starts */
		{"mprotect", {0, 0, PROT_READ}, EVERYONE},
		{"mprotect", {0, 0, PROT_EXEC}, SUPERVISOR},
		{"pkey_mprotect", {0, 0, PROT_READ}, NOBODY},
		{"shmat", {0}, NOBODY},
		/* perf descriptors: nobody changes what they measure */
		{"ioctl", {0, PERF_EVENT_IOC_DISABLE}, SUPERVISOR | UNWINDER},
		{"ioctl", {0, PERF_EVENT_IOC_ENABLE}, SUPERVISOR | UNWINDER},
		{"ioctl", {0, PERF_EVENT_IOC_ID}, SUPERVISOR | UNWINDER},
		{"ioctl", {0, PERF_EVENT_IOC_PERIOD}, NOBODY},
		{"ioctl", {0, PERF_EVENT_IOC_SET_OUTPUT}, OPENER}, /* to a ring it opened itself */
		{"ioctl", {0, PERF_EVENT_IOC_SET_FILTER}, NOBODY},
		{"ioctl", {0, PERF_EVENT_IOC_SET_BPF}, NOBODY},
		{"ioctl", {0, PERF_EVENT_IOC_MODIFY_ATTRIBUTES}, NOBODY},
		{"ioctl", {0, 0x5412 /* TIOCSTI */}, NOBODY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (size_t a = 0; a < ARCHITECTURES; a++) {
			int number = number_of(&architectures[a], calls[i].name);

			assert_int_not_equal(number, __NR_SCMP_ERROR);
			for (int role = 0; number >= 0 && role < ROLE_COUNT; role++) {
				if (!is_ours(role))
					continue;
				uint32_t wanted = calls[i].allowed & BIT(role)   ? SECCOMP_RET_ALLOW
						  : calls[i].refused & BIT(role) ? SECCOMP_RET_ERRNO | 13
										 : SECCOMP_RET_KILL_PROCESS;
				if (verdict_for(&architectures[a], role, architectures[a].audit, number,
						calls[i].arguments) != wanted)
					fail_msg("%s, %s: %s (row %zu)", architectures[a].name,
						 role_policy(role)->name, calls[i].name, i);
			}
		}
	}
}

/* The interpreter itself: a program the kernel would refuse is not taken for a verdict. */
static void
test_interpreter(void **state)
{
	static const struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64)},
					no_return[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)},
					jumps_out[] = {BPF_STMT(BPF_JMP | BPF_JA, 5),
						       BPF_STMT(BPF_RET | BPF_K, 0)},
					odd[] = {BPF_STMT(BPF_LDX | BPF_IMM, 0),
						 BPF_STMT(BPF_RET | BPF_K, 0)},
					high_half[] = {
						BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							 offsetof(struct seccomp_data, args[1]) + 4),
						BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 6, 0, 1),
						BPF_STMT(BPF_RET | BPF_K, 1),
						BPF_STMT(BPF_RET | BPF_K, 2),
					};
	struct seccomp_data data = {.args[1] = 7ull << 32};

	(void)state;
	assert_int_equal(bpf_run(beyond, 1, &data), BPF_INVALID_PROGRAM);
	assert_int_equal(bpf_run(no_return, 1, &data), BPF_INVALID_PROGRAM);
	assert_int_equal(bpf_run(jumps_out, 2, &data), BPF_INVALID_PROGRAM);
	assert_int_equal(bpf_run(odd, 2, &data), BPF_INVALID_PROGRAM);
	assert_int_equal(bpf_run(high_half, 4, &data), 1);
	data.args[1] = 6ull << 32;
	assert_int_equal(bpf_run(high_half, 4, &data), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interpreter),
		cmocka_unit_test(test_every_rule),
		cmocka_unit_test(test_what_is_not_listed_kills),
		cmocka_unit_test(test_strange_numbers_kill),
		cmocka_unit_test(test_foreign_architectures_kill),
		cmocka_unit_test(test_target_over_every_convention),
		cmocka_unit_test(test_target_by_an_impossible_convention),
		cmocka_unit_test(test_target_verdicts_are_constant),
		cmocka_unit_test(test_each_list_is_within_the_one_around_it),
		cmocka_unit_test(test_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
