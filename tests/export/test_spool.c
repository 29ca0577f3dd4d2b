/* What was stored is found again, whole, by whoever comes next, and by one at a time; whatever else is in the
 * folder stays as it is. */

#include "worker/export/spool.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "worker/export/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define LAUNCH "01234567-89ab-4cde-8f01-23456789abcd"
#define OTHER_LAUNCH "fedcba98-89ab-4cde-8f01-23456789abcd"
#define SECOND 1000000000ll
#define NOW (1000000 * SECOND)
#define PPROF "bytes of a profile, bytes of a profile, bytes of a profile"

static struct test_folder folder;
static size_t descriptors_before;
static char taken[1024];   /* "5 " for each claimed, in order */
static char trouble[1024]; /* "full " or "old ", '+' for own; "skipped:errno " */
static struct spool_file *claimed[256];
static struct profile_facts facts_of_last;
static size_t claimed_count;

static void
note(char *log, const char *text)
{
	assert_true(strlen(log) + strlen(text) < 1024);
	strcat(log, text);
}

static void
take(void *context, struct spool_file *file, const struct profile_facts *facts)
{
	char text[32];

	(void)context;
	snprintf(text, sizeof(text), "%u ", (unsigned)facts->sequence);
	note(taken, text);
	facts_of_last = *facts;
	claimed[claimed_count++] = file;
}

static void
forget_claimed(const struct spool_file *file)
{
	for (size_t i = 0; i < claimed_count; i++)
		if (claimed[i] == file)
			claimed[i] = NULL;
}

static bool
give_up(void *context, struct spool_file *file)
{
	forget_claimed(file);
	spool_file_remove(*(struct spool **)context, file);
	return true;
}

static void
lost(void *context, enum spool_loss loss, bool is_own)
{
	(void)context;
	note(trouble, loss == SPOOL_OLD ? "old" : "full");
	note(trouble, is_own ? "+ " : " ");
}

static void
skipped(void *context, const char *name, int error)
{
	char text[32];

	(void)context;
	assert_non_null(name);
	snprintf(text, sizeof(text), "skipped:%d ", -error);
	note(trouble, text);
}

/* An exporter of one launch; several may be open at once, as several runs would be. */
static struct spool *
open_spool(const char *launch, uint64_t max_bytes)
{
	static struct spool *spools[16];
	static size_t next;
	struct spool **slot = &spools[next++ % 16];
	const struct spool_settings settings = {
		.folder = openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.service = "svc",
		.environment = "prod",
		.runtime_id = launch,
		.max_bytes = max_bytes,
		.max_age_s = 1000,
		.context = slot,
		.give_up = give_up,
		.lost = lost,
		.skipped = skipped,
	};

	assert_int_equal(spool_new(&settings, slot), 0);
	return *slot;
}

static struct spool *
spool_of(const char *launch)
{
	return open_spool(launch, 1 << 30);
}

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	taken[0] = trouble[0] = 0;
	claimed_count = 0;
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
store_at(struct spool *spool, const char *launch, uint64_t sequence, int64_t end_ns, struct spool_file **ret)
{
	struct profile_facts facts = {.sequence = sequence, .end_ns = end_ns, .start_ns = end_ns - 5};

	strcpy(facts.runtime_id, launch);
	strcpy(facts.service, "svc");
	strcpy(facts.tags, "team:a");
	return spool_store(spool, &facts, (const uint8_t *)PPROF, strlen(PPROF), NOW, ret);
}

static struct spool_file *
store(struct spool *spool, const char *launch, uint64_t sequence)
{
	struct spool_file *file = NULL;

	assert_int_equal(store_at(spool, launch, sequence, NOW - 10000 + (int64_t)sequence, &file), 0);
	assert_non_null(file);
	return file;
}

static void
claim(struct spool *spool)
{
	taken[0] = 0;
	claimed_count = 0;
	assert_int_equal(spool_claim(spool, NOW, take), 0);
}

static void
expect_content(const struct spool_file *file)
{
	uint8_t *pprof;
	size_t size;

	assert_int_equal(spool_file_read(file, &pprof, &size), 0);
	assert_int_equal(size, strlen(PPROF));
	assert_memory_equal(pprof, PPROF, size);
	free(pprof);
}

static unsigned
count_names(void)
{
	static char list[65536];
	unsigned count = 0;

	for (const char *at = test_folder_list(&folder, list); *at; at++)
		count += *at == '\n';
	return count;
}

static void
test_store_and_find(void **state)
{
	(void)state;
	struct spool *first = spool_of(LAUNCH);
	store(first, LAUNCH, 7);
	expect_content(store(first, LAUNCH, 6));
	assert_int_equal(spool_held(first), 2);
	assert_int_equal(spool_counts(first).own, 2);
	assert_true(spool_has(first, 7));
	assert_false(spool_has(first, 8));
	struct spool *second = spool_of(OTHER_LAUNCH);
	claim(second);
	assert_string_equal(taken, ""); /* the first one has the locks */
	assert_int_equal(spool_counts(second).earlier, 2);
	assert_false(spool_has(second, 7));
	spool_free(first); /* as death does */
	claim(second);
	assert_string_equal(taken, "6 7 ");
	expect_content(claimed[1]);
	assert_int_equal(facts_of_last.start_ns, facts_of_last.end_ns - 5);
	assert_string_equal(facts_of_last.runtime_id, LAUNCH);
	assert_string_equal(facts_of_last.tags, "team:a");
	claim(second);
	assert_string_equal(taken, ""); /* it has them */
	spool_free(second);
}

static void
test_remove(void **state)
{
	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	assert_int_equal(spool_file_mark(spool, file, 17), 0);
	assert_int_equal(count_names(), 2);
	spool_file_remove(spool, file);
	assert_int_equal(count_names(), 0);
	assert_int_equal(spool_counts(spool).own, 0);
	assert_int_equal(spool_counts(spool).bytes, 0);
	claim(spool);
	assert_string_equal(taken, "");
	spool_free(spool);
}

/* Which destinations have it survives, by what they are and not by where they stand in a list. */
static void
test_marks(void **state)
{
	struct delivery_destination a = {.kind = 1, .url = "http://a/"}, b = {.kind = 1, .url = "http://b/"};

	(void)state;
	assert_int_not_equal(spool_destination(&a), spool_destination(&b));
	strcpy(b.url, a.url);
	assert_int_equal(spool_destination(&a), spool_destination(&b));
	strcpy(b.unix_socket, "/s");
	assert_int_not_equal(spool_destination(&a), spool_destination(&b));
	strcpy(b.headers, "secret"); /* another key is the same place */
	uint64_t with_key = spool_destination(&b);
	strcpy(b.headers, "other");
	assert_int_equal(with_key, spool_destination(&b));

	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	store(spool, LAUNCH, 2);
	assert_false(spool_file_is_marked(file, spool_destination(&a)));
	assert_int_equal(spool_file_mark(spool, file, spool_destination(&a)), 0);
	assert_int_equal(spool_file_mark(spool, file, spool_destination(&a)), 0);
	assert_true(spool_file_is_marked(file, spool_destination(&a)));
	spool_free(spool);
	spool = spool_of(OTHER_LAUNCH);
	claim(spool);
	assert_string_equal(taken, "1 2 ");
	assert_true(spool_file_is_marked(claimed[0], spool_destination(&a)));
	assert_false(spool_file_is_marked(claimed[0], spool_destination(&b)));
	assert_false(spool_file_is_marked(claimed[1], spool_destination(&a)));
	spool_file_remove(spool, claimed[0]);
	spool_free(spool);
	assert_int_equal(count_names(), 1);
}

/* A remover that died between file and mark. */
static void
test_stray_mark(void **state)
{
	char name[SPOOL_NAME_MAX + 1];

	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	spool_file_mark(spool, file, 17);
	store(spool, LAUNCH, 2);
	snprintf(name, sizeof(name), "%s", file->name);
	assert_int_equal(unlinkat(folder.fd, name, 0), 0);
	claim(spool);
	assert_int_equal(count_names(), 1);
	spool_free(spool);
}

/* Other services, other environments, and strangers' files are none of ours; what has a name of ours and is
 * not what it says is told once. Nothing of it is changed. */
static void
test_other_files(void **state)
{
	char name[SPOOL_NAME_MAX], key[SPOOL_KEY_DIGITS + 1];
	struct spool_name parts = {.sequence = 1, .end_ns = NOW - 1, .bytes = 5};

	(void)state;
	spool_key("svc", "prod", key);
	strcpy(parts.key, key);
	strcpy(parts.runtime_id, LAUNCH);
	spool_name_format(&parts, name);
	test_folder_put(&folder, name, "12345");
	parts.sequence = 2;
	spool_name_format(&parts, name);
	assert_int_equal(mkfifoat(folder.fd, name, 0600), 0);
	parts.sequence = 3;
	spool_name_format(&parts, name);
	assert_int_equal(symlinkat("/etc/passwd", folder.fd, name), 0);
	parts.sequence = 4;
	spool_name_format(&parts, name);
	assert_int_equal(mkdirat(folder.fd, name, 0700), 0);
	test_folder_put(&folder, "lost+found", "");
	test_folder_put(&folder, ".hidden", "");
	snprintf(name, sizeof(name), "%s-is-not-enough", key);
	test_folder_put(&folder, name, "");
	spool_key("svc", "staging", parts.key);
	assert_string_not_equal(parts.key, key);
	parts.end_ns = 1; /* too old for anybody */
	spool_name_format(&parts, name);
	test_folder_put(&folder, name, "12345");
	unsigned names = count_names();

	struct spool *spool = spool_of(LAUNCH);
	claim(spool);
	assert_string_equal(taken, "");
	assert_int_equal(strlen(trouble) > 0 ? count_names() : 0, names);
	unsigned told = 0;
	for (const char *at = trouble; (at = strstr(at, "skipped")); at++)
		told++;
	assert_int_equal(told, 4);
	trouble[0] = 0;
	claim(spool);
	assert_string_equal(trouble, "");
	assert_int_equal(count_names(), names);
	assert_int_equal(spool_counts(spool).bytes, 0);
	spool_free(spool);
}

/* Every byte of a file matters, and none of them is believed. */
static void
test_damage(void **state)
{
	char name[SPOOL_NAME_MAX];
	static uint8_t bytes[16384];
	struct stat status;

	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	snprintf(name, sizeof(name), "%s", file->name);
	spool_free(spool);
	OWNED_FD fd = openat(folder.fd, name, O_RDWR);
	assert_int_equal(fstat(fd, &status), 0);
	ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
	assert_int_equal(size, status.st_size);
	for (ssize_t at = 0; at < size; at += at < 200 || at > size - 100 ? 1 : 37) {
		uint8_t changed = bytes[at] ^ 0x41;
		struct profile_facts facts;
		uint8_t *pprof = NULL;
		size_t pprof_size;

		assert_int_equal(pwrite(fd, &changed, 1, at), 1);
		int result = spool_image_read_facts(fd, &facts);
		if (result == 0)
			result = spool_image_read(fd, &pprof, &pprof_size);
		if (result == 0)
			fail_msg("byte %d of %d can be changed", (int)at, (int)size);
		assert_true(result == -EBADMSG || result == -ENOTSUP);
		assert_int_equal(pwrite(fd, &bytes[at], 1, at), 1);
	}
	for (off_t length = 0; length < size; length += 61) {
		struct profile_facts facts;

		assert_int_equal(ftruncate(fd, length), 0);
		assert_int_equal(spool_image_read_facts(fd, &facts), -EBADMSG);
	}
}

/* A whole file under another's name would be sent as something it is not. */
static void
test_renamed(void **state)
{
	char name[SPOOL_NAME_MAX];
	struct spool_name parts;

	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	assert_true(spool_name_parse(file->name, &parts));
	parts.sequence = 2;
	spool_name_format(&parts, name);
	assert_int_equal(renameat(folder.fd, file->name, folder.fd, name), 0);
	spool_free(spool);
	spool = spool_of(LAUNCH);
	claim(spool);
	assert_string_equal(taken, "");
	assert_int_equal(strncmp(trouble, "skipped", 7), 0);
	spool_free(spool);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {
		"",
		"0123456789abcdef",
		"0123456789abcdef-00000000000000000001-" LAUNCH "-1-10",
		"0123456789abcdef-00000000000000000001-" LAUNCH "-1-10.ddprof2",
		"0123456789abcdef-1-" LAUNCH "-1-10.ddprof",
		"0123456789abcdef-00000000000000000001-" LAUNCH "-01-10.ddprof",
		"0123456789abcdef-00000000000000000001-" LAUNCH "-+1-10.ddprof",
		"0123456789abcdef-00000000000000000001-" LAUNCH "--1-10.ddprof",
		"0123456789abcdef-00000000000000000001-" LAUNCH "-99999999999999999999-10.ddprof",
		"0123456789abcdef-99999999999999999999-" LAUNCH "-1-10.ddprof",
		"0123456789ABCDEF-00000000000000000001-" LAUNCH "-1-10.ddprof",
		"0123456789abcdef-00000000000000000001-../../../../../../../../etc/passwd01-1-10.ddprof",
	};
	struct spool_name parts;
	uint64_t destination;
	char again[SPOOL_NAME_MAX];
	const char *good = "0123456789abcdef-00000000000000000001-" LAUNCH "-18446744073709551615-10.ddprof";

	(void)state;
	assert_true(spool_name_parse(good, &parts));
	assert_int_equal(parts.end_ns, 1);
	assert_int_equal(parts.sequence, UINT64_MAX);
	assert_int_equal(parts.bytes, 10);
	spool_name_format(&parts, again);
	assert_string_equal(again, good);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (spool_name_parse(bad[i], &parts))
			fail_msg("'%s' passes", bad[i]);
	spool_mark_name(good, 0xabc, again);
	assert_true(spool_mark_parse(again + strlen(good), &destination));
	assert_int_equal(destination, 0xabc);
	assert_false(spool_mark_parse("+abc", &destination));
	assert_false(spool_mark_parse("+000000000000000G", &destination));
	/* the longest there can be */
	parts = (struct spool_name){.end_ns = INT64_MAX, .sequence = UINT64_MAX, .bytes = UINT64_MAX};
	memset(parts.key, 'f', SPOOL_KEY_DIGITS);
	strcpy(parts.runtime_id, LAUNCH);
	spool_name_format(&parts, again);
	assert_true(spool_name_parse(again, &parts));
	assert_true(strlen(again) + 1 + 16 + 1 < SPOOL_NAME_MAX);
}

/* ---- caps ---- */

static void
test_size_cap(void **state)
{
	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	struct spool_file *file = store(spool, LAUNCH, 1);
	uint64_t bytes = spool_counts(spool).bytes;
	spool_file_remove(spool, file);
	spool_free(spool);

	spool = open_spool(LAUNCH, 3 * bytes + 10);
	for (uint64_t i = 1; i <= 3; i++)
		claimed[claimed_count++] = store(spool, LAUNCH, i);
	assert_string_equal(trouble, "");
	store(spool, LAUNCH, 4); /* we hold the oldest ourselves */
	assert_string_equal(trouble, "full+ ");
	assert_false(spool_has(spool, 1));
	assert_int_equal(spool_counts(spool).own, 3);
	spool_free(spool);
	/* left-overs nobody holds */
	spool = open_spool(OTHER_LAUNCH, 3 * bytes + 10);
	trouble[0] = 0;
	claim(spool);
	assert_string_equal(taken, "2 3 4 ");
	for (size_t i = 0; i < 3; i++)
		spool_file_release(spool, claimed[i]);
	store(spool, OTHER_LAUNCH, 1);
	assert_string_equal(trouble, "full ");
	claim(spool);
	assert_string_equal(taken, "3 4 ");
	spool_free(spool);
}

/* What another run is about to send is its own business. */
static void
test_cap_spares_what_others_hold(void **state)
{
	(void)state;
	struct spool *holder = spool_of(LAUNCH);
	store(holder, LAUNCH, 1);
	uint64_t bytes = spool_counts(holder).bytes;
	struct spool *spool = open_spool(OTHER_LAUNCH, bytes + 10);
	store(spool, OTHER_LAUNCH, 1);
	assert_string_equal(trouble, "");
	assert_int_equal(count_names(), 2);
	spool_free(spool);
	spool_free(holder);
}

static void
test_age_cap(void **state)
{
	struct spool_file *file;

	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	assert_int_equal(store_at(spool, LAUNCH, 1, NOW - 1001 * SECOND, &file), 0);
	assert_int_equal(store_at(spool, LAUNCH, 2, NOW - 999 * SECOND, &file), 0);
	assert_int_equal(store_at(spool, LAUNCH, 3, NOW + 5000 * SECOND, &file), 0); /* somebody's clock */
	spool_free(spool);
	spool = spool_of(OTHER_LAUNCH);
	claim(spool);
	assert_string_equal(taken, "2 3 ");
	assert_string_equal(trouble, "old ");
	assert_int_equal(count_names(), 2);
	spool_free(spool);
}

/* A descriptor each: only so many at a time, oldest first. */
static void
test_window(void **state)
{
	(void)state;
	struct spool *spool = spool_of(LAUNCH);
	for (uint64_t i = 0; i < SPOOL_WINDOW + 5; i++)
		spool_file_release(spool, store(spool, LAUNCH, i));
	assert_int_equal(spool_held(spool), 0);
	size_t before = count_descriptors();
	claim(spool);
	assert_int_equal(claimed_count, SPOOL_WINDOW);
	assert_int_equal(count_descriptors(), before + SPOOL_WINDOW);
	assert_int_equal(strncmp(taken, "0 1 2 3 ", 8), 0);
	for (size_t i = 0; i < 10; i++)
		spool_file_remove(spool, claimed[i]);
	claim(spool);
	assert_string_equal(taken, "64 65 66 67 68 ");
	assert_int_equal(spool_counts(spool).own, SPOOL_WINDOW - 5);
	spool_free(spool);
	assert_int_equal(count_descriptors(), before);
}

/* ---- trouble ---- */

static void
test_file_size_limit(void **state)
{
	struct rlimit before, tiny;
	struct spool_file *file;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	struct spool *spool = spool_of(LAUNCH);
	for (rlim_t limit = 0; limit < 3000; limit += 500) {
		tiny = before;
		tiny.rlim_cur = limit;
		setrlimit(RLIMIT_FSIZE, &tiny);
		int result = store_at(spool, LAUNCH, 1, NOW, &file);
		setrlimit(RLIMIT_FSIZE, &before);
		assert_int_equal(result, -EFBIG);
		assert_int_equal(count_names(), 0);
	}
	assert_int_equal(spool_counts(spool).own, 0);
	store(spool, LAUNCH, 1);
	spool_free(spool);
}

static void
test_folder_gone(void **state)
{
	char path[128];
	struct spool_file *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/sub", folder.path);
	assert_int_equal(mkdir(path, 0700), 0);
	int outer = folder.fd;
	folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct spool *spool = spool_of(LAUNCH);
	close(folder.fd);
	folder.fd = outer;
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(store_at(spool, LAUNCH, 1, NOW, &file), -ENOENT);
	assert_false(spool_has(spool, 1));
	spool_free(spool);
}

/* ---- death at any moment ---- */

/* A child that works, stopped at the beginning or end of its system call of that number; -1: it got to its
 * end before. */
static pid_t
stop_at(int number, int (*work)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(work());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	for (int at = 0; at < number; at++) {
		ptrace(PTRACE_SYSCALL, child, NULL, NULL);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			return -1;
	}
	return child;
}

static bool
kill_at(int number, int (*work)(void))
{
	pid_t child = stop_at(number, work);

	if (child < 0)
		return true;
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	return false;
}

static int
work_store(void)
{
	struct spool *spool = spool_of(LAUNCH);

	(void)store(spool, LAUNCH, 1);
	return 0;
}

/* Afterwards there is a whole profile or none, and a successor leaves nothing else lying about. */
static void
test_killed_while_storing(void **state)
{
	bool is_over = false;
	int found = 0, number = 0;

	(void)state;
	for (; !is_over; number++) {
		is_over = kill_at(number, work_store);
		struct spool *spool = spool_of(OTHER_LAUNCH);
		claim(spool);
		assert_true(taken[0] == 0 || strcmp(taken, "1 ") == 0);
		found += taken[0] != 0;
		if (taken[0]) {
			expect_content(claimed[0]);
			spool_file_remove(spool, claimed[0]);
		}
		assert_int_equal(count_names(), 0);
		assert_string_equal(trouble, "");
		spool_free(spool);
	}
	assert_true(number > 20);
	assert_true(found > 2 && found < number - 10);
}

static int
work_finish(void)
{
	struct spool *spool = spool_of(LAUNCH);

	claim(spool);
	if (claimed_count != 1)
		return 1;
	spool_file_mark(spool, claimed[0], 1);
	spool_file_mark(spool, claimed[0], 2);
	spool_file_remove(spool, claimed[0]);
	return 0;
}

/* What was marked stays marked, a file that is gone is gone, and no mark of it stays. */
static void
test_killed_while_finishing(void **state)
{
	bool is_over = false;
	int seen[4] = {0};

	(void)state;
	for (int number = 0; !is_over; number++) {
		struct spool *spool = spool_of(LAUNCH);
		store(spool, LAUNCH, 1);
		spool_free(spool);
		is_over = kill_at(number, work_finish);
		spool = spool_of(OTHER_LAUNCH);
		claim(spool);
		int progress = 3;
		if (claimed_count == 1) {
			assert_true(!spool_file_is_marked(claimed[0], 2) ||
				    spool_file_is_marked(claimed[0], 1));
			progress = spool_file_is_marked(claimed[0], 1) + spool_file_is_marked(claimed[0], 2);
			spool_file_remove(spool, claimed[0]);
		}
		seen[progress]++;
		assert_int_equal(count_names(), 0);
		spool_free(spool);
	}
	for (int i = 0; i < 4; i++)
		assert_true(seen[i] > 0);
}

static int
work_claim(void)
{
	claim(spool_of(OTHER_LAUNCH));
	return (int)claimed_count;
}

/* Another run delivers and removes it at any moment until we have the lock: then it is nobody's to send. */
static void
test_removed_before_it_is_locked(void **state)
{
	pid_t child;
	int status, tried = 0;

	(void)state;
	for (int number = 0;; number++) {
		struct spool *spool = spool_of(LAUNCH);
		struct spool_file *file = store(spool, LAUNCH, 1);
		OWNED_FD other = openat(folder.fd, file->name, O_RDONLY | O_CLOEXEC);
		char name[SPOOL_NAME_MAX];

		snprintf(name, sizeof(name), "%s", file->name);
		spool_free(spool);
		child = stop_at(number, work_claim);
		if (child < 0)
			break;
		bool is_free = flock(other, LOCK_EX | LOCK_NB) == 0;
		assert_int_equal(unlinkat(folder.fd, name, 0), 0);
		flock(other, LOCK_UN); /* closing would not do: the child has it too */
		ptrace(PTRACE_DETACH, child, NULL, NULL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		if (is_free && WEXITSTATUS(status) != 0)
			fail_msg("claimed after it was gone, system call %d", number);
		tried += is_free;
	}
	assert_true(tried > 8);
}

#define SPOOL_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SPOOL_TEST(test_store_and_find),
		SPOOL_TEST(test_remove),
		SPOOL_TEST(test_marks),
		SPOOL_TEST(test_stray_mark),
		SPOOL_TEST(test_other_files),
		SPOOL_TEST(test_damage),
		SPOOL_TEST(test_renamed),
		SPOOL_TEST(test_names),
		SPOOL_TEST(test_size_cap),
		SPOOL_TEST(test_cap_spares_what_others_hold),
		SPOOL_TEST(test_age_cap),
		SPOOL_TEST(test_window),
		SPOOL_TEST(test_file_size_limit),
		SPOOL_TEST(test_folder_gone),
		SPOOL_TEST(test_killed_while_storing),
		SPOOL_TEST(test_killed_while_finishing),
		SPOOL_TEST(test_removed_before_it_is_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
