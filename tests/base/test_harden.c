/* What harden_process() and its like say in argv[2] is what the kernel does. In children: there is no way
 * back. */

#include "worker/base/harden.h"

#include "ipc/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char report[SANDBOX_REPORT_BYTES + 1];

static void
expect_in_child(int (*run)(void))
{
	int status;

	memset(report, ' ', SANDBOX_REPORT_BYTES);
	pid_t child = fork();
	/* Not _exit(): AddressSanitizer calls sigaltstack(2) before a _Noreturn function. */
	if (child == 0)
		syscall(SYS_exit_group, run());
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("wait status %#x", (unsigned)status);
}

static bool
says(const char *what)
{
	return strlen(report) == SANDBOX_REPORT_BYTES && strstr(report, what);
}

static int
look_after_hardening(void)
{
	struct rlimit core;

	if (harden_process(report) != 0)
		return 1;
	if (!says("landlock=none ") || !says(" keyring=caller ") ||
	    !(says(" mdwe=on ") || says(" mdwe=none ")))
		return 2;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
	    getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 3;
	if (!harden_was_dumpable()) /* as a test program is */
		return 4;
	/* tried: memory that was writable, and a mapping that is both */
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool refused =
		mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == EACCES &&
		mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
	if (refused != says(" mdwe=on "))
		return 5;
	return harden_process(report); /* as a role does again, after its supervisor */
}

static void
test_hardened(void **state)
{
	(void)state;
	expect_in_child(look_after_hardening);
}

/* Somebody's filter answers one call with an error, as an older kernel or a container does. */
static int
refuse_call(long number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
		       ? -1
		       : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static long
session_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

static int
leave_keyring(void)
{
	long before = session_keyring();

	if (harden_process(report) != 0)
		return 1;
	harden_leave_keyring();
	if (before < 0) /* no keys here at all */
		return says(" keyring=caller ") ? 0 : 2;
	if (!says(" keyring=own ") || session_keyring() == before)
		return 3;
	/* a role is started with this text and has the same keyring */
	if (harden_report() != report || harden_process(report) != 0 || !says(" keyring=own "))
		return 4;
	return 0;
}

static int
keep_keyring(void)
{
	if (refuse_call(SYS_keyctl, EDQUOT) < 0 || harden_process(report) != 0)
		return 1;
	harden_leave_keyring();
	return says(" keyring=caller ") ? 0 : 2;
}

static void
test_keyring(void **state)
{
	(void)state;
	expect_in_child(leave_keyring);
	expect_in_child(keep_keyring);
}

static int
confine_as(enum role role, const struct landlock_exceptions *exceptions)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
	char wanted[32];

	if (harden_process(report) != 0 || harden_confine(role, exceptions) != 0)
		return 1;
	snprintf(wanted, sizeof(wanted), "landlock=%d ",
		 abi > LANDLOCK_NEWEST_ABI ? LANDLOCK_NEWEST_ABI : abi);
	return says(role == ROLE_SUPERVISOR || abi < 1 ? "landlock=none " : wanted) ? 0 : 2;
}

static int
confine_unwinder(void)
{
	return confine_as(ROLE_UNWINDER, NULL);
}

static int
confine_symbolizer(void)
{
	return confine_as(ROLE_SYMBOLIZER, NULL);
}

static int
confine_exporter(void)
{
	const int folder = open("/tmp", O_RDONLY | O_DIRECTORY);

	return confine_as(ROLE_EXPORTER,
			  &(struct landlock_exceptions){.folders = &folder, .folder_count = 1});
}

static int
confine_uploader(void)
{
	static const uint16_t port = 443;
	static const char *const files[] = {"/etc/hosts", "/no/such/file", NULL};
	const struct landlock_exceptions exceptions = {
		.files = files, .unix_sockets = files, .ports = &port, .port_count = 1, .has_dns = true};

	return confine_as(ROLE_UPLOADER, &exceptions);
}

static int
confine_supervisor(void)
{
	return confine_as(ROLE_SUPERVISOR, NULL);
}

static int
confine_without_landlock(int error)
{
	if (refuse_call(SYS_landlock_create_ruleset, error) < 0 || harden_process(report) != 0)
		return 1;
	int result = harden_confine(ROLE_UNWINDER, NULL);
	return result < 0 ? -result : says("landlock=none ") ? 0 : 1;
}

static int
confine_on_old_kernel(void)
{
	return confine_without_landlock(ENOSYS);
}

static int
confine_where_disabled(void)
{
	return confine_without_landlock(EOPNOTSUPP);
}

static int
confine_in_container(void)
{
	return confine_without_landlock(EPERM);
}

/* Anything else is no absence: the role must not run half confined. */
static int
confine_fails(void)
{
	return confine_without_landlock(ENOMEM) == ENOMEM ? 0 : 1;
}

static int
confine_fails_late(void)
{
	if (refuse_call(SYS_landlock_restrict_self, E2BIG) < 0 || harden_process(report) != 0)
		return 1;
	if ((int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) < 1)
		return 0;
	return harden_confine(ROLE_UNWINDER, NULL) == -E2BIG ? 0 : 2;
}

static void
test_confined(void **state)
{
	int (*const runs[])(void) = {confine_unwinder,       confine_symbolizer,   confine_exporter,
				     confine_uploader,       confine_supervisor,   confine_on_old_kernel,
				     confine_where_disabled, confine_in_container, confine_fails,
				     confine_fails_late};

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		expect_in_child(runs[i]);
}

static int
harden_with_short_report(void)
{
	char text[] = "too short";

	return harden_process(text) == -EINVAL && strcmp(text, "too short") == 0 ? 0 : 1;
}

/* Started by hand, or by something that is not ours. */
static void
test_report_of_another_length(void **state)
{
	(void)state;
	expect_in_child(harden_with_short_report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hardened),
		cmocka_unit_test(test_keyring),
		cmocka_unit_test(test_confined),
		cmocka_unit_test(test_report_of_another_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
