/* A successor reads every record its predecessor appended, in order, and stumbles over none that was torn. */

#include "worker/process/journal.h"

#include "tests/support/descriptors.h"
#include "tests/support/random.h"
#include "tests/support/records.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct record_builder built;
static int file;

static int
start(void **state)
{
	(void)state;
	file = file_with("");
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	return close(file);
}

/* A record whose bytes follow from its number. */
static void
build(unsigned number)
{
	uint64_t seed = number;
	size_t size = number % 7 == 0 ? SIDEBAND_MAX_BYTES : 8 + 8 * random_below(&seed, 40);

	record_begin(&built, PERF_RECORD_COMM, (uint16_t)number);
	while (built.size < size)
		record_u64(&built, random_next(&seed));
	record_end(&built);
}

static void
append(struct journal *journal, unsigned number)
{
	build(number);
	assert_int_equal(journal_append(journal, built.bytes, built.size), 0);
}

static void
expect_next(void *context, const uint8_t *record, size_t size)
{
	unsigned *next = context;

	build((*next)++);
	assert_int_equal(size, built.size);
	assert_memory_equal(record, built.bytes, size);
}

static void
expect_replay(int result, unsigned count)
{
	unsigned next = 0;

	assert_int_equal(journal_replay(file, expect_next, &next), result);
	assert_int_equal(next, count);
}

static void
test_append_and_replay(void **state)
{
	struct journal journal;

	(void)state;
	expect_replay(0, 0);
	assert_int_equal(journal_open(file, &journal), 0);
	for (unsigned i = 0; i < 2000; i++) {
		append(&journal, i);
		if (i % 500 == 0)
			expect_replay(0, i + 1);
	}
	expect_replay(0, 2000);
	assert_int_equal(journal.bytes, lseek(file, 0, SEEK_END));
	assert_false(journal.is_full);
}

/* A successor appends where its predecessor stopped, even though replaying is done by position. */
static void
test_successor_appends(void **state)
{
	struct journal first, second;

	(void)state;
	assert_int_equal(journal_open(file, &first), 0);
	append(&first, 0);
	append(&first, 1);
	expect_replay(0, 2);
	lseek(file, 0, SEEK_SET); /* the position is shared with the supervisor's descriptor */
	assert_int_equal(journal_open(file, &second), 0);
	assert_int_equal(second.bytes, first.bytes);
	append(&second, 2);
	expect_replay(0, 3);
}

/* The writer died within its last write. What follows a torn record cannot be found, so a successor must not
 * simply append behind it. */
static void
test_torn_tail(void **state)
{
	struct journal journal;

	(void)state;
	assert_int_equal(journal_open(file, &journal), 0);
	for (unsigned i = 1; i <= 3; i++) /* numbers of small records, see build() */
		append(&journal, i);
	uint64_t whole = journal.bytes;
	build(3);
	for (uint64_t cut = 1; cut < built.size; cut++) {
		unsigned next = 1;

		assert_int_equal(ftruncate(file, (off_t)(whole - cut)), 0);
		assert_int_equal(journal_replay(file, expect_next, &next), 0);
		assert_int_equal(next, 3);
		build(3);
		assert_int_equal(ftruncate(file, (off_t)(whole - built.size)), 0);
		assert_int_equal(pwrite(file, built.bytes, built.size, (off_t)(whole - built.size)),
				 built.size);
	}
}

static void
test_append_after_torn_tail(void **state)
{
	struct journal journal;
	unsigned next = 1;

	(void)state;
	assert_int_equal(journal_open(file, &journal), 0);
	append(&journal, 1);
	build(2);
	assert_int_equal(write(file, built.bytes, built.size - 4), built.size - 4);
	assert_int_equal(journal_replay(file, expect_next, &next), 0);
	assert_int_equal(next, 2);
	assert_int_equal(journal_open(file, &journal), 0);
	append(&journal, 2);
	append(&journal, 3);
	next = 1;
	assert_int_equal(journal_replay(file, expect_next, &next), 0);
	assert_int_equal(next, 4);
}

static void
test_full(void **state)
{
	struct journal journal;

	(void)state;
	build(7);
	assert_int_equal(journal_open(file, &journal), 0);
	journal.bytes = JOURNAL_MAX_BYTES - built.size - 8; /* as if so much had been appended */
	append(&journal, 7);
	assert_int_equal(journal_append(&journal, built.bytes, 16), -ENOSPC);
	assert_true(journal.is_full);
	assert_int_equal(journal_append(&journal, built.bytes, 8),
			 -ENOSPC); /* it would fit, but one is missing */
	assert_int_equal(lseek(file, 0, SEEK_END), built.size);
}

static void
test_compaction_is_due(void **state)
{
	struct journal journal;

	(void)state;
	assert_int_equal(journal_open(file, &journal), 0);
	while (!journal_wants_compaction(&journal))
		append(&journal, 7);
	assert_in_range(journal.bytes, 1 << 20, JOURNAL_MAX_BYTES / 2); /* in time, and not for trifles */
	assert_int_equal(journal_open(file, &journal), 0);
	assert_false(journal_wants_compaction(&journal)); /* not again before it has doubled */
}

static void
test_close(void **state)
{
	struct journal journal;
	size_t before = count_descriptors();

	(void)state;
	assert_int_equal(journal_open(dup(file), &journal), 0);
	journal_close(&journal);
	assert_int_equal(journal.fd, -1);
	assert_int_equal(count_descriptors(), before);
	journal_close(&journal);
}

/* No memory for more: whatever part of a record was written ends the journal. */
static void
test_short_write(void **state)
{
	struct rlimit before, small;
	struct journal journal;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(journal_open(file, &journal), 0);
	append(&journal, 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = journal.bytes + 12;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	build(1);
	int result = journal_append(&journal, built.bytes, built.size);
	int again = journal_append(&journal, built.bytes, built.size);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(result, -ENOSPC);
	assert_int_equal(again, -ENOSPC);
	assert_true(journal.is_full);
	expect_replay(0, 1);
}

static void
test_garbage(void **state)
{
	static const uint16_t sizes[] = {0, 1, 7, SIDEBAND_MAX_BYTES + 1, UINT16_MAX};
	struct journal journal;

	(void)state;
	assert_int_equal(journal_open(file, &journal), 0);
	append(&journal, 0);
	append(&journal, 1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct perf_event_header header = {.type = 1, .size = sizes[i]};

		assert_int_equal(pwrite(file, &header, sizeof(header), (off_t)journal.bytes), sizeof(header));
		expect_replay(-EBADMSG, 2); /* what came before it was handed out */
	}
}

static void
ignore(void *context, const uint8_t *record, size_t size)
{
	uint8_t *sum = context;

	for (size_t i = 0; i < size; i++)
		*sum ^= record[i];
}

static void
test_random_garbage(void **state)
{
	uint64_t seed = 3;
	uint8_t sum = 0;

	(void)state;
	for (int run = 0; run < 200; run++) {
		uint64_t words[512];

		for (size_t i = 0; i < 512; i++)
			words[i] = random_next(&seed) & 0x00ffffffffffffff >> random_below(&seed, 24);
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(pwrite(file, words, sizeof(words), 0), sizeof(words));
		int result = journal_replay(file, ignore, &sum);
		assert_true(result == 0 || result == -EBADMSG);
	}
}

static void
test_bad_descriptors(void **state)
{
	struct journal journal = {.fd = 77};
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(journal_open(-1, &journal), -EBADF);
	assert_int_equal(journal_open(pipes[0], &journal), -ESPIPE);
	assert_int_equal(journal.fd, 77);
	assert_int_equal(journal_replay(-1, ignore, NULL), -EBADF);
	assert_int_equal(journal_replay(folder, ignore, NULL), -EISDIR);
	close(pipes[0]);
	close(pipes[1]);
	close(folder);
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNAL_TEST(test_append_and_replay),
		JOURNAL_TEST(test_successor_appends),
		JOURNAL_TEST(test_torn_tail),
		JOURNAL_TEST(test_append_after_torn_tail),
		JOURNAL_TEST(test_full),
		JOURNAL_TEST(test_compaction_is_due),
		JOURNAL_TEST(test_close),
		JOURNAL_TEST(test_short_write),
		JOURNAL_TEST(test_garbage),
		JOURNAL_TEST(test_random_garbage),
		JOURNAL_TEST(test_bad_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
