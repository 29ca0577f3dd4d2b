/* A profile's file is a gzip of all its bytes, or is not there; and nothing else is left in the folder. */

#include "worker/export/file.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/random.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include <cmocka.h>

static struct test_folder folder;
static char list[4096];
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static int
profile_of(const uint8_t *bytes, size_t size)
{
	int fd = file_with("");

	assert_int_equal(write(fd, bytes, size), size);
	return fd;
}

static uint8_t *
random_bytes(size_t size, unsigned bits)
{
	uint8_t *bytes = malloc(size + 1);
	uint64_t seed = size;

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(random_next(&seed) >> (64 - bits));
	return bytes;
}

/* What zlib makes of the file. */
static void
expect_gzip(const char *name, const uint8_t *bytes, size_t size)
{
	char path[300];
	uint8_t *read = malloc(size + 1);

	assert_non_null(read);
	snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	gzFile file = gzopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(gzread(file, read, (unsigned)size + 1), size);
	assert_false(gzdirect(file)); /* it really was compressed */
	assert_memory_equal(read, bytes, size);
	assert_int_equal(gzclose(file), Z_OK);
	free(read);
}

static void
test_round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 1000, 5000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (unsigned bits = 1; bits <= 8; bits += 7) { /* compressible, and not */
			uint8_t *bytes = random_bytes(sizes[i], bits);
			OWNED_FD profile = profile_of(bytes, sizes[i]);
			uint64_t written = 0;
			struct stat status;

			assert_int_equal(export_file(folder.fd, "p.pprof", profile, &written), 0);
			assert_string_equal(test_folder_list(&folder, list), "p.pprof\n");
			assert_int_equal(fstatat(folder.fd, "p.pprof", &status, AT_SYMLINK_NOFOLLOW), 0);
			assert_int_equal(status.st_size, written);
			assert_true(S_ISREG(status.st_mode));
			assert_int_equal(status.st_mode & 07777, 0600); /* the caller's alone */
			expect_gzip("p.pprof", bytes, sizes[i]);
			free(bytes);
		}
	}
}

static void
test_gzip_program(void **state)
{
	uint8_t *bytes = random_bytes(100000, 4);
	char command[400], read[100001];
	uint64_t written;

	(void)state;
	if (access(GZIP, X_OK) < 0) {
		free(bytes);
		skip();
	}
	OWNED_FD profile = profile_of(bytes, 100000);
	assert_int_equal(export_file(folder.fd, "p", profile, &written), 0);
	snprintf(command, sizeof(command), "%s -dc < %s/p", GZIP, folder.path);
	FILE *output = popen(command, "re");
	assert_non_null(output);
	assert_int_equal(fread(read, 1, sizeof(read), output), 100000);
	assert_int_equal(pclose(output), 0);
	assert_memory_equal(read, bytes, 100000);
	free(bytes);
}

/* Another's file keeps its name, and ours gets the other one; written again, it is still one file. */
static void
test_beside(void **state)
{
	const uint8_t first[] = "first", second[] = "second";
	const char *name = NULL;

	(void)state;
	assert_int_equal(export_file_write_beside(folder.fd, "p", "p-1", first, sizeof(first), &name), 0);
	assert_string_equal(name, "p");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			export_file_write_beside(folder.fd, "p", "p-2", second, sizeof(second), &name), 0);
		assert_string_equal(name, "p-2");
	}
	assert_string_equal(test_folder_list(&folder, list), "p\np-2\n");
	OWNED_FD kept = openat(folder.fd, "p", O_RDONLY | O_CLOEXEC);
	char content[sizeof(first)] = "";
	assert_int_equal(read(kept, content, sizeof(content)), sizeof(first));
	assert_string_equal(content, "first");
}

/* The name may be there: it is replaced at once, and who has the old file open keeps it. */
static void
test_existing_name(void **state)
{
	OWNED_FD profile = file_with("new");
	uint64_t written;
	char old[4] = "";

	(void)state;
	test_folder_put(&folder, "p", "old");
	OWNED_FD reader = openat(folder.fd, "p", O_RDONLY | O_CLOEXEC);
	assert_int_equal(export_file(folder.fd, "p", profile, &written), 0);
	assert_int_equal(pread(reader, old, 3, 0), 3);
	assert_string_equal(old, "old");
	expect_gzip("p", (const uint8_t *)"new", 3);
	assert_string_equal(test_folder_list(&folder, list), "p\n");
}

/* An exporter that was killed half-way leaves its temporary; the second attempt has the same name. */
static void
test_after_a_killed_attempt(void **state)
{
	OWNED_FD profile = file_with("whole");
	uint64_t written;

	(void)state;
	test_folder_put(&folder, ".p.tmp", "ha");
	assert_int_equal(export_file(folder.fd, "p", profile, &written), 0);
	expect_gzip("p", (const uint8_t *)"whole", 5);
	assert_string_equal(test_folder_list(&folder, list), "p\n");
}

/* A link somebody put there is not written through. */
static void
test_symbolic_links(void **state)
{
	OWNED_FD profile = file_with("profile");
	uint64_t written;
	struct stat status;

	(void)state;
	test_folder_put(&folder, "victim", "untouched");
	assert_int_equal(symlinkat("victim", folder.fd, ".p.tmp"), 0);
	assert_int_equal(symlinkat("victim", folder.fd, "p"), 0);
	(void)export_file(folder.fd, "p", profile, &written);
	assert_int_equal(fstatat(folder.fd, "victim", &status, 0), 0);
	assert_int_equal(status.st_size, strlen("untouched"));
}

static void
expect_failure(int in, const char *name, int profile, int result)
{
	uint64_t written = 99;

	assert_int_equal(export_file(in, name, profile, &written), result);
	assert_int_equal(written, 99);
	assert_string_equal(test_folder_list(&folder, list), "");
}

static void
test_broken_profiles(void **state)
{
	int pipes[2];
	OWNED_FD write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
	OWNED_FD huge = file_with("");

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(ftruncate(huge, 1ll << 40), 0);
	expect_failure(folder.fd, "p", -1, -EBADF);
	expect_failure(folder.fd, "p", pipes[0], -ESPIPE);
	expect_failure(folder.fd, "p", huge, -EFBIG);
	close(pipes[0]);
	close(pipes[1]);
}

static void
test_broken_places(void **state)
{
	OWNED_FD profile = file_with("profile");
	char long_name[300];

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	expect_failure(-1, "p", profile, -EBADF);
	expect_failure(profile, "p", profile, -ENOTDIR);
	expect_failure(folder.fd, "no/such/folder", profile, -ENOENT);
	expect_failure(folder.fd, long_name, profile, -ENAMETOOLONG);
}

/* A folder of that name: the temporary can be written, but not renamed. */
static void
test_name_is_a_folder(void **state)
{
	OWNED_FD profile = file_with("profile");
	uint64_t written = 99;

	(void)state;
	test_folder_put(&folder, "p/inside", "x");
	assert_true(export_file(folder.fd, "p", profile, &written) < 0);
	assert_int_equal(written, 99);
	assert_string_equal(test_folder_list(&folder, list), "p\n");
}

static void
test_read_only_folder(void **state)
{
	OWNED_FD profile = file_with("profile");

	(void)state;
	assert_int_equal(fchmod(folder.fd, 0555), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(65534), 0); /* root may write anywhere */
	uint64_t written = 99;
	int result = export_file(folder.fd, "p", profile, &written);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(fchmod(folder.fd, 0755), 0);
	assert_int_equal(result, -EACCES);
	assert_string_equal(test_folder_list(&folder, list), "");
}

/* In a mount namespace of its own, so that nothing is left mounted. Exit status 0: as it should be. */
static int
fill_a_small_disk(void)
{
	uint8_t *bytes = random_bytes(1 << 20, 8); /* does not compress: more than the disk holds */
	struct test_folder disk = folder;
	uint64_t written = 99;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder.path, "tmpfs", 0, "size=64k") < 0)
		return 77;
	disk.fd = open(disk.path, O_RDONLY | O_DIRECTORY);
	int large = profile_of(bytes, 1 << 20), small = profile_of(bytes, 1000);
	free(bytes);
	if (export_file(disk.fd, "p", large, &written) != -ENOSPC || written != 99)
		return 1;
	if (strcmp(test_folder_list(&disk, list), "") != 0)
		return 2;
	if (export_file(disk.fd, "p", small, &written) != 0) /* the room is there again */
		return 3;
	return strcmp(test_folder_list(&disk, list), "p\n") == 0 ? 0 : 4;
}

static void
test_full_disk(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(fill_a_small_disk());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* mounting needs privileges */
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_round_trip),       FILE_TEST(test_gzip_program),
		FILE_TEST(test_beside),           FILE_TEST(test_after_a_killed_attempt),
		FILE_TEST(test_existing_name),    FILE_TEST(test_after_a_killed_attempt),
		FILE_TEST(test_symbolic_links),   FILE_TEST(test_broken_profiles),
		FILE_TEST(test_broken_places),    FILE_TEST(test_name_is_a_folder),
		FILE_TEST(test_read_only_folder), FILE_TEST(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
