/* Records come out of a ring as they went in, wherever it wraps; a header that cannot be costs the ring's
 * content and nothing else. */

#include "worker/perf/ring.h"

#include "tests/support/descriptors.h"
#include "tests/support/records.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RING_BYTES 4096

static struct ring_memory memory;
static struct perf_ring ring;
static struct record_builder built;

static int
make_ring(void **state)
{
	(void)state;
	ring_memory_init(&memory, RING_BYTES);
	return 0;
}

static int
free_ring(void **state)
{
	(void)state;
	ring_memory_destroy(&memory);
	return 0;
}

static void
start_at(uint64_t position)
{
	ring_memory_start_at(&memory, position);
	perf_ring_over(memory.page, RING_BYTES, &ring);
}

/* A record of this size whose bytes say where they are. */
static void
build(size_t size)
{
	record_begin(&built, PERF_RECORD_SAMPLE, 0x1234);
	for (size_t i = built.size; i < size; i++)
		record_u8(&built, (uint8_t)(i * 7 + size));
	record_end(&built);
}

static void
expect_record(const uint8_t *bytes, size_t size)
{
	static uint8_t copy[RING_BYTES];
	struct ring_record record;
	uint64_t malformed = 0;

	assert_true(perf_ring_peek(&ring, &record, &malformed));
	assert_int_equal(malformed, 0);
	assert_int_equal(record.header.size, size);
	assert_int_equal(record.header.type, PERF_RECORD_SAMPLE);
	assert_int_equal(record.header.misc, 0x1234);
	assert_true(ring_record_copy(&record, 0, copy, size));
	assert_memory_equal(copy, bytes, size);
	for (size_t offset = 0; offset <= size && offset < 100; offset += 3)
		for (size_t length = 0; length <= 9; length++) {
			memset(copy, 0xee, 16);
			assert_int_equal(ring_record_copy(&record, offset, copy, length),
					 offset + length <= size);
			if (offset + length <= size)
				assert_memory_equal(copy, bytes + offset, length);
			else
				assert_int_equal(copy[0], 0xee);
		}
	assert_false(ring_record_copy(&record, size, copy, 1));
	assert_false(ring_record_copy(&record, SIZE_MAX, copy, 1));
	assert_false(ring_record_copy(&record, 8, copy, SIZE_MAX));
	perf_ring_consume(&ring, &record);
}

static void
test_wraps_everywhere(void **state)
{
	static const size_t sizes[] = {8, 16, 24, 72, 200, 4088, RING_BYTES};
	static const uint64_t turns[] = {0, (uint64_t)RING_BYTES * 1000003, 0 - (uint64_t)RING_BYTES};
	uint64_t malformed = 0;
	struct ring_record record;

	(void)state;
	for (size_t t = 0; t < sizeof(turns) / sizeof(turns[0]); t++)
		for (uint64_t position = 0; position < RING_BYTES; position += 8)
			for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
				start_at(turns[t] + position);
				build(sizes[s]);
				ring_memory_write(&memory, built.bytes, built.size);
				perf_ring_snapshot(&ring);
				expect_record(built.bytes, built.size);
				assert_false(perf_ring_peek(&ring, &record, &malformed));
				perf_ring_release(&ring);
				assert_int_equal(memory.page->data_tail, turns[t] + position + sizes[s]);
			}
	assert_int_equal(malformed, 0);
}

static void
test_several_records(void **state)
{
	(void)state;
	start_at(RING_BYTES - 40);
	for (size_t size = 8; size <= 80; size += 8) {
		build(size);
		ring_memory_write(&memory, built.bytes, built.size);
	}
	perf_ring_snapshot(&ring);
	for (size_t size = 8; size <= 80; size += 8) {
		build(size);
		expect_record(built.bytes, built.size);
	}
}

/* Only what was there at the snapshot is read, and the kernel gets no byte back before the release. */
static void
test_snapshot_and_release(void **state)
{
	struct ring_record record;
	uint64_t malformed = 0;

	(void)state;
	start_at(0);
	perf_ring_snapshot(&ring);
	assert_false(perf_ring_peek(&ring, &record, &malformed));
	build(24);
	ring_memory_write(&memory, built.bytes, built.size);
	assert_false(perf_ring_peek(&ring, &record, &malformed));
	perf_ring_snapshot(&ring);
	ring_memory_write(&memory, built.bytes, built.size);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	assert_int_equal(record.at, 0);
	assert_true(perf_ring_peek(&ring, &record, &malformed)); /* a look changes nothing */
	assert_int_equal(record.at, 0);
	perf_ring_consume(&ring, &record);
	assert_int_equal(memory.page->data_tail, 0);
	assert_false(perf_ring_peek(&ring, &record, &malformed));
	perf_ring_release(&ring);
	assert_int_equal(memory.page->data_tail, 24);
	perf_ring_snapshot(&ring);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	assert_int_equal(record.at, 24);
	perf_ring_discard(&ring);
	perf_ring_release(&ring);
	assert_int_equal(memory.page->data_tail, 48);
	assert_int_equal(malformed, 0);
}

/* A successor goes on where its predecessor released, not where it had read to. */
static void
test_new_reader_starts_at_the_released_tail(void **state)
{
	struct ring_record record;
	uint64_t malformed = 0;

	(void)state;
	start_at(0);
	build(32);
	ring_memory_write(&memory, built.bytes, built.size);
	ring_memory_write(&memory, built.bytes, built.size);
	perf_ring_snapshot(&ring);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	perf_ring_consume(&ring, &record);
	perf_ring_release(&ring);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	perf_ring_consume(&ring, &record); /* and dies here */
	perf_ring_over(memory.page, RING_BYTES, &ring);
	perf_ring_snapshot(&ring);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	assert_int_equal(record.at, 32);
}

static void
test_malformed_headers(void **state)
{
	static const struct {
		const char *what;
		uint16_t size;
		uint64_t written; /* bytes between tail and head */
	} cases[] = {
		{"size 0", 0, 64},
		{"less than a header", 4, 64},
		{"not a multiple of 8", 12, 64},
		{"odd", 33, 64},
		{"beyond head", 72, 64},
		{"far beyond head", 65528, 64},
		{"more than the ring", RING_BYTES + 8, RING_BYTES},
		{"half a header", 8, 4},
		{"head beyond the ring", 8, RING_BYTES + 8},
		{"head behind tail", 8, 0 - (uint64_t)64},
	};
	struct ring_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint64_t position = 0; position < RING_BYTES; position += 512) {
			struct perf_event_header header = {.type = 9, .size = cases[i].size};
			uint64_t malformed = 10;

			start_at(position);
			memset(memory.data, 0, RING_BYTES);
			memcpy(memory.data + position, &header, sizeof(header));
			memory.page->data_head = position + cases[i].written;
			perf_ring_snapshot(&ring);
			if (perf_ring_peek(&ring, &record, &malformed))
				fail_msg("%s: accepted", cases[i].what);
			assert_int_equal(malformed, 11);
			assert_false(perf_ring_peek(&ring, &record, &malformed)); /* counted once */
			assert_int_equal(malformed, 11);
			perf_ring_release(&ring);
			assert_int_equal(memory.page->data_tail, position + cases[i].written);
		}
	}
}

/* What was right before the broken header is read, and what comes after the skip too. */
static void
test_recovers_after_malformed(void **state)
{
	struct perf_event_header broken = {.type = 1, .size = 0};
	struct ring_record record;
	uint64_t malformed = 0;

	(void)state;
	start_at(RING_BYTES - 24);
	build(16);
	ring_memory_write(&memory, built.bytes, built.size);
	ring_memory_write(&memory, &broken, sizeof(broken));
	perf_ring_snapshot(&ring);
	expect_record(built.bytes, built.size);
	assert_false(perf_ring_peek(&ring, &record, &malformed));
	assert_int_equal(malformed, 1);
	perf_ring_release(&ring);
	ring_memory_write(&memory, built.bytes, built.size);
	perf_ring_snapshot(&ring);
	expect_record(built.bytes, built.size);
}

/* A head that is no multiple of 8 must not make a later header straddle the end of the data area. */
static void
test_misaligned_head(void **state)
{
	static const struct perf_event_header header = {.type = 1, .size = 8};
	struct ring_record record;

	(void)state;
	for (uint64_t head = RING_BYTES - 16; head < RING_BYTES + 16; head++) {
		uint64_t malformed = 0;

		start_at(RING_BYTES - 64);
		memset(memory.data, 0xff, RING_BYTES);
		memory.page->data_head = head;
		perf_ring_snapshot(&ring);
		(void)perf_ring_peek(&ring, &record, &malformed);
		perf_ring_discard(&ring);
		memcpy(memory.data, &header, sizeof(header));
		memory.page->data_head = head + 64;
		perf_ring_snapshot(&ring);
		while (perf_ring_peek(&ring, &record, &malformed))
			perf_ring_consume(&ring, &record);
	}
}

static void
test_map(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int file = file_with("");
	struct perf_ring mapped = {0}, untouched = {.mask = 77};

	(void)state;
	assert_int_equal(perf_ring_map(-1, RING_BYTES, &untouched), -EBADF);
	assert_int_equal(untouched.mask, 77);
	assert_int_equal(ftruncate(file, (off_t)(page + RING_BYTES)), 0);
	assert_int_equal(pwrite(file, &(uint64_t){4096}, 8, offsetof(struct perf_event_mmap_page, data_tail)),
			 8);
	assert_int_equal(perf_ring_map(file, RING_BYTES, &mapped), 0);
	assert_int_equal(mapped.mask, RING_BYTES - 1);
	assert_int_equal(mapped.tail, 4096);
	assert_ptr_equal(mapped.data, (const uint8_t *)mapped.page + page);
	mapped.tail = 8192;
	perf_ring_release(&mapped);
	uint64_t tail = 0;
	assert_int_equal(pread(file, &tail, 8, offsetof(struct perf_event_mmap_page, data_tail)), 8);
	assert_int_equal(tail, 8192);
	close(file); /* the mapping outlives it */
	assert_int_equal(mapped.page->data_tail, 8192);
	perf_ring_unmap(&mapped);
	assert_null(mapped.page);
	perf_ring_unmap(&mapped);
}

#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, make_ring, free_ring)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_wraps_everywhere),     RING_TEST(test_several_records),
		RING_TEST(test_snapshot_and_release), RING_TEST(test_new_reader_starts_at_the_released_tail),
		RING_TEST(test_malformed_headers),    RING_TEST(test_recovers_after_malformed),
		RING_TEST(test_misaligned_head),      cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
