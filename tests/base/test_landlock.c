/* Each version of Landlock denies what it can and asks for nothing that it does not know; and on the kernel
 * this runs on, what is denied fails and what the exporter needs works. Each check in a child: there is no
 * way back. */

#include "worker/base/landlock.h"

#include "tests/support/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the table ---- */

/* As the kernel's documentation counts them, written down a second time. */
static void
test_rights_of_each_version(void **state)
{
	static const struct landlock_rights wanted[] = {
		{0, 0, 0},      {0x1fff, 0, 0},  {0x3fff, 0, 0},   {0x7fff, 0, 0},
		{0x7fff, 3, 0}, {0xffff, 3, 0},  {0xffff, 3, 3},   {0xffff, 3, 3},
		{0xffff, 3, 3}, {0x1ffff, 3, 3}, {0x1ffff, 15, 3},
	};

	(void)state;
	assert_int_equal(sizeof(wanted) / sizeof(wanted[0]), LANDLOCK_NEWEST_ABI + 1);
	for (int abi = -1; abi <= LANDLOCK_NEWEST_ABI + 1; abi++) {
		int known = abi < 0 ? 0 : abi > LANDLOCK_NEWEST_ABI ? LANDLOCK_NEWEST_ABI : abi;
		struct landlock_rights rights = landlock_rights_at(abi);

		assert_memory_equal(&rights, &wanted[known], sizeof(rights));
	}
}

/* Nothing beyond regular files in one folder; and never a right that the ruleset does not handle (EINVAL). */
static void
test_writer_rights(void **state)
{
	const uint64_t files = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 8;

	(void)state;
	assert_int_equal(landlock_writer_rights_at(0), 0);
	for (int abi = 1; abi <= LANDLOCK_NEWEST_ABI + 1; abi++) {
		uint64_t rights = landlock_writer_rights_at(abi);

		assert_int_equal(rights, abi < 3 ? files : files | 1u << 14);
		assert_int_equal(rights & ~landlock_rights_at(abi).fs, 0);
	}
}

/* ---- the kernel ---- */

static struct test_folder folder;
static int outside; /* another folder, opened before */
static pid_t victim;

static int
kernel_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
}

static int
start(void **state)
{
	(void)state;
	test_folder_make(&folder);
	test_folder_put(&folder, "output/old", "old");
	test_folder_put(&folder, "elsewhere/secret", "secret");
	outside = openat(folder.fd, "elsewhere", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	victim = fork();
	if (victim == 0) {
		pause();
		_exit(0);
	}
	return victim > 0 && outside >= 0 ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	close(outside);
	test_folder_remove(&folder);
	return 0;
}

static int
result_of(long result)
{
	return result < 0 ? -errno : 0;
}

static int
open_at(int at, const char *name, int flags)
{
	int fd = openat(at, name, flags, 0600);
	int result = result_of(fd);

	if (fd >= 0)
		close(fd);
	return result;
}

static int
open_absolute(void)
{
	return open_at(AT_FDCWD, "/etc/passwd", O_RDONLY);
}
static int
read_folder(void)
{
	return open_at(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
}
static int
open_below_held_folder(void)
{
	return open_at(outside, "secret", O_RDONLY);
}
static int
create_outside(void)
{
	return open_at(outside, "new", O_WRONLY | O_CREAT | O_EXCL);
}
static int
execute(void)
{
	char *const argv[] = {(char[]){"true"}, NULL}, *const envp[] = {NULL};

	return result_of(execve("/bin/true", argv, envp));
}
static int
make_folder(void)
{
	return result_of(mkdirat(outside, "new-folder", 0700));
}
static int
remove_outside(void)
{
	return result_of(unlinkat(outside, "secret", 0));
}
static int
truncate_outside(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/elsewhere/secret", folder.path);
	return result_of(truncate(path, 0));
}

static int
use_tcp(int (*call)(int, const struct sockaddr *, socklen_t), uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port = htons(port);
	int result =
		fd < 0 ? -errno : result_of(call(fd, (const struct sockaddr *)&address, sizeof(address)));
	close(fd);
	return result;
}
static int
bind_tcp(void)
{
	return use_tcp(bind, 0);
}
static int
connect_tcp(void)
{
	return use_tcp(connect, 1);
}

static struct sockaddr_un abstract = {.sun_family = AF_UNIX};
static int
connect_abstract(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = result_of(connect(fd, (const struct sockaddr *)&abstract, sizeof(abstract)));

	close(fd);
	return result;
}

static int
send_signal(void)
{
	return result_of(kill(victim, SIGCONT));
}
static int
signal_itself(void)
{
	return result_of(raise(SIGCONT));
}

/* What the exporter does, and what all roles do with what they hold. */
static int
write_and_rename(void)
{
	int output = openat(folder.fd, "output", O_PATH | O_DIRECTORY); /* O_PATH asks for no right */
	int fd = openat(output, ".new.tmp", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write(fd, "new", 3) != 3 || ftruncate(fd, 2) < 0 ||
	    renameat(output, ".new.tmp", output, "new") < 0 || renameat(output, "new", output, "old") < 0)
		return -errno;
	if (open_at(output, "old", O_RDONLY) != 0)
		return -EIO;
	return result_of(unlinkat(output, "old", 0));
}
static int
move_out(void)
{
	int output = openat(folder.fd, "output", O_PATH | O_DIRECTORY);

	return result_of(renameat(output, "old", outside, "stolen"));
}
static int
make_fifo_in_output(void)
{
	int output = openat(folder.fd, "output", O_PATH | O_DIRECTORY);

	return result_of(mkfifoat(output, "fifo", 0600));
}
static int
use_memfd(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) < 0 ||
			       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0
		       ? -errno
		       : 0;
}

enum confinement { SEALED_OFF, WRITER };

/* The result of a call in a child that is confined. */
static int
run_confined(enum confinement how, int (*call)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int output = openat(folder.fd, "output", O_RDONLY | O_DIRECTORY);
		const struct landlock_exceptions writer = {.folders = &output, .folder_count = 1};
		int abi = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
				  ? -errno
				  : landlock_confine(how == WRITER ? &writer : NULL);
		int wanted = kernel_abi() > LANDLOCK_NEWEST_ABI ? LANDLOCK_NEWEST_ABI : kernel_abi();

		_exit(abi == wanted ? -call() : 255);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static const struct {
	const char *name;
	int (*call)(void);
	int abi;                /* denied from this version on; 0: never */
	int sealed_off, writer; /* the result then, by confinement; 0 is success */
} checks[] = {
	{"open", open_absolute, 1, -EACCES, -EACCES},
	{"read a folder", read_folder, 1, -EACCES, -EACCES},
	{"open below a folder it holds", open_below_held_folder, 1, -EACCES, -EACCES},
	{"create elsewhere", create_outside, 1, -EACCES, -EACCES},
	{"execute", execute, 1, -EACCES, -EACCES},
	{"make a folder", make_folder, 1, -EACCES, -EACCES},
	{"remove elsewhere", remove_outside, 1, -EACCES, -EACCES},
	{"truncate elsewhere", truncate_outside, 3, -EACCES, -EACCES},
	{"bind TCP", bind_tcp, 4, -EACCES, -EACCES},
	{"connect TCP", connect_tcp, 4, -EACCES, -EACCES},
	{"connect to an abstract socket", connect_abstract, 6, -EPERM, -EPERM},
	{"signal another process", send_signal, 6, -EPERM, -EPERM},
	{"make a fifo in the output folder", make_fifo_in_output, 1, -EACCES, -EACCES},
	{"move out of the output folder", move_out, 1, -EACCES, -EACCES},
	{"write, rename, read, remove in the output folder", write_and_rename, 1, -EACCES, 0},
	{"signal itself", signal_itself, 0, 0, 0},
	{"use a memfd", use_memfd, 0, 0, 0},
};

static void
test_what_fails_and_what_works(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (kernel_abi() < 1)
		skip();
	snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "ddprof-test-%d", (int)getpid());
	assert_int_equal(bind(listener, (const struct sockaddr *)&abstract, sizeof(abstract)), 0);
	assert_int_equal(listen(listener, 8), 0);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (checks[i].abi > kernel_abi())
			continue;
		int sealed_off = run_confined(SEALED_OFF, checks[i].call);
		if (sealed_off != checks[i].sealed_off)
			fail_msg("sealed off: %s: %d", checks[i].name, sealed_off);
		int writer = run_confined(WRITER, checks[i].call);
		if (writer != checks[i].writer)
			fail_msg("writer: %s: %d", checks[i].name, writer);
	}
	close(listener);
}

/* Without confinement all of it works: otherwise the test above would show nothing. */
static void
test_each_check_can_succeed(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(abstract.sun_path + 1, sizeof(abstract.sun_path) - 1, "ddprof-test-%d", (int)getpid());
	assert_int_equal(bind(listener, (const struct sockaddr *)&abstract, sizeof(abstract)), 0);
	assert_int_equal(listen(listener, 8), 0);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(-checks[i].call());
		assert_int_equal(waitpid(child, &status, 0), child);
		bool is_nobody_there = checks[i].call == connect_tcp && WEXITSTATUS(status) == ECONNREFUSED;
		if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && !is_nobody_there))
			fail_msg("%s: %#x", checks[i].name, (unsigned)status);
		finish(NULL);
		start(NULL);
	}
	close(listener);
}

/* ---- exceptions ---- */

static char allowed_file[120], allowed_socket[120], other_socket[120];
static uint16_t allowed_port, other_port; /* somebody listens at both */

static int
listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int
listen_anywhere(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int
connect_to_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	int result = result_of(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	close(fd);
	return result;
}

/* Nobody listens: loopback says so later. */
static int
send_udp(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = result_of(connect(fd, (const struct sockaddr *)&address, sizeof(address)));

	if (result == 0)
		result = result_of(send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
	return result;
}

static int
read_allowed_file(void)
{
	return open_at(AT_FDCWD, allowed_file, O_RDONLY);
}
static int
write_allowed_file(void)
{
	return open_at(AT_FDCWD, allowed_file, O_WRONLY);
}
static int
connect_allowed_socket(void)
{
	return connect_to_path(allowed_socket);
}
static int
connect_other_socket(void)
{
	return connect_to_path(other_socket);
}
static int
connect_allowed_port(void)
{
	return use_tcp(connect, allowed_port);
}
static int
connect_other_port(void)
{
	return use_tcp(connect, other_port);
}
static int
connect_dns_by_tcp(void)
{
	int result = use_tcp(connect, 53);

	return result == -ECONNREFUSED ? 0 : result;
}
static int
ask_dns(void)
{
	return send_udp(53);
}
static int
send_elsewhere(void)
{
	return send_udp(allowed_port);
}
static int
bind_udp(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(allowed_port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = result_of(bind(fd, (const struct sockaddr *)&address, sizeof(address)));

	close(fd);
	return result;
}

static const struct {
	const char *name;
	int (*call)(void);
	int abi;    /* denied from this version on, or of no interest before it */
	int result; /* then */
} exception_checks[] = {
	{"read the file", read_allowed_file, 1, 0},
	{"write the file", write_allowed_file, 1, -EACCES},
	{"read another file of its folder", open_below_held_folder, 1, -EACCES},
	{"read another file", open_absolute, 1, -EACCES},
	{"read the folder", read_folder, 1, -EACCES},
	{"connect to the port", connect_allowed_port, 1, 0},
	{"connect to another port", connect_other_port, 4, -EACCES},
	{"bind TCP", bind_tcp, 4, -EACCES},
	{"connect to DNS by TCP", connect_dns_by_tcp, 1, 0},
	{"ask DNS by UDP", ask_dns, 1, 0},
	{"send UDP to another port", send_elsewhere, 10, -EACCES},
	{"bind UDP", bind_udp, 10, -EACCES},
	{"connect to the socket", connect_allowed_socket, 1, 0},
	{"connect to another socket", connect_other_socket, 9, -EACCES},
	{"write below the folder", write_and_rename, 1, 0},
};

static int
run_with_exceptions(int (*call)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		const int output = openat(folder.fd, "output", O_RDONLY | O_DIRECTORY);
		const char *const files[] = {"/no/such/file", allowed_file, NULL};
		const char *const sockets[] = {allowed_socket, "/no/such/socket", NULL};
		const struct landlock_exceptions exceptions = {
			.folders = &output,
			.folder_count = 1,
			.files = files,
			.unix_sockets = sockets,
			.ports = &allowed_port,
			.port_count = 1,
			.has_dns = true,
		};
		int abi = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : landlock_confine(&exceptions);

		_exit(abi > 0 ? -call() : 255);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void
test_exceptions(void **state)
{
	int listeners[4];

	(void)state;
	if (kernel_abi() < 1)
		skip();
	test_folder_put(&folder, "elsewhere/allowed", "hosts");
	snprintf(allowed_file, sizeof(allowed_file), "%s/elsewhere/allowed", folder.path);
	snprintf(allowed_socket, sizeof(allowed_socket), "%s/elsewhere/socket", folder.path);
	snprintf(other_socket, sizeof(other_socket), "%s/elsewhere/other", folder.path);
	listeners[0] = listen_at(allowed_socket);
	listeners[1] = listen_at(other_socket);
	listeners[2] = listen_anywhere(&allowed_port);
	listeners[3] = listen_anywhere(&other_port);
	for (size_t i = 0; i < sizeof(exception_checks) / sizeof(exception_checks[0]); i++) {
		if (exception_checks[i].abi > kernel_abi())
			continue;
		int result = run_with_exceptions(exception_checks[i].call);
		if (result != exception_checks[i].result)
			fail_msg("%s: %d", exception_checks[i].name, result);
	}
	for (size_t i = 0; i < 4; i++)
		close(listeners[i]);
}

static int
refuse_without_no_new_privs(void)
{
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 1;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || landlock_confine(NULL) == -EPERM ? 0 : 2;
}

/* A kernel that has Landlock and refuses is an error, not "none". */
static void
test_refusal_is_an_error(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(kernel_abi() < 1 ? 0 : refuse_without_no_new_privs());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	child = fork();
	if (child == 0) { /* not a folder at all */
		const int nothing = 999;
		const struct landlock_exceptions wrong = {.folders = &nothing, .folder_count = 1};

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(kernel_abi() < 1 || landlock_confine(&wrong) == -EBADF ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rights_of_each_version),
		cmocka_unit_test(test_writer_rights),
		cmocka_unit_test_setup_teardown(test_what_fails_and_what_works, start, finish),
		cmocka_unit_test_setup_teardown(test_each_check_can_succeed, start, finish),
		cmocka_unit_test_setup_teardown(test_exceptions, start, finish),
		cmocka_unit_test(test_refusal_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
