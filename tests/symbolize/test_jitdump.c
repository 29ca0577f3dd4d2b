/* Dumps good and bad, record by record, through jit_batch as the symbolizer asks. */

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/random.h"
#include "tests/symbolize/dump_builder.h"
#include "worker/symbolize/jit_batch.h"
#include "worker/symbolize/jitdump.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define V8 0xDEADBEEF

static struct dump_builder dump;

static struct jit_batch
ask(int map, int dump_fd, const uint64_t *addresses, size_t count)
{
	struct file_budget budget = {.bytes_left = 1 << 28};
	struct jit_batch batch;
	uint64_t *copy = malloc(count * sizeof(*copy));

	memcpy(copy, addresses, count * sizeof(*copy));
	jit_batch_find(&batch, map, dump_fd, &budget, copy, count);
	assert_false(budget.is_exceeded);
	return batch;
}

static bool
is_text(const char *text, const char *wanted)
{
	return !text == !wanted && (!text || strcmp(text, wanted) == 0);
}

/* What the dump built so far says of an address. */
static void
expect(uint64_t address, const char *function, const char *file, uint32_t line)
{
	static const struct source_frame nothing;
	OWNED_FD fd = dump_file(&dump);
	struct jit_batch batch = ask(-1, fd, &address, 1);
	const struct source_frame *frame = jit_batch_at(&batch, address);

	frame = frame ? frame : &nothing;
	if (!is_text(frame->function, function) || !is_text(frame->file, file) || frame->line != line)
		fail_msg("%#" PRIx64 ": %s %s:%u instead of %s %s:%u", address,
			 frame->function ? frame->function : "-", frame->file ? frame->file : "-",
			 frame->line, function ? function : "-", file ? file : "-", line);
	jit_batch_destroy(&batch);
}

static void
test_loads(void **state)
{
	(void)state;
	dump_begin(&dump, 0);
	expect(0x1000, NULL, NULL, 0);
	dump_load(&dump, 0x1000, 0x100, 1, "first");
	dump_load(&dump, 0x3000, 0x10, 2, "second name");
	expect(0xfff, NULL, NULL, 0);
	expect(0x1000, "first", NULL, 0);
	expect(0x10ff, "first", NULL, 0);
	expect(0x1100, NULL, NULL, 0);
	expect(0x3008, "second name", NULL, 0);
	/* the same memory again */
	dump_load(&dump, 0x1080, 0x10, 3, "later");
	expect(0x1080, "later", NULL, 0);
	expect(0x107f, "first", NULL, 0);
	expect(0x1090, "first", NULL, 0);
	dump_record(&dump, 4, 100); /* unwinding information */
	dump_record(&dump, 77, 0);
	dump_load(&dump, UINT64_MAX - 0xff, 0x200, 4, "around"); /* up to the end */
	expect(UINT64_MAX - 1, "around", NULL, 0);
	expect(0x10, NULL, NULL, 0);
	dump_record(&dump, 3, 0);
	dump_load(&dump, 0x1000, 0x10, 5, "after the end");
	expect(0x1000, "first", NULL, 0);
}

static void
test_moves(void **state)
{
	(void)state;
	dump_begin(&dump, 0);
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1000, "/a", 1);
	dump_line(&dump, 0x1040, "/a", 2);
	dump_load(&dump, 0x1000, 0x80, 11, "moving");
	dump_load(&dump, 0x5000, 0x80, 12, "other");
	dump_move(&dump, 0x2000, 0x80, 11);
	expect(0x2000, "moving", "/a", 1);
	expect(0x203f, "moving", "/a", 1);
	expect(0x2040, "moving", "/a", 2);
	expect(0x2080, NULL, NULL, 0);
	expect(0x1041, "moving", "/a", 2); /* it was sampled there, before */
	dump_move(&dump, 0x3000, 0x80, 11);
	expect(0x3041, "moving", "/a", 2);
	dump_load(&dump, 0x3000, 0x10, 13, "over it");
	expect(0x3000, "over it", NULL, 0);
	expect(0x3041, "moving", "/a", 2);
	dump_move(&dump, 0x5000, 0x80, 11);
	expect(0x5000, "moving", "/a", 1);
	dump_move(&dump, 0x5000, 0x80, 99); /* of nobody: what is there now is not known */
	expect(0x5000, NULL, NULL, 0);
}

static void
test_lines(void **state)
{
	(void)state;
	dump_begin(&dump, 0);
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1010, "/src/a.js", 10);
	dump_line(&dump, 0x1020, "\377", 11);
	dump_line(&dump, 0x1030, "/src/b.js", 20);
	dump_line(&dump, 0x1030, "\377", 21); /* the same address again */
	dump_line(&dump, 0x1040, "", 30);
	dump_load(&dump, 0x1000, 0x100, 1, "f");
	expect(0x100f, "f", NULL, 0);
	expect(0x1010, "f", "/src/a.js", 10);
	expect(0x101f, "f", "/src/a.js", 10);
	expect(0x1020, "f", "/src/a.js", 11);
	expect(0x1030, "f", "/src/b.js", 21);
	expect(0x1045, "f", "/src/b.js", 21); /* a line without a file is none */
	dump_load(&dump, 0x1000, 0x100, 2, "without lines");
	expect(0x1020, "without lines", NULL, 0);
	dump_lines(&dump, 0x9000); /* of a load that is not there */
	dump_line(&dump, 0x9000, "/src/c.js", 1);
	dump_load(&dump, 0x1000, 0x100, 3, "again without");
	expect(0x1020, "again without", NULL, 0);
	/* in any order */
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1020, "/src/d.js", 2);
	dump_line(&dump, 0x1000, "\377", 1);
	dump_load(&dump, 0x1000, 0x100, 4, "g");
	expect(0x1000, "g", "/src/d.js", 1);
	expect(0x1025, "g", "/src/d.js", 2);
}

/* Several addresses of a piece at once, where each entry only looks for the first one behind it. */
static void
test_lines_of_a_batch(void **state)
{
	uint64_t addresses[64];

	(void)state;
	dump_begin(&dump, 0);
	dump_lines(&dump, 0x1000);
	for (uint32_t i = 0; i < 16; i++)
		dump_line(&dump, 0x1000 + 0x10 * i, "/src/a.js", i + 1);
	dump_load(&dump, 0x1000, 0x100, 1, "f");
	dump_load(&dump, 0x1080, 0x10, 2, "hole");
	for (size_t i = 0; i < 64; i++)
		addresses[i] = 0x1000 + 4 * i;
	OWNED_FD fd = dump_file(&dump);
	struct jit_batch batch = ask(-1, fd, addresses, 64);
	for (size_t i = 0; i < 64; i++) {
		const struct source_frame *frame = jit_batch_at(&batch, addresses[i]);
		bool is_hole = addresses[i] >= 0x1080 && addresses[i] < 0x1090;

		assert_non_null(frame);
		assert_string_equal(frame->function, is_hole ? "hole" : "f");
		assert_int_equal(frame->line, is_hole ? 0 : i / 4 + 1);
	}
	jit_batch_destroy(&batch);
}

static void
test_quirks_of_v8(void **state)
{
	(void)state;
	dump_begin(&dump, V8);
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1050, "/a.js", 5);
	dump_load(&dump, 0x1000, 0x100, 1, "JS:*f /a.js:1:17");
	expect(0x100f, "JS:*f /a.js:1:17", NULL, 0);
	expect(0x1010, "JS:*f /a.js:1:17", "/a.js", 5);
	dump_lines(&dump, 0x2000);
	dump_line(&dump, 0x2040, "\"\x9a", 1); /* freed memory */
	dump_load(&dump, 0x2000, 0x100, 2, "g");
	expect(0x2020, "g", NULL, 0);
}

static void
test_headers(void **state)
{
	static const struct {
		size_t offset;
		uint32_t value;
	} bad[] = {{0, 0x4454694A} /* the other byte order */,
		   {0, 0},
		   {4, 0},
		   {4, 2},
		   {8, 39},
		   {8, 0},
		   {8, UINT32_MAX}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		dump_begin(&dump, 0);
		memcpy(dump.bytes + bad[i].offset, &bad[i].value, 4);
		dump_load(&dump, 0x1000, 0x100, 1, "f");
		expect(0x1000, NULL, NULL, 0);
	}
	dump_begin(&dump, 0); /* of a later version of the format: longer */
	memcpy(dump.bytes + 8, &(uint32_t){56}, 4);
	dump.size += 16;
	dump_load(&dump, 0x1000, 0x100, 1, "f");
	expect(0x1000, "f", NULL, 0);
	dump.size = 39;
	expect(0x1000, NULL, NULL, 0);
	dump.size = 0;
	expect(0x1000, NULL, NULL, 0);
}

/* What does not fit costs itself; after an impossible size nothing can be found. */
static void
test_wrong_sizes(void **state)
{
	(void)state;
	for (uint32_t size = 0; size < 60; size++) {
		dump_begin(&dump, 0);
		dump_load(&dump, 0x1000, 0x100, 1, "before");
		dump_record(&dump, 0, 200);
		memset(dump.bytes + dump.record + 16, 0xff, 40);
		dump_set_u32(&dump, 4, size);
		if (size >= 16)
			dump.size = dump.record + size;
		dump_load(&dump, 0x2000, 0x100, 2, "after");
		expect(0x1000, "before", NULL, 0);
		expect(0x2000, size < 16 ? NULL : "after", NULL, 0);
	}
	for (uint32_t id = 0; id < 3; id++) { /* bodies too short for what they are */
		dump_begin(&dump, 0);
		for (size_t body = 0; body < 48; body++)
			dump_record(&dump, id, body);
		dump_load(&dump, 0x2000, 0x100, 2, "after");
		expect(0x2000, "after", NULL, 0);
		expect(0, NULL, NULL, 0);
	}
	dump_begin(&dump, 0);
	dump_load(&dump, 0x1000, 0x100, 1, "cut");
	dump_set_u32(&dump, 4, 0xffffffff);
	expect(0x1000, NULL, NULL, 0);
	/* a name that has no end in its record */
	dump_begin(&dump, 0);
	dump_load(&dump, 0x1000, 0, 1, "endless");
	dump_set_u32(&dump, 32, 0x100);
	dump_set_u32(&dump, 4, 16 + 40 + 7);
	dump.size--;
	dump_load(&dump, 0x2000, 0x100, 2, "after");
	expect(0x1000, NULL, NULL, 0);
	expect(0x2000, "after", NULL, 0);
	/* more lines than there are */
	dump_begin(&dump, 0);
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1000, "/a", 1);
	dump_set_u32(&dump, 28, 0xffffffff);
	dump_load(&dump, 0x1000, 0x100, 1, "f");
	expect(0x1000, "f", "/a", 1);
}

static void
build_example(void)
{
	dump_begin(&dump, 0);
	dump_lines(&dump, 0x1000);
	dump_line(&dump, 0x1000, "/a", 1);
	dump_line(&dump, 0x1010, "\377", 2);
	dump_load(&dump, 0x1000, 0x40, 1, "f");
	dump_load(&dump, 0x2000, 0x40, 2, "g");
	dump_move(&dump, 0x3000, 0x40, 1);
	dump_record(&dump, 3, 0);
}

/* Cut anywhere (it is still being written): each name that is found is right. */
static void
test_truncated_anywhere(void **state)
{
	static const uint64_t addresses[] = {0x1000, 0x2000, 0x3010};
	static const char *const names[] = {"f", "g", "f"};
	size_t found = 0;

	(void)state;
	build_example();
	for (size_t size = dump.size + 1; size-- > 0;) {
		dump.size = size;
		OWNED_FD fd = dump_file(&dump);
		struct jit_batch batch = ask(-1, fd, addresses, 3);

		for (size_t i = 0; i < 3; i++) {
			const struct source_frame *frame = jit_batch_at(&batch, addresses[i]);

			found += frame != NULL;
			assert_true(!frame || strcmp(frame->function, names[i]) == 0);
		}
		jit_batch_destroy(&batch);
	}
	assert_in_range(found, 100, 800);
}

/* Changed anywhere: whatever comes out, it comes out, and within the budget. */
static void
test_changed_anywhere(void **state)
{
	static const uint64_t addresses[] = {0x1000, 0x1010, 0x2000, 0x3010};
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		build_example();
		for (uint64_t changes = 1 + random_below(&seed, 4); changes > 0; changes--)
			dump.bytes[random_below(&seed, dump.size)] = (uint8_t)random_next(&seed);
		OWNED_FD fd = dump_file(&dump);
		struct jit_batch batch = ask(-1, fd, addresses, 4);

		jit_batch_destroy(&batch);
	}
}

/* The dump knows more; the map knows what the dump does not. Unsorted, and some asked for twice. */
static void
test_both_files(void **state)
{
	static const uint64_t addresses[] = {0x2000, 0x1000, 0x2000, 0x5000};

	(void)state;
	dump_begin(&dump, 0);
	dump_load(&dump, 0x1000, 0x40, 1, "of the dump");
	OWNED_FD fd = dump_file(&dump);
	OWNED_FD map = file_with("1000 40 of the map\n2000 40 of the map\n");
	struct jit_batch batch = ask(map, fd, addresses, 4);
	assert_string_equal(jit_batch_at(&batch, 0x1000)->function, "of the dump");
	assert_string_equal(jit_batch_at(&batch, 0x2000)->function, "of the map");
	assert_null(jit_batch_at(&batch, 0x5000));
	assert_null(jit_batch_at(&batch, 0x1001));
	jit_batch_destroy(&batch);
	batch = ask(-1, -1, addresses, 4);
	assert_null(jit_batch_at(&batch, 0x1000));
	jit_batch_destroy(&batch);
}

/* Names as long as a block, and none at all. */
static void
test_long_names(void **state)
{
	static char name[70000];
	static const uint64_t address = 0x1000;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	dump_begin(&dump, 0);
	dump_load(&dump, 0x1000, 0x40, 1, "before");
	dump_load(&dump, 0x1000, 0x40, 2, name); /* is none: longer than any */
	expect(address, "before", NULL, 0);
	dump_load(&dump, 0x1000, 0x40, 3, "");
	expect(address, "before", NULL, 0);
	name[4000] = 0;
	dump_load(&dump, 0x1000, 0x40, 4, name);
	expect(address, name, NULL, 0);
}

static void
test_budget(void **state)
{
	static const uint64_t address = 0x1000;

	(void)state;
	dump_begin(&dump, 0);
	dump_load(&dump, 0x1000, 0x40, 1, "f");
	OWNED_FD fd = dump_file(&dump);
	for (uint64_t bytes = 0; bytes < 70000; bytes += 1000) {
		struct file_budget budget = {.bytes_left = bytes};
		struct jit_batch batch;
		uint64_t *copy = malloc(sizeof(*copy));

		*copy = address;
		jit_batch_find(&batch, -1, fd, &budget, copy, 1);
		assert_true(budget.is_exceeded || jit_batch_at(&batch, address));
		assert_in_range(budget.bytes_left, 0, bytes);
		jit_batch_destroy(&batch);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_of_a_batch),
		cmocka_unit_test(test_quirks_of_v8),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_changed_anywhere),
		cmocka_unit_test(test_both_files),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
