/* What the broker opens is a regular file, the one that was mapped, for who may ask; what it has open is
 * bounded and outlives the name. /proc is a made-up folder. */

#include "worker/supervisor/broker.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "worker/supervisor/views.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PID 77

static struct test_folder folder;
static struct broker *broker;
static uint32_t found_at; /* the candidate of the last answer */
static size_t descriptors_before;
#define OURS \
	(descriptors_before + 2) /* the test's folder, and the target's root: it is another one than ours */

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	broker = broker_new(folder.fd, BROKER_MAX_FILES, 2);
	return broker ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	broker_free(broker);
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

/* What the broker takes for an ELF file: the magic, then anything. */
static void
put_elf(const char *name, const char *text)
{
	char content[100];

	snprintf(content, sizeof(content), ELFMAG "%s", text);
	test_folder_put(&folder, name, content);
}

static uint64_t
inode_of(const char *name)
{
	struct stat status;

	assert_int_equal(fstatat(folder.fd, name, &status, 0), 0);
	return status.st_ino;
}

/* A request by inode, or by this build id when it is not 0. */
static struct open_mapping
request_for(const char *path, uint64_t inode, uint8_t build_id)
{
	struct open_mapping request = {.pid = PID, .inode = inode};

	strcpy(request.path, path);
	if (build_id) {
		request.build_id_size = 20;
		memset(request.build_id, build_id, 20);
	}
	return request;
}

static int
open_mapping(const char *path, uint64_t inode, uint8_t build_id)
{
	struct open_mapping request = request_for(path, inode, build_id);

	return broker_open_mapping(broker, &request, &found_at);
}

static int
open_known(const char *path, const char *build_id)
{
	struct open_known request = {0};

	strcpy(request.path, path);
	strcpy(request.build_id, build_id);
	return broker_open_known(broker, &request);
}

static void
expect_content(int fd, const char *text)
{
	char content[100] = "";

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, content, sizeof(content) - 1, 0), SELFMAG + strlen(text));
	assert_memory_equal(content, ELFMAG, SELFMAG);
	assert_string_equal(content + SELFMAG, text);
}

/* The path of a file of the test as this process itself sees it. */
static const char *
own_path(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	return path;
}

static void
test_as_the_target_sees_it(void **state)
{
	(void)state;
	put_elf("77/root/lib/a", "in the container");
	int fd = open_mapping("/lib/a", inode_of("77/root/lib/a"), 0);
	expect_content(fd, "in the container");
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

static bool
has_mapped(const char *path, const char *build_id)
{
	struct open_known request = {0};

	strcpy(request.path, path);
	strcpy(request.build_id, build_id);
	return broker_has_mapped(broker, &request);
}

/* What may be said on the network (fetch_instead() in supervisor.c). */
static void
test_only_what_the_kernel_named(void **state)
{
	(void)state;
	put_elf("77/root/lib/a", "a");
	put_elf("77/root/lib/b", "b");
	assert_true(open_mapping("/lib/a", 0, 0x11) >= 0);
	assert_true(open_mapping("/lib/b", inode_of("77/root/lib/b"), 0) >= 0);
	assert_true(has_mapped("/lib/a", "1111111111111111111111111111111111111111"));
	assert_false(has_mapped("/lib/a", "1111111111111111111111111111111111111112"));
	assert_false(has_mapped("/lib/b", "1111111111111111111111111111111111111111"));
	assert_false(has_mapped("/lib/b", ""));
}

static void
test_target_before_own(void **state)
{
	char both[300];

	(void)state;
	put_elf("own/a", "ours");
	snprintf(both, sizeof(both), "77/root%s", own_path("own/a"));
	put_elf(both, "theirs");
	expect_content(open_mapping(own_path("own/a"), 0, 1),
		       "theirs"); /* the build id is the unwinder's to check */
	expect_content(open_mapping(own_path("own/a"), inode_of(both), 0), "theirs");
	expect_content(open_mapping(own_path("own/a"), inode_of("own/a"), 0),
		       "ours"); /* the inode says which */
}

/* The target is gone, or its /proc/PID/root is closed to us. */
static void
test_own_path(void **state)
{
	(void)state;
	put_elf("own/a", "ours");
	expect_content(open_mapping(own_path("own/a"), inode_of("own/a"), 0), "ours");
	assert_int_equal(open_mapping(own_path("own/a"), inode_of("own/a") + 1, 0), -ESTALE);
	assert_int_equal(open_mapping(own_path("own/b"), 1, 0), -ENOENT);
}

static void
test_only_regular_files(void **state)
{
	struct stat device;

	(void)state;
	assert_int_equal(stat("/dev/null", &device), 0);
	put_elf("77/root/folder/x", "");
	put_elf("own/folder/x", "");
	assert_int_equal(mkfifoat(folder.fd, "own/fifo", 0600), 0);
	assert_int_equal(mkfifoat(folder.fd, "77/root/fifo", 0600), 0);
	/* with the right inode, and with a build id, which would ask for no inode */
	for (uint8_t build_id = 0; build_id < 2; build_id++) {
		assert_int_equal(open_mapping(own_path("own/folder"), inode_of("own/folder"), build_id),
				 -EINVAL);
		assert_int_equal(open_mapping(own_path("own/fifo"), inode_of("own/fifo"), build_id), -EINVAL);
		assert_int_equal(open_mapping("/dev/null", device.st_ino, build_id), -EINVAL);
		assert_true(open_mapping("/folder", inode_of("77/root/folder"), build_id) < 0);
		assert_true(open_mapping("/fifo", inode_of("77/root/fifo"), build_id) < 0); /* and at once */
	}
	assert_int_equal(count_descriptors(), descriptors_before + 1);
}

/* A document, a key or a script is nobody's mapping, and an empty file has no first bytes. */
static void
test_only_elf_files(void **state)
{
	static const char *const texts[] = {"",
					    "\x7f",
					    "\x7f"
					    "EL",
					    "\x7f"
					    "ELG",
					    "#!/bin/sh\n",
					    "-----BEGIN"};
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(name, sizeof(name), "own/%zu", i);
		test_folder_put(&folder, name, texts[i]);
		for (uint8_t build_id = 0; build_id < 2; build_id++)
			assert_int_equal(open_mapping(own_path(name), inode_of(name), build_id), -EINVAL);
	}
	put_elf("own/elf", "");
	expect_content(open_mapping(own_path("own/elf"), inode_of("own/elf"), 0), "");
}

/* The kernel names a mapping by its resolved path: no link is ever on it, whoever made the link, and one of
 * /proc leads out of what we look into. */
static void
test_no_link_is_followed(void **state)
{
	char through[400];

	(void)state;
	put_elf("secret/a", "x");
	put_elf("77/root/lib/a", "x");
	assert_int_equal(symlinkat("a", folder.fd, "77/root/lib/link"), 0);
	assert_int_equal(symlinkat("lib", folder.fd, "77/root/folder"), 0);
	assert_int_equal(symlinkat(own_path("secret"), folder.fd, "77/root/absolute"), 0);
	assert_int_equal(symlinkat("../../secret", folder.fd, "77/root/up"), 0);
	assert_int_equal(symlinkat("a", folder.fd, "secret/link"), 0);
	assert_true(open_mapping("/lib/a", 0, 1) >= 0);
	for (uint8_t build_id = 1; build_id < 3; build_id++) {
		assert_true(open_mapping("/lib/link", inode_of("77/root/lib/a"), build_id) < 0);
		assert_true(open_mapping("/folder/a", inode_of("77/root/lib/a"), build_id) < 0);
		assert_true(open_mapping("/absolute/a", inode_of("secret/a"), build_id) < 0);
		assert_true(open_mapping("/up/a", inode_of("secret/a"), build_id) < 0);
		assert_true(open_mapping("/lib/../../../secret/a", inode_of("secret/a"), build_id) < 0);
		assert_true(open_mapping("/lib/./a", inode_of("77/root/lib/a"), build_id) < 0);
		assert_int_equal(open_mapping(own_path("secret/link"), inode_of("secret/a"), build_id),
				 -ELOOP);
		snprintf(through, sizeof(through), "/proc/%d/root%s", (int)getpid(), own_path("secret/a"));
		assert_int_equal(open_mapping(through, inode_of("secret/a"), build_id), -ENOTDIR);
		snprintf(through, sizeof(through), "/proc/%d/exe", (int)getpid());
		assert_int_equal(open_mapping(through, 0, build_id), -ELOOP);
	}
}

static void
test_broken_requests(void **state)
{
	struct open_mapping request;

	(void)state;
	put_elf("77/root/a", "x");
	put_elf("77/rootless", "x");
	assert_int_equal(open_mapping("a", inode_of("77/root/a"), 0), -EINVAL);
	assert_int_equal(open_mapping("less", inode_of("77/rootless"), 0), -EINVAL);
	assert_int_equal(open_mapping("", 0, 0), -EINVAL);
	request = request_for("/a", inode_of("77/root/a"), 0);
	request.build_id_size = MAX_BUILD_ID + 1;
	assert_int_equal(broker_open_mapping(broker, &request, &found_at), -EINVAL);
	request.build_id_size = UINT32_MAX;
	assert_int_equal(broker_open_mapping(broker, &request, &found_at), -EINVAL);
	request.build_id_size = 0;
	memset(request.path, '/', sizeof(request.path));
	assert_int_equal(broker_open_mapping(broker, &request, &found_at), -EINVAL);
	request.path[MAX_PATH_BYTES - 1] = 0; /* the longest there is: "/" many times over */
	assert_true(broker_open_mapping(broker, &request, &found_at) < 0);

	struct open_known known = {0};
	memset(known.path, 'x', sizeof(known.path));
	assert_int_equal(broker_open_known(broker, &known), -EINVAL);
	known.path[5] = 0;
	memset(known.build_id, 'x', sizeof(known.build_id));
	assert_int_equal(broker_open_known(broker, &known), -EINVAL);
}

#define HEX_1 "0101010101010101010101010101010101010101"
#define HEX_2 "0202020202020202020202020202020202020202"
#define HEX_3 "0303030303030303030303030303030303030303"

static void
test_known_files_only(void **state)
{
	(void)state;
	put_elf("77/root/a", "a1");
	put_elf("77/root/b", "b");
	assert_int_equal(open_known("/a", ""), -ENOENT);
	assert_int_equal(open_known("/a", HEX_1), -ENOENT);
	int first = open_mapping("/a", 0, 1);
	expect_content(first, "a1");
	assert_int_equal(open_known("/a", HEX_1), first);
	assert_int_equal(open_known("/a", ""), first);
	assert_int_equal(open_known("/a", HEX_2), -ENOENT);
	assert_int_equal(open_known("/b", ""), -ENOENT);
	assert_int_equal(open_known("/", ""), -ENOENT);

	/* replaced on disk: two files of one name, told apart by what was mapped */
	assert_int_equal(unlinkat(folder.fd, "77/root/a", 0), 0);
	put_elf("77/root/a", "a2");
	int second = open_mapping("/a", 0, 2);
	assert_int_not_equal(second, first);
	expect_content(open_known("/a", HEX_1), "a1");
	expect_content(open_known("/a", HEX_2), "a2");
	assert_int_equal(open_known("/a", HEX_3), -ENOENT);
}

/* Known by its inode: the unwinder read the build id from the file, the broker never saw it. */
static void
test_known_by_inode(void **state)
{
	(void)state;
	put_elf("77/root/a", "a");
	int fd = open_mapping("/a", inode_of("77/root/a"), 0);
	assert_true(fd >= 0);
	assert_int_equal(open_known("/a", HEX_1), fd);
	assert_int_equal(open_known("/a", ""), fd);
}

/* An unwinder that was restarted asks again for what its predecessor had; meanwhile the file was deleted or
 * replaced. What is open is still the file that was mapped. */
static void
test_asked_again_after_deletion(void **state)
{
	(void)state;
	put_elf("77/root/a", "by id");
	put_elf("77/root/b", "by inode");
	uint64_t inode = inode_of("77/root/b");
	assert_true(open_mapping("/a", 0, 1) >= 0);
	assert_true(open_mapping("/b", inode, 0) >= 0);
	assert_int_equal(unlinkat(folder.fd, "77/root/a", 0), 0);
	assert_int_equal(unlinkat(folder.fd, "77/root/b", 0), 0);
	expect_content(open_mapping("/a", 0, 1), "by id");
	expect_content(open_mapping("/b", inode, 0), "by inode");
	assert_int_equal(open_mapping("/a", 0, 2), -ENOENT); /* another file never was */
	assert_int_equal(open_mapping("/b", inode + 1, 0), -ENOENT);
}

/* The same, for a name that was more than one file: each is found again as itself. */
static void
test_asked_again_after_replacement(void **state)
{
	struct open_mapping elsewhere;
	uint64_t inode[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		put_elf("77/root/a", i ? "second" : "first");
		inode[i] = inode_of("77/root/a");
		assert_true(open_mapping("/a", inode[i], 0) >= 0);
		assert_int_equal(renameat(folder.fd, "77/root/a", folder.fd, i ? "old2" : "old1"), 0);
	}
	put_elf("77/root/a", "third");
	assert_true(open_mapping("/a", 0, 3) >= 0);
	assert_int_equal(unlinkat(folder.fd, "77/root/a", 0), 0);
	expect_content(open_mapping("/a", inode[0], 0), "first");
	expect_content(open_mapping("/a", inode[1], 0), "second");
	expect_content(open_mapping("/a", 0, 3), "third");
	assert_int_equal(count_descriptors(), OURS + 3); /* none was opened twice */

	/* an inode number means nothing without its device */
	elsewhere = request_for("/a", inode[0], 0);
	elsewhere.device_minor = 7;
	assert_int_equal(broker_open_mapping(broker, &elsewhere, &found_at), -ENOENT);
}

/* What the kernel makes up while it is read is no file that was mapped: not even for who names it exactly. */
static void
test_files_of_the_kernel(void **state)
{
	static const char *const names[] = {"mem", "maps", "environ"};
	char path[64];
	struct stat status;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)getpid(), names[i]);
		assert_int_equal(stat(path, &status), 0);
		assert_true(S_ISREG(status.st_mode));
		assert_int_equal(open_mapping(path, status.st_ino, 0), -EINVAL);
		assert_int_equal(open_mapping(path, 0, 1), -EINVAL); /* by build id, which we cannot check */
		assert_int_equal(open_known(path, ""), -ENOENT);
	}
}

/* A deleted program is still what its process executes; a wrong file is passed over from then on. */
static void
test_places_in_order(void **state)
{
	struct open_mapping request;

	(void)state;
	put_elf("77/exe", "executed");
	expect_content(open_mapping("/gone", inode_of("77/exe"), 0), "executed");
	assert_int_equal(found_at, 2);
	assert_int_equal(open_mapping("/gone", inode_of("77/exe") + 1, 0),
			 -ENOENT); /* the path's own error */

	put_elf("77/root/replaced", "another");
	expect_content(open_mapping("/replaced", 0, 1), "another");
	assert_int_equal(found_at, 0);
	request = request_for("/replaced", 0, 1);
	request.first_candidate = found_at + 1;
	expect_content(broker_open_mapping(broker, &request, &found_at), "executed");
	assert_int_equal(found_at, 2);
	expect_content(open_mapping("/replaced", 0, 1), "executed"); /* asked again, by a successor */
	expect_content(open_known("/replaced", HEX_1), "executed");
	request.first_candidate = 3;
	assert_true(broker_open_mapping(broker, &request, &found_at) < 0);
}

/* The table is bounded; what is not used goes first. Each inode stands for another mapping of one file. */
static void
test_least_recently_used_goes(void **state)
{
	struct rlimit limit;
	char path[32], known[2 * MAX_BUILD_ID + 1];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < BROKER_MAX_FILES + 64)
		skip();
	put_elf("77/root/f0", "f0");
	for (unsigned i = 1; i < BROKER_MAX_FILES + 3; i++) {
		snprintf(path, sizeof(path), "77/root/f%u", i);
		assert_int_equal(linkat(folder.fd, "77/root/f0", folder.fd, path, 0), 0);
	}
	for (unsigned i = 0; i < BROKER_MAX_FILES; i++) {
		snprintf(path, sizeof(path), "/f%u", i);
		assert_true(open_mapping(path, 0, 1) >= 0);
	}
	strcpy(known, HEX_1);
	assert_int_equal(count_descriptors(), OURS + BROKER_MAX_FILES);
	expect_content(open_known("/f0", known), "f0"); /* used: /f1 is now the oldest */
	snprintf(path, sizeof(path), "/f%u", BROKER_MAX_FILES);
	expect_content(open_mapping(path, 0, 1), "f0");
	assert_int_equal(open_known("/f1", known), -ENOENT);
	expect_content(open_known("/f0", known), "f0");
	expect_content(open_known("/f2", known), "f0"); /* used: next is /f3 */
	snprintf(path, sizeof(path), "/f%u", BROKER_MAX_FILES + 1);
	expect_content(open_mapping(path, 0, 1), "f0");
	assert_int_equal(open_known("/f3", known), -ENOENT);
	expect_content(open_known("/f2", known), "f0");
	expect_content(open_known("/f4", known), "f0");
	assert_int_equal(count_descriptors(), OURS + BROKER_MAX_FILES);
}

/* ---- debug files ---- */

#define ID "abcdef0123456789abcdef0123456789abcdef01"
#define ID_PATH ".build-id/ab/cdef0123456789abcdef0123456789abcdef01.debug"

static struct open_debug
debug_request(const char *module, enum debug_way way, const char *name)
{
	struct open_debug request = {.way = way};

	strcpy(request.module.path, module);
	strcpy(request.module.build_id, HEX_1);
	strcpy(request.name, name);
	return request;
}

static int
open_debug(const char *module, enum debug_way way, const char *name)
{
	struct open_debug request = debug_request(module, way, name);

	return broker_open_debug(broker, &request, &found_at);
}

/* The descriptor is the caller's. */
static void
expect_debug(const char *module, enum debug_way way, const char *name, const char *text)
{
	OWNED_FD fd = open_debug(module, way, name);

	expect_content(fd, text);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

#define DEBUG "77/root/usr/lib/debug/"

static void
test_debug_files(void **state)
{
	struct open_debug request;

	(void)state;
	put_elf("77/root/opt/svc", "module");
	put_elf(DEBUG ID_PATH, "by id");
	put_elf(DEBUG ".dwz/shared", "dwz");
	put_elf(DEBUG ".dwz/x86_64-linux-gnu/shared", "dwz of the architecture");
	put_elf("77/root/opt/svc.debug", "beside");
	put_elf("77/root/build/.cache/a.dwo", "of a unit");
	assert_int_equal(open_debug("/opt/svc", DEBUG_BY_BUILD_ID, ID), -ENOENT); /* nobody mapped it yet */
	assert_true(open_mapping("/opt/svc", 0, 1) >= 0);
	size_t before = count_descriptors();
	expect_debug("/opt/svc", DEBUG_BY_BUILD_ID, ID, "by id");
	expect_debug("/opt/svc", DEBUG_BY_DWZ, "shared", "dwz");
	expect_debug("/opt/svc", DEBUG_BY_DWZ, "x86_64-linux-gnu/shared", "dwz of the architecture");
	expect_debug("/opt/svc", DEBUG_BY_LINK, "svc.debug", "beside");
	expect_debug("/opt/svc", DEBUG_BY_UNIT, "/build/.cache/a.dwo", "of a unit");
	put_elf("77/root/opt/a.dwo", "of a unit that moved");
	expect_debug("/opt/svc", DEBUG_BY_UNIT, "/build/a.dwo", "of a unit that moved");
	assert_int_equal(found_at, 1);
	put_elf("77/root/opt/.debug/svc.debug", "below");
	put_elf(DEBUG "opt/svc.debug", "copy");
	request = debug_request("/opt/svc", DEBUG_BY_LINK, "svc.debug");
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const texts[] = {"beside", "below", "copy"};
		OWNED_FD fd = broker_open_debug(broker, &request, &found_at);

		expect_content(fd, texts[i]);
		assert_int_equal(found_at, i);
		request.first_candidate = i + 1;
	}
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -ENOENT);
	request.first_candidate = UINT32_MAX;
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -ENOENT);
	assert_int_equal(count_descriptors(), before);
}

/* A path that a container's compiler wrote is one of the container. */
static void
test_units_of_a_container(void **state)
{
	char path[MAX_PATH_BYTES];

	(void)state;
	put_elf("77/root/opt/svc", "module");
	put_elf("own/svc", "ours");
	put_elf("own/a.dwo", "ours");
	snprintf(path, sizeof(path), "%s", own_path("own/a.dwo"));
	assert_true(open_mapping("/opt/svc", 0, 1) >= 0);
	assert_int_equal(open_debug("/opt/svc", DEBUG_BY_UNIT, path), -ENOENT);
	struct open_mapping request = request_for(own_path("own/svc"), 0, 1);
	request.pid = PID + 1; /* without a view of its own */
	assert_true(broker_open_mapping(broker, &request, &found_at) >= 0);
	expect_debug(own_path("own/svc"), DEBUG_BY_UNIT, path, "ours");
}

/* Names that lead elsewhere, and files that are no debug files. */
static void
test_debug_path_tricks(void **state)
{
	static const struct {
		enum debug_way way;
		const char *name;
	} tricks[] = {
		{DEBUG_BY_LINK, ""},
		{DEBUG_BY_LINK, "."},
		{DEBUG_BY_LINK, ".."},
		{DEBUG_BY_LINK, "../secret"},
		{DEBUG_BY_LINK, "/secret"},
		{DEBUG_BY_LINK, "folder/secret"},
		{DEBUG_BY_LINK, "link"},
		{DEBUG_BY_LINK, "text"},
		{DEBUG_BY_LINK, "fifo"},
		{DEBUG_BY_LINK, "folder"},
		{DEBUG_BY_DWZ, ""},
		{DEBUG_BY_DWZ, "../secret"},
		{DEBUG_BY_DWZ, "a/.."},
		{DEBUG_BY_DWZ, "a/b/secret"},
		{DEBUG_BY_DWZ, "up/secret"},
		{DEBUG_BY_DWZ, "/secret"},
		{DEBUG_BY_BUILD_ID, ""},
		{DEBUG_BY_BUILD_ID, "ab"},
		{DEBUG_BY_BUILD_ID, "../../secret"},
		{DEBUG_BY_BUILD_ID, "ABCDEF"},
		{DEBUG_BY_BUILD_ID, "ab/../secret"},
		{DEBUG_BY_BUILD_ID, "ee00"}, /* a link */
		{DEBUG_BY_UNIT, ""},
		{DEBUG_BY_UNIT, "secret"},
		{DEBUG_BY_UNIT, "/secret"},
		{DEBUG_BY_UNIT, "secret.o"},
		{DEBUG_BY_UNIT, ".o"},
		{DEBUG_BY_UNIT, "/opt/../secret.o"},
		{DEBUG_BY_UNIT, "/opt/./folder/../../secret.o"},
		{DEBUG_BY_UNIT, "/opt/link.o"},
		{DEBUG_BY_UNIT, "/opt/up/secret.o"},
		{DEBUG_BY_UNIT, "/opt/text.dwo"},
		{DEBUG_BY_UNIT, "/opt/fifo.dwo"},
		{DEBUG_BY_UNIT, "/opt/folder.dwo"},
		{DEBUG_WAYS, "secret"},
		{0xffffffff, "secret"},
	};

	(void)state;
	put_elf("77/root/opt/svc", "module");
	put_elf("77/root/secret", "x");
	put_elf("77/root/opt/folder/secret", "x");
	put_elf(DEBUG "secret", "x");
	put_elf(DEBUG ".dwz/a/b/secret", "x");
	put_elf(DEBUG ".build-id/ee/01.debug", "x");
	test_folder_put(&folder, "77/root/opt/text", "root:x:0:0");
	assert_int_equal(mkfifoat(folder.fd, "77/root/opt/fifo", 0600), 0);
	put_elf("77/root/secret.o", "x");
	put_elf("77/root/opt/folder.dwo/x", "x");
	test_folder_put(&folder, "77/root/opt/text.dwo", "root:x:0:0");
	assert_int_equal(mkfifoat(folder.fd, "77/root/opt/fifo.dwo", 0600), 0);
	assert_int_equal(symlinkat("../secret.o", folder.fd, "77/root/opt/link.o"), 0);
	assert_int_equal(symlinkat("..", folder.fd, "77/root/opt/up"), 0);
	assert_int_equal(symlinkat("../secret", folder.fd, "77/root/opt/link"), 0);
	assert_int_equal(symlinkat("..", folder.fd, DEBUG ".dwz/up"), 0);
	assert_int_equal(symlinkat("01.debug", folder.fd, DEBUG ".build-id/ee/00.debug"), 0);
	assert_true(open_mapping("/opt/svc", 0, 1) >= 0);
	size_t before = count_descriptors();
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
		assert_true(open_debug("/opt/svc", tricks[i].way, tricks[i].name) < 0);

	/* strings that do not end; and only for what was mapped */
	struct open_debug request = debug_request("/opt/svc", DEBUG_BY_LINK, "folder");
	memset(request.name, 'a', sizeof(request.name));
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -EINVAL);
	request = debug_request("/opt/svc", DEBUG_BY_LINK, "folder");
	memset(request.module.path, '/', sizeof(request.module.path));
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -EINVAL);
	request = debug_request("/opt/svc", DEBUG_BY_LINK, "folder");
	memset(request.module.build_id, '0', sizeof(request.module.build_id));
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -EINVAL);
	assert_int_equal(open_debug("/secret", DEBUG_BY_LINK, "secret"), -ENOENT);
	assert_int_equal(open_debug("", DEBUG_BY_LINK, "secret"), -EINVAL);
	assert_int_equal(open_debug("svc", DEBUG_BY_LINK, "secret"), -EINVAL); /* beside it: where? */
	assert_int_equal(count_descriptors(), before);
}

/* The last profile is made when the processes are gone; what they saw was kept. */
static void
test_debug_files_of_the_dead(void **state)
{
	(void)state;
	put_elf("77/root/opt/svc", "module");
	put_elf("77/root/opt/svc.debug", "beside");
	put_elf(DEBUG ID_PATH, "by id");
	put_elf("own/svc", "ours");
	put_elf("own/svc.debug", "beside ours");
	assert_true(open_mapping("/opt/svc", 0, 1) >= 0);
	assert_int_equal(renameat(folder.fd, "77/root", folder.fd, "was root"), 0);
	expect_debug("/opt/svc", DEBUG_BY_BUILD_ID, ID, "by id");
	expect_debug("/opt/svc", DEBUG_BY_LINK, "svc.debug", "beside");
	assert_true(open_mapping(own_path("own/svc"), 0, 1) >= 0); /* never had a view */
	expect_debug(own_path("own/svc"), DEBUG_BY_LINK, "svc.debug", "beside ours");
	assert_int_equal(found_at, 3);
}

/* More containers than views are kept for: the first is looked for as we see it. */
static void
test_many_views(void **state)
{
	(void)state;
	for (uint32_t pid = 100; pid < 120; pid++) {
		char name[64], text[32];
		struct open_mapping request = request_for("/svc", 0, (uint8_t)(pid - 99));

		snprintf(name, sizeof(name), "%u/root/svc", pid);
		put_elf(name, "module");
		snprintf(name, sizeof(name), "%u/root/svc.debug", pid);
		snprintf(text, sizeof(text), "debug of %u", pid);
		put_elf(name, text);
		snprintf(name, sizeof(name), "%u/root/usr/lib/debug/x", pid);
		put_elf(name, "x");
		request.pid = pid;
		assert_true(broker_open_mapping(broker, &request, &found_at) >= 0);
	}
	assert_int_equal(count_descriptors(), descriptors_before + 1 + 20 + VIEWS_MAX_FILES);
	struct open_debug request = debug_request("/svc", DEBUG_BY_LINK, "svc.debug");
	assert_int_equal(broker_open_debug(broker, &request, &found_at), -ENOENT);
	memset(request.module.build_id, 0, sizeof(request.module.build_id));
	for (int i = 0; i < 20; i++)
		strcat(request.module.build_id, "14"); /* of the last */
	OWNED_FD fd = broker_open_debug(broker, &request, &found_at);
	expect_content(fd, "debug of 119");
}

static void
test_no_proc(void **state)
{
	struct broker *blind = broker_new(-1, 1, 0);
	struct open_mapping request;

	(void)state;
	put_elf("own", "ours");
	request = request_for(own_path("own"), inode_of("own"), 0);
	expect_content(broker_open_mapping(blind, &request, &found_at), "ours");
	broker_free(blind);
	broker_free(NULL);
}

#define BROKER_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BROKER_TEST(test_as_the_target_sees_it),
		BROKER_TEST(test_only_what_the_kernel_named),
		BROKER_TEST(test_target_before_own),
		BROKER_TEST(test_own_path),
		BROKER_TEST(test_only_regular_files),
		BROKER_TEST(test_only_elf_files),
		BROKER_TEST(test_no_link_is_followed),
		BROKER_TEST(test_broken_requests),
		BROKER_TEST(test_known_files_only),
		BROKER_TEST(test_known_by_inode),
		BROKER_TEST(test_asked_again_after_deletion),
		BROKER_TEST(test_asked_again_after_replacement),
		BROKER_TEST(test_files_of_the_kernel),
		BROKER_TEST(test_places_in_order),
		BROKER_TEST(test_least_recently_used_goes),
		BROKER_TEST(test_debug_files),
		BROKER_TEST(test_units_of_a_container),
		BROKER_TEST(test_debug_path_tricks),
		BROKER_TEST(test_debug_files_of_the_dead),
		BROKER_TEST(test_many_views),
		BROKER_TEST(test_no_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
