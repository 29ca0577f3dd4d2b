/* Lines good and bad, in any order and number, against a slow reading of the same text. */

#include "worker/symbolize/perf_map.h"

#include "ipc/fd.h"
#include "tests/support/random.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct file_window window;
static char name[8192];

static int
file_of(const char *text, size_t size)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	return fd;
}

static void
find(int fd, struct file_budget *budget, const uint64_t *addresses, size_t count, struct perf_map_hit *hits)
{
	memset(hits, 0, count * sizeof(*hits));
	file_window_open(&window, fd, budget);
	perf_map_find(&window, addresses, count, hits);
}

/* NULL: none. */
static const char *
name_of(int fd, const struct perf_map_hit *hit)
{
	if (hit->name_size == 0)
		return NULL;
	size_t size = hit->name_size < sizeof(name) ? hit->name_size : sizeof(name) - 1;
	assert_int_equal(pread(fd, name, size, (off_t)hit->name_at), size);
	name[size] = 0;
	return name;
}

static void
expect(const char *text, uint64_t address, const char *wanted)
{
	struct file_budget budget = {.bytes_left = 1 << 30};
	struct perf_map_hit hit;
	OWNED_FD fd = file_of(text, strlen(text));

	find(fd, &budget, &address, 1, &hit);
	const char *found = name_of(fd, &hit);
	if (!found != !wanted || (found && strcmp(found, wanted) != 0))
		fail_msg("\"%s\" at %#" PRIx64 ": %s instead of %s", text, address, found ? found : "nothing",
			 wanted ? wanted : "nothing");
	assert_false(budget.is_exceeded);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *text;
		uint64_t address;
		const char *name;
	} cases[] = {
		{"1000 10 f\n", 0x1000, "f"},
		{"1000 10 f\n", 0x100f, "f"},
		{"1000 10 f\n", 0x1010, NULL},
		{"1000 10 f\n", 0xfff, NULL},
		{"0x1000 0x10 f\n", 0x1008, "f"},
		{"0X1000 0X10 f\n", 0x1008, "f"},
		{"7F00ABcdef00 fF f\n", 0x7f00abcdef00, "f"},
		{"1000 10 LazyCompile:~foo /path/file.js:12\n", 0x1000, "LazyCompile:~foo /path/file.js:12"},
		{"1000 10 a  b \n", 0x1000, "a  b "},
		{"1000\t10 \t f\n", 0x1000, "f"},
		{"1000 10 f\r\n", 0x1000, "f"},
		{"ffffffffffffffff 0 f\nffffffffffffff00 ff f\n", 0xfffffffffffffffe, "f"},
		/* the last one counts */
		{"1000 10 old\n1000 10 new\n", 0x1000, "new"},
		{"1000 100 old\n1080 10 new\n", 0x1080, "new"},
		{"1000 100 old\n1080 10 new\n", 0x107f, "old"},
		{"1000 100 old\n1080 10 new\n", 0x1090, "old"},
		{"2000 10 b\n1000 10 a\n", 0x2000, "b"},
		/* what is no map costs its line */
		{"\n\n1000 10 f\n\n", 0x1000, "f"},
		{"# comment\n1000 10 f\nrubbish\n", 0x1000, "f"},
		{"1000 10\n1000 10 \n1000\n", 0x1000, NULL},
		{" 1000 10 f\n", 0x1000, NULL},
		{"1000 0 f\n", 0x1000, NULL},
		{"0x 10 f\n", 0, NULL},
		{"1000 0x f\n", 0x1000, NULL},
		{"1000 -10 f\n", 0x1000, NULL},
		{"10g0 10 f\n", 0x10, NULL},
		{"00000000000001000 10 f\n", 0x1000, "f"},
		{"10000000000001000 10 f\n", 0x1000, NULL},
		{"ffffffffffffff00 101 f\n", 0xffffffffffffff80, NULL},
		{"1000 ffffffffffffffff f\n", 0x1000, NULL},
		/* still being written */
		{"1000 10 unfinished", 0x1000, NULL},
		{"1000 10 f\n1000 10 unfin", 0x1000, "f"},
		{"", 0x1000, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i].text, cases[i].address, cases[i].name);
}

/* Binary, and a line as long as several blocks, between two good lines. */
static void
test_rubbish_in_between(void **state)
{
	static char text[300000];
	const char first[] = "1000 10 first\n", last[] = "\n2000 10 last\n";
	const uint64_t addresses[] = {0x1000, 0x2000};
	struct perf_map_hit hits[2];
	uint64_t seed = 5;

	(void)state;
	for (int binary = 0; binary < 2; binary++) {
		struct file_budget budget = {.bytes_left = 1 << 30};

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = binary ? (char)random_next(&seed) : 'x';
		memcpy(text, first, strlen(first));
		memcpy(text + sizeof(text) - strlen(last), last, strlen(last));
		OWNED_FD fd = file_of(text, sizeof(text));
		find(fd, &budget, addresses, 2, hits);
		assert_string_equal(name_of(fd, &hits[0]), "first");
		assert_string_equal(name_of(fd, &hits[1]), "last");
	}
}

/* The line that tells: the last one of those that cover the address. */
static void
test_against_a_slow_reading(void **state)
{
	enum { LINES = 20000, ADDRESSES = 3000 };
	static uint64_t starts[LINES], sizes[LINES], addresses[ADDRESSES];
	static struct perf_map_hit hits[ADDRESSES];
	static char text[LINES * 64], wanted[32];
	struct file_budget budget = {.bytes_left = 1 << 30};
	uint64_t seed = 1;
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < LINES; i++) {
		starts[i] = random_below(&seed, 1 << 20);
		sizes[i] = random_below(&seed, 400);
		used += (size_t)sprintf(text + used, "%" PRIx64 " %" PRIx64 " line %zu\n", starts[i],
					sizes[i], i);
	}
	for (size_t i = 0, at = 0; i < ADDRESSES; i++)
		addresses[i] = at += 1 + random_below(&seed, 600);
	OWNED_FD fd = file_of(text, used);
	find(fd, &budget, addresses, ADDRESSES, hits);
	for (size_t i = 0; i < ADDRESSES; i++) {
		size_t line = LINES;

		while (line > 0 && addresses[i] - starts[line - 1] >= sizes[line - 1])
			line--;
		snprintf(wanted, sizeof(wanted), "line %zu", line - 1);
		if (line == 0)
			assert_null(name_of(fd, &hits[i]));
		else
			assert_string_equal(name_of(fd, &hits[i]), wanted);
	}
}

/* A million lines: nothing is kept of them but what was asked for. Of a file beyond the budget the end is
 * read, where the newest code is. */
static void
test_large_file(void **state)
{
	enum { LINES = 1000000 };
	const uint64_t addresses[] = {0x10000000, 0x10000000 + 64ull * (LINES - 1)};
	struct perf_map_hit hits[2];
	struct file_budget budget = {.bytes_left = 1 << 30};
	char *text = malloc(LINES * 32);
	size_t used = 0;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < LINES; i++)
		used += (size_t)sprintf(text + used, "%zx 40 f%zu\n", 0x10000000 + 64 * i, i);
	OWNED_FD fd = file_of(text, used);
	free(text);
	find(fd, &budget, addresses, 2, hits);
	assert_string_equal(name_of(fd, &hits[0]), "f0");
	assert_string_equal(name_of(fd, &hits[1]), "f999999");
	assert_false(budget.is_exceeded);
	assert_in_range((1 << 30) - budget.bytes_left, used, used + used / 20);

	budget.bytes_left = 1 << 20;
	find(fd, &budget, addresses, 2, hits);
	assert_null(name_of(fd, &hits[0]));
	assert_string_equal(name_of(fd, &hits[1]), "f999999");
	assert_true(budget.is_exceeded);

	budget = (struct file_budget){.bytes_left = 100}; /* not even a block */
	find(fd, &budget, addresses, 2, hits);
	assert_null(name_of(fd, &hits[1]));
	assert_true(budget.is_exceeded);
}

/* A line for everything, again and again: what that costs is counted, too. */
static void
test_much_work_from_a_small_file(void **state)
{
	enum { LINES = 1000, ADDRESSES = 100000 };
	static uint64_t addresses[ADDRESSES];
	static struct perf_map_hit hits[ADDRESSES];
	static char text[LINES * 16];
	struct file_budget budget = {.bytes_left = 16 << 20};
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		used += (size_t)sprintf(text + used, "1 fffffff %03zu\n", i);
	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = i + 1;
	OWNED_FD fd = file_of(text, used);
	find(fd, &budget, addresses, ADDRESSES, hits);
	assert_true(budget.is_exceeded);
	assert_string_equal(name_of(fd, &hits[0]), "009"); /* 16 bytes for each, ten times */
}

static void
test_files_that_cannot_be_read(void **state)
{
	const uint64_t address = 0x1000;
	struct file_budget budget = {.bytes_left = 1 << 30};
	struct perf_map_hit hit;
	int pipe_ends[2];

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	find(pipe_ends[0], &budget, &address, 1, &hit); /* and at once */
	assert_null(name_of(pipe_ends[0], &hit));
	find(-1, &budget, &address, 1, &hit);
	assert_null(name_of(-1, &hit));
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_rubbish_in_between),
		cmocka_unit_test(test_against_a_slow_reading),
		cmocka_unit_test(test_large_file),
		cmocka_unit_test(test_much_work_from_a_small_file),
		cmocka_unit_test(test_files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
