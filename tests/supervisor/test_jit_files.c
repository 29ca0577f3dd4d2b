/* Only files that the process itself can have written are held, under the names it has for itself, where it
 * sees them; they outlive their names and their process. /proc is a made-up folder. */

#include "worker/supervisor/jit_files.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "worker/base/jit_dump_name.h"
#include "worker/supervisor/process_ids.h"
#include "worker/supervisor/views.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PID 77
#define INNER 5
#define MAP "77/root/tmp/perf-5.map"

static struct test_folder folder;
static struct views *views;
static struct jit_files *files;
static size_t descriptors_before;

/* As the kernel has it; the uid is that of whoever made the files here. */
static void
put_status(uint32_t pid, uid_t uid, const char *pids)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "%u/status", pid);
	snprintf(text, sizeof(text),
		 "Name:\tNSpid:\\n\nUmask:\t0022\nState:\tS "
		 "(sleeping)\nTgid:\t%u\nPid:\t%u\nUid:\t0\t%u\t0\t0\n"
		 "Gid:\t9\t9\t9\t9\nNStgid:\t%u\t1\nNSpid:\t%s\nNSpgid:\t1\n",
		 pid, pid, uid, pid, pids);
	(void)unlinkat(folder.fd, name, 0);
	test_folder_put(&folder, name, text);
}

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	views = views_new(folder.fd);
	files = jit_files_new(folder.fd, views, 3);
	put_status(PID, getuid(), "77\t5");
	assert_int_equal(mkdirat(folder.fd, "77/root", 0755), 0);
	return files ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	jit_files_free(files);
	views_free(views);
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static int
open_file(uint32_t pid, enum jit_file file)
{
	return jit_files_open(files, &(struct open_jit){.pid = pid, .file = file});
}

static void
expect_content(int fd, const char *text)
{
	char content[100] = "";

	if (fd < 0)
		fail_msg("\"%s\": %s", text, strerror(-fd));
	assert_true(pread(fd, content, sizeof(content) - 1, 0) >= 0);
	assert_string_equal(content, text);
}

static void
put_more(const char *name, const char *text)
{
	OWNED_FD fd = openat(folder.fd, name, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* ---- maps ---- */

static void
test_as_the_process_sees_it(void **state)
{
	(void)state;
	test_folder_put(&folder, MAP, "map");
	test_folder_put(&folder, "77/root/tmp/perf-77.map", "of another, in that namespace");
	assert_int_equal(jit_files_hold_map(files, PID), 0);
	int fd = open_file(PID, JIT_PERF_MAP);
	expect_content(fd, "map");
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

/* It grows, is deleted, its process ends, its namespace with it: what is held is there. */
static void
test_outlives_its_process(void **state)
{
	(void)state;
	test_folder_put(&folder, MAP, "one\n");
	assert_int_equal(jit_files_hold_map(files, PID), 0);
	put_more(MAP, "two\n");
	assert_int_equal(unlinkat(folder.fd, MAP, 0), 0);
	assert_int_equal(unlinkat(folder.fd, "77/status", 0), 0);
	assert_int_equal(unlinkat(folder.fd, "77/root/tmp", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(folder.fd, "77/root", AT_REMOVEDIR), 0);
	expect_content(open_file(PID, JIT_PERF_MAP), "one\ntwo\n");
}

/* First memory, then the file; and where a process was is known when it is gone. */
static void
test_written_later(void **state)
{
	(void)state;
	assert_int_equal(jit_files_hold_map(files, PID), -ENOENT);
	assert_int_equal(open_file(PID, JIT_PERF_MAP), -ENOENT);
	assert_int_equal(renameat(folder.fd, "77/root", folder.fd, "elsewhere"), 0);
	assert_int_equal(unlinkat(folder.fd, "77/status", 0), 0);
	test_folder_put(&folder, "elsewhere/tmp/perf-5.map", "late");
	expect_content(open_file(PID, JIT_PERF_MAP), "late");
}

/* The file that is there when it is asked for: another program with that PID, after exec. */
static void
test_a_newer_one(void **state)
{
	(void)state;
	test_folder_put(&folder, MAP, "old");
	assert_int_equal(jit_files_hold_map(files, PID), 0);
	assert_int_equal(unlinkat(folder.fd, MAP, 0), 0);
	test_folder_put(&folder, MAP, "new");
	expect_content(open_file(PID, JIT_PERF_MAP), "new");
}

/* A process that had ended before it was heard of, or lets us not look: by its PID, in our own /tmp. */
static void
test_our_own_folder(void **state)
{
	const uint32_t pid = 4200000000u + (uint32_t)getpid() % 1000000;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pid);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "own", 3), 3);
	close(fd);
	int gone = jit_files_hold_map(files, pid);
	put_status(pid, getuid(), "4000\t5"); /* no root folder: closed */
	int closed = jit_files_hold_map(files, pid);
	put_status(pid, getuid() + 1, "4000\t5");
	char inner[32]; /* by its own PID, but where it sees /tmp, and that may be elsewhere */
	snprintf(inner, sizeof(inner), "78\t%u", pid);
	put_status(PID + 1, getuid(), inner);
	int of_another_place = jit_files_hold_map(files, PID + 1);
	int of_another = getuid() == 0 ? -EACCES : jit_files_hold_map(files, pid);
	unlink(path);
	assert_int_equal(gone, 0);
	assert_int_equal(closed, 0);
	assert_int_equal(of_another_place, -ENOENT);
	assert_int_equal(of_another, -EACCES);
}

static void
expect_refused(int error)
{
	assert_int_equal(jit_files_hold_map(files, PID), error);
	assert_int_equal(open_file(PID, JIT_PERF_MAP), -ENOENT);
	(void)unlinkat(folder.fd, MAP, 0);
}

/* What somebody else puts into /tmp, to be read in our name or to be believed. */
static void
test_planted_files(void **state)
{
	(void)state;
	test_folder_put(&folder, "secret", "secret");
	test_folder_put(&folder, "77/root/tmp/other", "x");

	assert_int_equal(symlinkat("../../../secret", folder.fd, MAP), 0);
	expect_refused(-ENOENT);
	assert_int_equal(symlinkat("other", folder.fd, MAP), 0);
	expect_refused(-ENOENT);
	assert_int_equal(linkat(folder.fd, "secret", folder.fd, MAP, 0), 0);
	expect_refused(-ENOENT);
	assert_int_equal(mkfifoat(folder.fd, MAP, 0600), 0);
	expect_refused(-ENOENT); /* and at once */
	assert_int_equal(mkdirat(folder.fd, MAP, 0755), 0);
	expect_refused(-ENOENT);
	assert_int_equal(unlinkat(folder.fd, MAP, AT_REMOVEDIR), 0);
	static const mode_t modes[] = {0620, 0602, 0666};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		test_folder_put(&folder, MAP, "anybody's");
		assert_int_equal(fchmodat(folder.fd, MAP, modes[i], 0), 0);
		expect_refused(-ENOENT);
	}
	/* a /tmp that is a link */
	assert_int_equal(renameat(folder.fd, "77/root/tmp", folder.fd, "77/root/real"), 0);
	test_folder_put(&folder, "77/root/real/perf-5.map", "x");
	assert_int_equal(symlinkat("real", folder.fd, "77/root/tmp"), 0);
	expect_refused(-ENOENT);
}

/* The process's effective user's, or root's. */
static void
test_owners(void **state)
{
	(void)state;
	test_folder_put(&folder, MAP, "map");
	if (getuid() == 0)
		assert_int_equal(fchownat(folder.fd, MAP, 4242, 4242, 0), 0);
	put_status(PID, 4243, "77\t5");
	assert_int_equal(jit_files_hold_map(files, PID), -ENOENT); /* nor in our own /tmp */
	if (getuid() != 0)
		return;
	put_status(PID, 4242, "77\t5");
	assert_int_equal(jit_files_hold_map(files, PID), 0);
	assert_int_equal(fchownat(folder.fd, MAP, 0, 0, 0), 0);
	assert_int_equal(jit_files_hold_map(files, PID), 0);
}

/* ---- jitdumps ---- */

static struct open_mapping
mapping_of(const char *path, const char *name)
{
	struct open_mapping request = {.pid = PID};
	struct stat status = {0};

	strcpy(request.path, path);
	(void)fstatat(folder.fd, name, &status, 0);
	request.inode = status.st_ino;
	return request;
}

#define DUMP "77/root/home/jit-5.dump"

static void
test_dump(void **state)
{
	(void)state;
	test_folder_put(&folder, DUMP, ""); /* its first bytes are written after it was mapped */
	struct open_mapping request = mapping_of("/home/jit-5.dump", DUMP);
	assert_int_equal(jit_files_hold_dump(files, &request), 0);
	assert_int_equal(open_file(PID, JIT_DUMP), -EINVAL);
	put_more(DUMP, "DTiJ and so on");
	assert_int_equal(unlinkat(folder.fd, DUMP, 0), 0);
	expect_content(open_file(PID, JIT_DUMP), "DTiJ and so on");
	assert_int_equal(open_file(PID, JIT_PERF_MAP), -ENOENT);
}

static void
test_only_what_was_mapped(void **state)
{
	static const char *const names[] = {"jit-5.dum",   "jit-.dump",   "xjit-5.dump", "jit-5.dump.x",
					    "jit-5x.dump", "jit--5.dump", "id_rsa"};
	char path[64], name[64];

	(void)state;
	test_folder_put(&folder, DUMP, "DTiJ");
	struct open_mapping request = mapping_of("/home/jit-5.dump", DUMP);
	request.inode++;
	assert_true(jit_files_hold_dump(files, &request) < 0);
	request.inode--;
	request.build_id_size = 20;
	assert_int_equal(jit_files_hold_dump(files, &request), -EINVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/home/%s", names[i]);
		snprintf(name, sizeof(name), "77/root/home/%s", names[i]);
		test_folder_put(&folder, name, "DTiJ");
		request = mapping_of(path, name);
		assert_int_equal(jit_files_hold_dump(files, &request), -EINVAL);
	}
	static const char *const paths[] = {"home/jit-5.dump",    "/home/../home/jit-5.dump",
					    "/home/./jit-5.dump", "/link/jit-5.dump",
					    "jit-5.dump",         ""};
	assert_int_equal(symlinkat("home", folder.fd, "77/root/link"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		request = mapping_of(paths[i], DUMP);
		assert_true(jit_files_hold_dump(files, &request) < 0);
	}
	request = mapping_of("/home/jit-5.dump", DUMP);
	memset(request.path, 'x', sizeof(request.path));
	request.path[0] = '/';
	assert_int_equal(jit_files_hold_dump(files, &request), -EINVAL);
	/* not a dump, whatever its name */
	test_folder_put(&folder, "77/root/home/jit-6.dump", "root:x:0:0");
	request = mapping_of("/home/jit-6.dump", "77/root/home/jit-6.dump");
	assert_int_equal(jit_files_hold_dump(files, &request), 0);
	assert_int_equal(open_file(PID, JIT_DUMP), -EINVAL);
}

/* ---- who may ask for what ---- */

static void
test_only_known_processes(void **state)
{
	(void)state;
	test_folder_put(&folder, MAP, "map");
	assert_int_equal(open_file(PID, JIT_PERF_MAP), -ENOENT); /* nobody asked to hold it */
	assert_int_equal(open_file(0, JIT_PERF_MAP), -ENOENT);
	assert_true(jit_files_hold_map(files, 0) < 0);
	assert_int_equal(jit_files_hold_map(files, PID), 0);
	assert_int_equal(open_file(PID, JIT_FILES), -ENOENT);
	assert_int_equal(open_file(PID, (enum jit_file)UINT32_MAX), -ENOENT);
	assert_int_equal(open_file(PID + 1, JIT_PERF_MAP), -ENOENT);
}

static void
test_bounded(void **state)
{
	(void)state;
	size_t before = count_descriptors();
	for (uint32_t i = 1; i <= 20; i++) {
		char name[64], pid[16];

		snprintf(name, sizeof(name), "%u/root/tmp/perf-%u.map", i, i);
		test_folder_put(&folder, name, "map");
		snprintf(pid, sizeof(pid), "%u", i);
		put_status(i, getuid(), pid);
		assert_int_equal(jit_files_hold_map(files, i), 0);
		assert_true(open_file(1, JIT_PERF_MAP) >= 0); /* the one that is asked for stays */
	}
	assert_in_range(count_descriptors() - before, 3, 3 + VIEWS_MAX_FILES);
	assert_int_equal(open_file(18, JIT_PERF_MAP), -ENOENT);
	assert_true(open_file(20, JIT_PERF_MAP) >= 0);
	struct jit_files *none = jit_files_new(folder.fd, views, 0);
	assert_int_equal(jit_files_hold_map(none, PID), -ENOMEM);
	jit_files_free(none);
}

static void
test_status(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
		uint32_t uid, inner_pid;
	} cases[] = {
		{"Name:\tx\nPid:\t9\nUid:\t1\t2\t3\t4\nNSpid:\t9\t8\t7\n", true, 2, 7},
		{"Name:\tx\nPid:\t9\nUid:\t1\t2\t3\t4\nNSpid:\t9\n", true, 2, 9},
		{"Name:\tx\nPid:\t9\nUid:\t1\t2\t3\t4\n", true, 2, 9},
		{"Name:\tx\nPid:\t9\nUid:\t1\nNSpid:\t9\n", false, 0, 0},
		{"Name:\tx\nPid:\t9\nUid:\t1\t4294967296\t3\t4\nNSpid:\t9\n", false, 0, 0},
		{"Name:\tx\nPid:\t9\nUid:\t\nNSpid:\t9\n", false, 0, 0},
		{"Name:\tx\nUid:\t1\t2\t3\t4\nNSpid:\t\n", false, 0, 0},
		{"", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct process_ids ids = {0};

		assert_int_equal(process_ids_parse(cases[i].text, &ids), cases[i].is_good);
		assert_int_equal(ids.uid, cases[i].uid);
		assert_int_equal(ids.inner_pid, cases[i].inner_pid);
	}
	struct process_ids own;
	OWNED_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(process_ids_read(proc, (uint32_t)getpid(), &own), 0);
	assert_int_equal(own.uid, geteuid());
	assert_int_equal(own.inner_pid, getpid());
	assert_true(process_ids_read(proc, UINT32_MAX, &own) < 0);
}

#define JIT_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		JIT_TEST(test_as_the_process_sees_it),
		JIT_TEST(test_outlives_its_process),
		JIT_TEST(test_written_later),
		JIT_TEST(test_a_newer_one),
		JIT_TEST(test_our_own_folder),
		JIT_TEST(test_planted_files),
		JIT_TEST(test_owners),
		JIT_TEST(test_dump),
		JIT_TEST(test_only_what_was_mapped),
		JIT_TEST(test_only_known_processes),
		JIT_TEST(test_bounded),
		JIT_TEST(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
