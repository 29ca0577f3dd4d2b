/* Real .eh_frame sections with bytes changed: whatever a file says, lookups stay within their bounds (the
 * sanitizers watch), and each costs a bounded time. Deterministic: the same mutations every run. */

#include "worker/elf/image.h"
#include "worker/unwind/cfi.h"
#include "worker/unwind/module.h"
#include "worker/unwind/step.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MUTATIONS = 8000, LOOKUPS = 24, BYTES_MAX = 8192 };

static uint64_t random_state = 88172645463325252u;

static uint64_t
next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 20;
}

struct subject {
	uint8_t *bytes; /* a private copy of the file */
	size_t size;
	uint64_t hdr, hdr_size;       /* .eh_frame_hdr, as offset */
	uint64_t frames, frames_size; /* .eh_frame, as offset */
	uint64_t code, code_size;     /* addresses to look up */
};

static bool
load(const char *path, struct subject *ret)
{
	struct stat status;
	struct elf_image *image;
	const struct elf_segment *segments;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t count;
	bool complete;

	*ret = (struct subject){0};
	if (fd < 0 || fstat(fd, &status))
		return false;
	ret->size = (size_t)status.st_size;
	ret->bytes = malloc(ret->size);
	assert_non_null(ret->bytes);
	assert_int_equal(read(fd, ret->bytes, ret->size), status.st_size);
	close(fd);
	assert_int_equal(elf_image_open_memory(ret->bytes, ret->size, &image), 0);
	/* in these files, offset equals address there */
	complete = elf_image_eh_frame_hdr(image, &ret->hdr, &ret->hdr_size) &&
		   elf_image_section(image, ".eh_frame", &ret->frames, &ret->frames_size);
	count = elf_image_segments(image, &segments);
	for (size_t i = 0; i < count; i++)
		if (segments[i].executable) {
			ret->code = segments[i].address;
			ret->code_size = segments[i].file_size;
		}
	elf_image_free(image);
	return complete && ret->hdr + ret->hdr_size <= ret->size &&
	       ret->frames + ret->frames_size <= ret->size;
}

/* Evaluates what was found on a small stack, so that mutated rows are executed too. */
static void
use_row(const struct cfi_row *row)
{
	static uint64_t words[64];
	struct stack_view stack = {
		.bytes = (uint8_t *)words, .mask = UINT64_MAX, .sp = 0x1000, .size = sizeof(words)};
	struct frame_state state = {.stack = &stack, .interrupted = row->cfa.offset & 8};

	for (unsigned i = 0; i < REGISTER_COUNT; i++)
		register_set(&state.registers, i, 0x1000 + 8 * (next_random() & 31));
	(void)step_by_row(&state, row);
	(void)rule_from_row(row);
}

static uint64_t
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct results {
	uint64_t found, gaps, bad, other, slowest_ms;
};

/* One fresh module over the bytes as they are now. */
static void
look_up(const struct subject *subject, struct cfi_scratch *scratch, struct results *results)
{
	struct elf_image *image;
	struct unwind_module *module;
	struct cfi_row row;

	assert_int_equal(elf_image_open_memory(subject->bytes, subject->size, &image), 0);
	module = unwind_module_new(image, 1);
	assert_non_null(module);
	for (int i = 0; i < LOOKUPS; i++) {
		uint64_t before = milliseconds(), took;

		scratch->budget = 512 << 10;
		switch (unwind_module_find_row(module, scratch,
					       subject->code + next_random() % subject->code_size, &row)) {
		case 0:
			results->found++;
			use_row(&row);
			break;
		case -ENOENT:
			results->gaps++;
			break;
		case -EBADMSG:
			results->bad++;
			break;
		default:
			results->other++;
		}
		took = milliseconds() - before;
		if (took > results->slowest_ms)
			results->slowest_ms = took;
	}
	unwind_module_free(module);
	elf_image_free(image);
}

/* Some places get single bits, some get numbers that parsers trip over. */
static void
mutate(struct subject *subject, uint64_t *at, uint8_t *old, unsigned count)
{
	static const uint8_t nasty[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0b, 0x0f, 0x10, 0x16, 0x3f, 0x7e};

	for (unsigned i = 0; i < count; i++) {
		uint64_t how = next_random();

		if (i == 0 && (how & 7) == 0)
			at[i] = subject->hdr + next_random() % 12; /* decides whether the table is used */
		else if (i < 4 && (how & 7) == 1)
			at[i] = subject->hdr + 12 + next_random() % (subject->hdr_size - 12);
		else if (i < 4 && (how & 7) == 2)
			at[i] = subject->frames + next_random() % 64; /* the first CIE */
		else
			at[i] = subject->frames + next_random() % subject->frames_size;
		old[i] = subject->bytes[at[i]];
		if (how & 16)
			subject->bytes[at[i]] ^= (uint8_t)(1 << (how >> 5 & 7));
		else
			subject->bytes[at[i]] = nasty[(how >> 5) % sizeof(nasty)];
	}
}

static void
mutate_file(const char *path, unsigned mutations)
{
	struct cfi_scratch *scratch = calloc(1, sizeof(*scratch));
	struct results results = {0};
	struct subject subject;
	static uint64_t at[BYTES_MAX];
	static uint8_t old[BYTES_MAX];

	assert_non_null(scratch);
	if (!load(path, &subject)) {
		fprintf(stderr, "%s: not here\n", path);
		free(subject.bytes);
		free(scratch);
		return;
	}
	look_up(&subject, scratch, &results);
	assert_int_equal(results.bad + results.other, 0);
	for (unsigned i = 0; i < mutations; i++) {
		/* from one byte to one in fifty: lookups should often hit, and not always at the first step
		 */
		unsigned most = (unsigned)subject.frames_size / 50, count;

		count = 1 + (unsigned)(next_random() % (most < BYTES_MAX ? most : BYTES_MAX - 1));

		mutate(&subject, at, old, count);
		look_up(&subject, scratch, &results);
		while (count-- > 0)
			subject.bytes[at[count]] = old[count];
	}
	fprintf(stderr, "%s: %lu rows, %lu gaps, %lu bad, %lu other; slowest %lu ms\n", path, results.found,
		results.gaps, results.bad, results.other, results.slowest_ms);
	assert_true(results.found > 0 && results.bad > 0);
	assert_int_equal(results.other, 0);
	assert_true(results.slowest_ms < 500);
	free(subject.bytes);
	free(scratch);
}

static void
test_files(void **state)
{
	(void)state;
	mutate_file("/bin/true", 3 * MUTATIONS);
	mutate_file("/usr/lib/x86_64-linux-gnu/libm.so.6", MUTATIONS);
	mutate_file("/usr/lib/x86_64-linux-gnu/libc.so.6", MUTATIONS);
	mutate_file("/usr/lib/x86_64-linux-gnu/libcrypto.so.3", MUTATIONS / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
