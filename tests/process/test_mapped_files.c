/* What is opened is the file that was mapped, once, or nothing. */

#include "worker/process/mapped_files.h"

#include "ipc/fd.h"
#include "tests/elf/elf_builder.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static const uint8_t id[20] = {1,    2,    3,    4,    5,    6,    7, 8, 9,    10,
			       0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0, 0x10, 0x20};
static const uint8_t other_id[20] = {9};
static const uint8_t zero_tail_id[20] = {1, 2, 3}; /* looks like its first 16 bytes */

static struct mapped_files *files;
static struct {
	int fd; /* what the supervisor answers: a descriptor, or -errno */
	unsigned requests;
	struct open_mapping last;
} broker;
static size_t descriptors_before;

static int
answer(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	assert_ptr_equal(context, &broker);
	broker.requests++;
	broker.last = *request;
	*ret_candidate = request->first_candidate;
	return broker.fd >= 0 ? take_fd(&broker.fd) : broker.fd;
}

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	memset(&broker, 0, sizeof(broker));
	broker.fd = -ENOENT;
	files = mapped_files_new(answer, &broker);
	return files ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	mapped_files_free(files);
	if (broker.fd >= 0)
		close(broker.fd);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

/* A small ELF file, with this build id unless its size is 0. */
static int
elf_with_build_id(const uint8_t *build_id, size_t size)
{
	static struct elf_builder b;

	elf_builder_init(&b);
	elf_builder_add(&b, PT_LOAD, PF_R | PF_X, 0, 0, 0x1000);
	elf_builder_put(&b, 0xfff, "", 1);
	if (size > 0) {
		size_t note = elf_builder_put_build_id(&b, 0x400, build_id, size);
		elf_builder_add(&b, PT_NOTE, PF_R, 0x400, 0x400, note);
	}
	elf_builder_finish(&b);
	return elf_builder_file(&b);
}

static struct mmap_record
mapping_of(const char *path, const uint8_t *build_id, uint32_t build_id_size, uint64_t inode)
{
	struct mmap_record record = {.path = path, .build_id_size = build_id_size, .inode = inode};

	if (build_id_size > 0)
		memcpy(record.build_id, build_id, build_id_size);
	else
		record.device_major = 8;
	return record;
}

static struct mapped_file *
add(const char *path, const uint8_t *build_id, uint32_t build_id_size, uint64_t inode)
{
	struct mmap_record record = mapping_of(path, build_id, build_id_size, inode);
	uint32_t number = mapped_files_add(files, &record);

	assert_int_not_equal(number, 0);
	assert_int_equal(mapped_files_get(files, number)->number, number);
	return mapped_files_get(files, number);
}

static void
test_identity(void **state)
{
	struct mapped_file *by_id = add("/lib/a", id, 20, 0), *by_inode = add("/lib/a", NULL, 0, 5);

	(void)state;
	assert_ptr_equal(add("/lib/a", id, 20, 0), by_id);
	assert_ptr_equal(add("/lib/a", NULL, 0, 5), by_inode);
	assert_ptr_not_equal(by_id, by_inode);
	assert_ptr_not_equal(add("/lib/a", other_id, 20, 0), by_id); /* replaced on disk */
	assert_ptr_not_equal(add("/lib/a", id, 16, 0), by_id);       /* a shorter id is another one */
	assert_ptr_not_equal(add("/lib/b", id, 20, 0), by_id);       /* the same file under another name */
	assert_ptr_not_equal(add("/lib/a", NULL, 0, 6), by_inode);   /* replaced on disk */
	assert_ptr_not_equal(add("/lib/aa", NULL, 0, 5), by_inode);
	struct mmap_record elsewhere = mapping_of("/lib/a", NULL, 0, 5);
	elsewhere.device_minor = 1;
	assert_int_not_equal(mapped_files_add(files, &elsewhere), by_inode->number);
	assert_int_equal(broker.requests, 0); /* nothing is opened before it is sampled */
	assert_int_equal(by_id->number, 1);
	assert_int_equal(by_id->state, MAPPED_FILE_UNOPENED);
	assert_null(mapped_files_get(files, 0));
	assert_null(mapped_files_get(files, 9));
	assert_null(mapped_files_get(files, UINT32_MAX));
}

/* The bytes after a short build id are not part of it. */
static void
test_identity_is_only_the_identity(void **state)
{
	struct mmap_record record = mapping_of("/lib/a", id, 4, 0);
	uint32_t number = mapped_files_add(files, &record);

	(void)state;
	memset(record.build_id + 4, 0x77, 16);
	record.start = 0x1000;
	record.pid = 9;
	assert_int_equal(mapped_files_add(files, &record), number);
}

static void
test_open_by_build_id(void **state)
{
	struct mapped_file *file = add("/lib/a", id, 20, 0);

	(void)state;
	broker.fd = elf_with_build_id(id, 20);
	mapped_files_open(files, file, 77);
	assert_int_equal(file->state, MAPPED_FILE_OPEN);
	assert_non_null(file->module);
	assert_non_null(file->image);
	assert_true(file->fd >= 0);
	assert_string_equal(file->build_id_hex, "0102030405060708090aaabbccddeeff00001020");
	assert_int_equal(broker.last.pid, 77);
	assert_string_equal(broker.last.path, "/lib/a");
	assert_int_equal(broker.last.build_id_size, 20);
	assert_memory_equal(broker.last.build_id, id, 20);
	mapped_files_open(files, file, 78);
	mapped_files_open(files, add("/lib/a", id, 20, 0), 79);
	assert_int_equal(broker.requests, 1);
}

/* Without a build id from the kernel, the supervisor compares the inode; the file's own goes into the
 * profile. */
static void
test_open_by_inode(void **state)
{
	struct mapped_file *with_id = add("/lib/a", NULL, 0, 5), *without = add("/lib/b", NULL, 0, 6),
			   *with_long_id = add("/lib/c", NULL, 0, 7);
	uint8_t long_id[32] = {1};

	(void)state;
	broker.fd = elf_with_build_id(id, 20);
	mapped_files_open(files, with_id, 1);
	assert_int_equal(with_id->state, MAPPED_FILE_OPEN);
	assert_int_equal(broker.last.inode, 5);
	assert_int_equal(broker.last.device_major, 8);
	assert_int_equal(broker.last.build_id_size, 0);
	assert_string_equal(with_id->build_id_hex, "0102030405060708090aaabbccddeeff00001020");
	/* what was read from the file does not change what the mapping is known by */
	assert_ptr_equal(add("/lib/a", NULL, 0, 5), with_id);

	broker.fd = elf_with_build_id(NULL, 0);
	mapped_files_open(files, without, 1);
	assert_int_equal(without->state, MAPPED_FILE_OPEN);
	assert_string_equal(without->build_id_hex, "");

	broker.fd = elf_with_build_id(long_id, sizeof(long_id));
	mapped_files_open(files, with_long_id, 1);
	assert_int_equal(with_long_id->state, MAPPED_FILE_OPEN);
	assert_string_equal(with_long_id->build_id_hex, "");
}

static void
test_not_the_mapped_file(void **state)
{
	struct mapped_file *replaced = add("/lib/a", id, 20, 0), *stripped = add("/lib/b", id, 20, 0),
			   *shorter = add("/lib/c", zero_tail_id, 20, 0), *text = add("/lib/d", NULL, 0, 5),
			   *gone = add("/lib/e", NULL, 0, 6);

	(void)state;
	broker.fd = elf_with_build_id(other_id, 20);
	mapped_files_open(files, replaced, 1);
	broker.fd = elf_with_build_id(NULL, 0);
	mapped_files_open(files, stripped, 1);
	broker.fd = elf_with_build_id(zero_tail_id, 16);
	mapped_files_open(files, shorter, 1);
	broker.fd = file_with("#!/bin/sh");
	mapped_files_open(files, text, 1);
	broker.fd = -ESTALE;
	mapped_files_open(files, gone, 1);
	struct mapped_file *all[] = {replaced, stripped, shorter, text, gone};
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(all[i]->state, MAPPED_FILE_UNREADABLE);
		assert_null(all[i]->image);
		assert_null(all[i]->module);
		assert_int_equal(all[i]->fd, -1);
	}
	assert_int_equal(count_descriptors(), descriptors_before); /* all closed again */
	assert_string_equal(replaced->build_id_hex,
			    "0102030405060708090aaabbccddeeff00001020"); /* still known by it */
	broker.fd = -ENOENT;
	mapped_files_open(files, replaced, 1); /* not asked for again */
	assert_int_equal(broker.requests, 9);  /* four were looked for at a second place */
}

static enum mapped_file_state
state_when_mapped_at(const char *path, uint32_t build_id_size, int64_t time_ns)
{
	struct mmap_record record = mapping_of(path, id, build_id_size, 5);
	struct mapped_file *file;

	record.time_ns = (uint64_t)time_ns;
	file = mapped_files_get(files, mapped_files_add(files, &record));
	broker.fd = elf_with_build_id(id, build_id_size);
	assert_int_equal(futimens(broker.fd, NULL), 0);
	mapped_files_open(files, file, 1);
	return file->state;
}

/* What was written over before it could be opened is newer than its mapping; a build id tells better. */
static void
test_modified_since_mapped(void **state)
{
	const int64_t second_ns = 1000000000;
	struct timespec now;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t now_ns = (int64_t)now.tv_sec * second_ns + now.tv_nsec;
	assert_int_equal(state_when_mapped_at("/a", 0, now_ns + second_ns), MAPPED_FILE_OPEN);
	broker.requests = 0;
	assert_int_equal(state_when_mapped_at("/b", 0, now_ns - second_ns), MAPPED_FILE_UNREADABLE);
	assert_int_equal(broker.requests, 2);                                 /* it may be at another place */
	assert_int_equal(state_when_mapped_at("/c", 0, 0), MAPPED_FILE_OPEN); /* nobody knows */
	assert_int_equal(state_when_mapped_at("/d", 20, now_ns - second_ns), MAPPED_FILE_OPEN);
}

static void
test_vdso(void **state)
{
	struct mapped_file *file = add("[vdso]", NULL, 0, 0);

	(void)state;
	assert_int_equal(file->state, MAPPED_FILE_UNOPENED);
	mapped_files_open(files, file, 1);
	assert_int_equal(file->state, MAPPED_FILE_OPEN);
	assert_int_equal(file->fd, -1);
	assert_non_null(file->module);
	assert_int_equal(broker.requests, 0);
	assert_true(file->build_id_size > 0); /* which the kernel does not tell */
	assert_int_equal(strlen(file->build_id_hex), 2 * file->build_id_size);

	const struct elf_segment *segments; /* it is an image with code in it */
	size_t count = elf_image_segments(file->image, &segments), executable = 0;
	for (size_t i = 0; i < count; i++)
		executable += segments[i].executable;
	assert_true(executable > 0);
}

static void
test_anonymous_names(void **state)
{
	static const struct {
		const char *path;
		enum mapped_file_state state;
	} cases[] = {
		{"//anon", MAPPED_FILE_ANONYMOUS},
		{"[heap]", MAPPED_FILE_ANONYMOUS},
		{"[stack]", MAPPED_FILE_ANONYMOUS},
		{"[anon:jit]", MAPPED_FILE_ANONYMOUS},
		{"[vsyscall]", MAPPED_FILE_ANONYMOUS},
		{"[uprobes]", MAPPED_FILE_ANONYMOUS},
		{"", MAPPED_FILE_ANONYMOUS},
		{"relative", MAPPED_FILE_ANONYMOUS},
		{"/memfd:jit (deleted)", MAPPED_FILE_ANONYMOUS},
		{"/dev/zero (deleted)", MAPPED_FILE_ANONYMOUS},
		{"/SYSV00000000 (deleted)", MAPPED_FILE_ANONYMOUS},
		{"/anon_hugepage (deleted)", MAPPED_FILE_ANONYMOUS},
		{"/usr/bin/true", MAPPED_FILE_UNOPENED},
		{"/device", MAPPED_FILE_UNOPENED},
		{"/", MAPPED_FILE_UNOPENED},
		{"[vdso]", MAPPED_FILE_UNOPENED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mapped_file *file = add(cases[i].path, NULL, 0, i + 1);

		if (file->state != cases[i].state)
			fail_msg("%s: %d", cases[i].path, file->state);
		if (file->state == MAPPED_FILE_ANONYMOUS) {
			mapped_files_open(files, file, 1);
			assert_int_equal(file->state, MAPPED_FILE_ANONYMOUS);
		}
	}
	assert_int_equal(broker.requests, 0);
	assert_int_equal(add("/memfd:svc (deleted)", (const uint8_t *)"id", 2, 0)->state,
			 MAPPED_FILE_UNOPENED);
}

static void
test_longest_path(void **state)
{
	static char path[MAX_PATH_BYTES];

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	broker.fd = elf_with_build_id(NULL, 0);
	mapped_files_open(files, add(path, NULL, 0, 5), 1);
	assert_string_equal(broker.last.path, path);
	assert_int_equal(broker.last.path[MAX_PATH_BYTES - 1], 0);
}

#define FILES_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILES_TEST(test_identity),
		FILES_TEST(test_identity_is_only_the_identity),
		FILES_TEST(test_open_by_build_id),
		FILES_TEST(test_open_by_inode),
		FILES_TEST(test_not_the_mapped_file),
		FILES_TEST(test_modified_since_mapped),
		FILES_TEST(test_vdso),
		FILES_TEST(test_anonymous_names),
		FILES_TEST(test_longest_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
