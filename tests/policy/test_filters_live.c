/* The kernel agrees: under each role's filter, as it is installed, a forbidden call dies of SIGSYS (or, of a
 * target, is refused) and an allowed one does its work. Each in a child that makes only raw system calls
 * after the filter (a sanitizer's own would be killed too). */

#include "policy/filter.h"

#include "ipc/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DIES (-1000)
#define NO_FD 999 /* a number nothing is open at */
#define POINTER(text) (long)(intptr_t)(text)

struct call {
	enum role role;
	long number, arguments[6];
	int result; /* 0: success, -errno, or DIES */
};

static const struct call calls[] = {
	{ROLE_UNWINDER, SYS_openat, {AT_FDCWD, POINTER("/"), O_RDONLY}, DIES},
	{ROLE_UNWINDER, SYS_socket, {AF_INET, SOCK_STREAM, 0}, DIES},
	{ROLE_UNWINDER, SYS_execve, {POINTER("/bin/true")}, DIES},
	{ROLE_UNWINDER, SYS_landlock_restrict_self, {NO_FD, 0}, DIES},
	{ROLE_UNWINDER, SYS_keyctl, {KEYCTL_JOIN_SESSION_KEYRING, 0}, DIES},
	{ROLE_UNWINDER, SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, DIES},
	{ROLE_UNWINDER, SYS_ioctl, {0, PERF_EVENT_IOC_PERIOD, 0}, DIES},
	{ROLE_UNWINDER, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, 0},
	{ROLE_UNWINDER, SYS_memfd_create, {POINTER("profile"), MFD_CLOEXEC}, 0},
	{ROLE_UNWINDER, SYS_ioctl, {NO_FD, PERF_EVENT_IOC_ID, 0}, -EBADF},

	{ROLE_SYMBOLIZER, SYS_openat, {AT_FDCWD, POINTER("/"), O_RDONLY}, DIES},
	{ROLE_SYMBOLIZER, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, DIES},
	{ROLE_SYMBOLIZER, SYS_clone, {SIGCHLD}, DIES},
	{ROLE_SYMBOLIZER, SYS_kill, {0, 0}, DIES},
	{ROLE_SYMBOLIZER, SYS_ioctl, {0, PERF_EVENT_IOC_DISABLE, 0}, DIES},
	{ROLE_SYMBOLIZER, SYS_pread64, {NO_FD, 0, 0, 0}, -EBADF},
	{ROLE_SYMBOLIZER, SYS_fcntl, {FD_OUTPUT, F_GETFD}, 0},

	{ROLE_EXPORTER, SYS_openat, {AT_FDCWD, POINTER("x"), O_RDONLY}, DIES},
	{ROLE_EXPORTER, SYS_openat, {FD_CONTROL, POINTER("x"), O_RDONLY}, DIES},
	{ROLE_EXPORTER, SYS_socket, {AF_INET, SOCK_STREAM, 0}, DIES},
	{ROLE_EXPORTER, SYS_unlinkat, {AT_FDCWD, POINTER("x"), 0}, DIES},
	{ROLE_EXPORTER, SYS_openat, {FD_OUTPUT, POINTER("."), O_RDONLY | O_DIRECTORY}, DIES},
	{ROLE_EXPORTER, SYS_openat, {FD_OUTPUT, POINTER("x"), O_WRONLY | O_CREAT, 0600}, DIES},
	{ROLE_EXPORTER, SYS_openat, {FD_OUTPUT, POINTER("."), O_WRONLY | O_CREAT | O_EXCL, 0600}, -EEXIST},
	{ROLE_EXPORTER, SYS_fcntl, {FD_OUTPUT, F_GET_SEALS}, -EINVAL}, /* not a memfd */
	{ROLE_EXPORTER, SYS_unlinkat, {FD_OUTPUT, POINTER("ddprof-no-such-file"), 0}, -ENOENT},

	{ROLE_UPLOADER, SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_TCP}, 0},
	{ROLE_UPLOADER, SYS_socket, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0}, 0},
	{ROLE_UPLOADER, SYS_socket, {AF_PACKET, SOCK_RAW, 0}, DIES},
	{ROLE_UPLOADER, SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_TCP}, DIES},
	{ROLE_UPLOADER, SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}, DIES},
	{ROLE_UPLOADER, SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, -EACCES},
	{ROLE_UPLOADER, SYS_bind, {NO_FD, 0, 0}, DIES},
	{ROLE_UPLOADER, SYS_listen, {NO_FD, 1}, DIES},
	{ROLE_UPLOADER, SYS_execve, {POINTER("/bin/true")}, DIES},
	{ROLE_UPLOADER, SYS_clone, {SIGCHLD}, DIES},
	{ROLE_UPLOADER,
	 SYS_mmap,
	 {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0},
	 -EACCES},
	{ROLE_UPLOADER, SYS_openat, {AT_FDCWD, POINTER("/etc/hosts"), O_RDONLY | O_CLOEXEC}, 0},
	{ROLE_UPLOADER, SYS_openat, {AT_FDCWD, POINTER("/dev/null"), O_WRONLY}, DIES},
	{ROLE_UPLOADER, SYS_openat, {FD_OUTPUT, POINTER("."), O_WRONLY | O_CREAT | O_EXCL, 0600}, -EEXIST},

	{ROLE_SUPERVISOR, SYS_perf_event_open, {0, 0, -1, -1, PERF_FLAG_FD_CLOEXEC}, DIES},
	{ROLE_SUPERVISOR, SYS_ptrace, {0}, DIES},
	{ROLE_SUPERVISOR, SYS_socket, {AF_PACKET, SOCK_RAW, 0}, DIES},
	{ROLE_SUPERVISOR, SYS_setuid, {0}, DIES},
	{ROLE_SUPERVISOR, SYS_openat, {AT_FDCWD, POINTER("/"), O_RDONLY}, 0},
	{ROLE_SUPERVISOR, SYS_openat, {AT_FDCWD, POINTER("/dev/null"), O_WRONLY}, DIES},
	{ROLE_SUPERVISOR, SYS_openat, {AT_FDCWD, POINTER("/dev/null"), O_RDONLY | O_TRUNC}, DIES},
	{ROLE_SUPERVISOR, SYS_openat, {AT_FDCWD, POINTER("/tmp"), O_RDWR | O_TMPFILE, 0600}, DIES},
	{ROLE_SUPERVISOR, SYS_openat2, {AT_FDCWD, POINTER("/"), 0, 0}, DIES},
	{ROLE_SUPERVISOR, SYS_keyctl, {KEYCTL_JOIN_SESSION_KEYRING, 0}, DIES},
	{ROLE_SUPERVISOR, SYS_faccessat, {AT_FDCWD, POINTER("/"), R_OK}, 0},
	{ROLE_SUPERVISOR, SYS_kill, {0, 0}, 0},

	{ROLE_OPENER, SYS_ptrace, {0}, DIES},
	{ROLE_OPENER, SYS_bpf, {0}, DIES},
	{ROLE_OPENER, SYS_perf_event_open, {0, 0, -1, 0, PERF_FLAG_FD_CLOEXEC}, DIES}, /* a group leader */
	{ROLE_OPENER, SYS_perf_event_open, {0, 0, -1, -1, 0}, DIES},
	{ROLE_OPENER, SYS_perf_event_open, {0, 0, -1, -1, PERF_FLAG_FD_CLOEXEC}, -EFAULT},
	{ROLE_OPENER, SYS_keyctl, {KEYCTL_READ, 0}, DIES},
	{ROLE_OPENER, SYS_getppid, {0}, 0},

	/* Were the filter missing: EFAULT, EINVAL or ESRCH, whoever runs this. */
	{ROLE_TARGET, SYS_perf_event_open, {0, 0, -1, -1, PERF_FLAG_FD_CLOEXEC}, -EPERM},
	{ROLE_TARGET, SYS_process_vm_writev, {0, 0, 0, 0, 0, 1}, -EPERM},
	{ROLE_TARGET, SYS_userfaultfd, {-1}, -EPERM},
	{ROLE_TARGET, SYS_bpf, {-1, 0, ~0l}, -EPERM},
	{ROLE_TARGET, SYS_process_vm_readv, {0, 0, 0, 0, 0, 1}, -EINVAL},
	{ROLE_TARGET, SYS_openat, {AT_FDCWD, POINTER("/"), O_RDONLY}, 0},
	{ROLE_TARGET, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}, 0},
};

/* Not _Noreturn: AddressSanitizer calls sigaltstack(2) before such a function. */
static void
leave(int status)
{
	syscall(SYS_exit_group, status);
}

static void
run(const struct call *call)
{
	struct rlimit no_core = {0};
	int folder = open("/tmp", O_RDONLY | O_DIRECTORY);

	if (folder < 0 || dup2(folder, FD_OUTPUT) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_install(call->role) < 0)
		leave(99);

	long result = syscall(call->number, call->arguments[0], call->arguments[1], call->arguments[2],
			      call->arguments[3], call->arguments[4], call->arguments[5]);
	leave((result < 0 ? -errno : 0) == call->result ? 0 : 98);
}

static void
test_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			run(&calls[i]);
		assert_int_equal(waitpid(child, &status, 0), child);
		bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
		if (calls[i].result == DIES ? !died : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: row %zu (system call %ld) ended with wait status %#x",
				 role_policy(calls[i].role)->name, i, calls[i].number, (unsigned)status);
	}
}

#ifdef __x86_64__
#define I386_GETPID 20
#define I386_PERF_EVENT_OPEN 336

/* A 32-bit call of a 64-bit process. */
static long
call_32(long number)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(0L), "c"(0L), "d"(-1L), "S"(-1L), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static void
call_by_the_other_doors(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		leave(1);
	if (call_32(I386_GETPID) != getpid())
		leave(2); /* this kernel has no 32-bit calls */
	if (call_32(I386_PERF_EVENT_OPEN) != -EFAULT)
		leave(3);
	if (filter_install(ROLE_TARGET) < 0)
		leave(4);
	if (call_32(I386_PERF_EVENT_OPEN) != -EPERM)
		leave(5);
	if (call_32(I386_GETPID) != getpid())
		leave(6); /* 32-bit targets run on */
	long x32 = syscall(__X32_SYSCALL_BIT + SYS_perf_event_open, 0, 0, -1, -1, 0);
	leave(x32 < 0 && errno == EPERM ? 0 : 7);
}

static void
test_target_by_the_other_doors(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		call_by_the_other_doors();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

/* Once on, the filter is there to stay, and so it is for what the process starts. */
static void
test_filter_is_inherited(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || filter_install(ROLE_SUPERVISOR) < 0 ||
		    filter_install(ROLE_UNWINDER) < 0) /* stacked, as a role has it */
			leave(1);
		leave(syscall(SYS_wait4, -1, 0, 0, 0) < 0 ? 2 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* Without no_new_privs only the privileged may: the reason must come back. */
static void
test_refused_without_no_new_privs(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			leave(1);
		leave(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || filter_install(ROLE_UNWINDER) == -EACCES
			      ? 0
			      : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
#ifdef __x86_64__
		cmocka_unit_test(test_target_by_the_other_doors),
#endif
		cmocka_unit_test(test_filter_is_inherited),
		cmocka_unit_test(test_refused_without_no_new_privs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
