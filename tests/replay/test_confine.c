/* What ddprof-replay may still do after it confined itself, each in a child: there is no way back. */

#include "worker/replay/confine.h"

#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_folder folder;

static int
start(void **state)
{
	(void)state;
	test_folder_make(&folder);
	test_folder_put(&folder, "output/old", "old");
	test_folder_put(&folder, "elsewhere/file", "text");
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return 0;
}

static int
result_of(long result)
{
	return result < 0 ? errno : 0;
}

static int
read_anything(void)
{
	return result_of(openat(folder.fd, "elsewhere/file", O_RDONLY));
}
static int
write_output(void)
{
	if (openat(folder.fd, "output/.new", O_WRONLY | O_CREAT | O_EXCL, 0600) < 0)
		return errno;
	return result_of(renameat(folder.fd, "output/.new", folder.fd, "output/new"));
}
static int
make_memory(void)
{
	return result_of(memfd_create("x", MFD_CLOEXEC));
}
static int
write_elsewhere(void)
{
	return result_of(openat(folder.fd, "elsewhere/new", O_WRONLY | O_CREAT, 0600));
}
static int
overwrite(void)
{
	return result_of(openat(folder.fd, "elsewhere/file", O_WRONLY | O_TRUNC));
}
static int
make_socket(void)
{
	return result_of(socket(AF_INET, SOCK_DGRAM, 0));
}
static int
execute(void)
{
	char program[] = "true", *const arguments[] = {program, NULL};

	return result_of(execv("/bin/true", arguments));
}
static int
make_process(void)
{
	return result_of(fork());
}
static int
signal_parent(void)
{
	return result_of(kill(getppid(), 0));
}
static int
trace_parent(void)
{
	return result_of(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}
static int
rename_elsewhere(void)
{
	return result_of(renameat(folder.fd, "elsewhere/file", folder.fd, "elsewhere/moved"));
}

static int
in_confined_child(int (*attempt)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int output = openat(folder.fd, "output", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* not _exit(): AddressSanitizer calls sigaltstack(2) before a _Noreturn function */
		syscall(SYS_exit_group, replay_confine(output) < 0 ? 255 : attempt());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_allowed(void **state)
{
	(void)state;
	assert_int_equal(in_confined_child(read_anything), 0);
	assert_int_equal(in_confined_child(write_output), 0);
	assert_int_equal(in_confined_child(make_memory), 0);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_int_equal(in_confined_child(make_socket), EPERM);
	assert_int_equal(in_confined_child(execute), EPERM);
	assert_int_equal(in_confined_child(make_process), EPERM);
	assert_int_equal(in_confined_child(signal_parent), EPERM);
	assert_int_equal(in_confined_child(trace_parent), EPERM);
}

static void
test_files_elsewhere(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) < 0) {
		if (getenv("DDPROF_MUST_WORK"))
			fail_msg("DDPROF_MUST_WORK, but there is no Landlock");
		skip();
	}
	assert_int_equal(in_confined_child(write_elsewhere), EACCES);
	assert_int_equal(in_confined_child(overwrite), EACCES);
	assert_int_equal(in_confined_child(rename_elsewhere), EACCES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files_elsewhere),
	};

	return cmocka_run_group_tests(tests, start, finish);
}
