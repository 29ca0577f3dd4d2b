/* Records of many rings come out in the order of their times, none early, none lost, none twice. */

#include "worker/perf/merge.h"

#include "tests/support/random.h"
#include "tests/support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RINGS_MAX 512
#define RING_BYTES 4096

static struct ring_memory memory[RINGS_MAX];
static struct perf_ring rings[RINGS_MAX];
static struct record_builder built;

static void
make_rings(size_t count, uint64_t position)
{
	for (size_t i = 0; i < count; i++) {
		ring_memory_init(&memory[i], RING_BYTES);
		ring_memory_start_at(&memory[i], position + 8 * i);
		perf_ring_over(memory[i].page, RING_BYTES, &rings[i]);
	}
}

static void
free_rings(size_t count)
{
	for (size_t i = 0; i < count; i++)
		ring_memory_destroy(&memory[i]);
}

/* The number is carried in the header's misc bits, so that the handler can tell records apart. */
static void
write_sample(size_t ring, uint16_t number, uint64_t time)
{
	record_begin(&built, PERF_RECORD_SAMPLE, number);
	record_u64(&built, 0);
	record_u64(&built, time);
	record_u64(&built, 0);
	record_end(&built);
	ring_memory_write(&memory[ring], built.bytes, built.size);
}

static void
write_comm(size_t ring, uint16_t number, uint64_t time)
{
	record_begin(&built, PERF_RECORD_COMM, number);
	record_u64(&built, 0);
	record_text(&built, "x");
	record_end_at(&built, 1, 1, time);
	ring_memory_write(&memory[ring], built.bytes, built.size);
}

static void
write_timeless(size_t ring, uint16_t number)
{
	record_begin(&built, PERF_RECORD_COMM, number);
	record_u64(&built, 7);
	record_end(&built);
	ring_memory_write(&memory[ring], built.bytes, built.size);
}

struct seen {
	uint64_t last_time, limit;
	size_t count;
	uint16_t next[RINGS_MAX]; /* number expected from each ring */
};

static uint64_t
time_of(const struct ring_record *record)
{
	uint64_t time;

	if (record->header.size == 16)
		return 0;
	assert_true(ring_record_copy(
		record, record->header.type == PERF_RECORD_SAMPLE ? 16 : record->header.size - sizeof(time),
		&time, sizeof(time)));
	return time;
}

static void
check_record(void *context, size_t ring, const struct ring_record *record)
{
	struct seen *seen = context;
	uint64_t time = time_of(record);

	assert_ptr_equal(record->ring, &rings[ring]);
	assert_true(time <= seen->limit);
	if (record->header.size != 16) {
		assert_true(time >= seen->last_time);
		seen->last_time = time;
	}
	assert_int_equal(record->header.misc,
			 seen->next[ring]++); /* each ring in its own order, nothing skipped */
	/* the kernel may not write over it yet, but over everything before it */
	assert_int_equal(memory[ring].page->data_tail, record->at);
	seen->count++;
}

/* Records handed out and not finished with; where each is. */
struct kept {
	size_t count, finished;
	const struct perf_ring *ring[RING_MERGE_BATCH];
	uint64_t at[RING_MERGE_BATCH];
};

static void
keep_record(void *context, size_t ring, const struct ring_record *record)
{
	struct kept *kept = context;

	assert_true(kept->count < RING_MERGE_BATCH);
	kept->ring[kept->count] = &rings[ring];
	kept->at[kept->count++] = record->at;
}

static void
finish_records(void *context)
{
	struct kept *kept = context;

	assert_true(kept->count > 0);
	for (size_t i = 0; i < kept->count; i++) /* the kernel may not write over it */
		assert_true(kept->ring[i]->page->data_tail <= kept->at[i]);
	kept->finished += kept->count;
	kept->count = 0;
}

static void
test_records_stay_until_finished(void **state)
{
	struct kept kept = {0};
	uint64_t malformed = 0;

	(void)state;
	make_rings(2, 0);
	struct ring_merge *merge = ring_merge_new(rings, 2);
	for (uint16_t i = 0; i < 20; i++) {
		write_sample(0, i, 1 + 2 * i);
		write_comm(1, i, 2 + 2 * i);
	}
	assert_int_equal(ring_merge_drain(merge, 35, keep_record, finish_records, &kept, &malformed), 35);
	assert_int_equal(kept.finished, 35);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(memory[i].page->data_tail, rings[i].tail);
	assert_int_equal(ring_merge_drain(merge, 35, keep_record, finish_records, &kept, &malformed), 0);
	ring_merge_free(merge);
	free_rings(2);
}

/* Rings of random records with growing times; some drained half-way, some written meanwhile. */
static void
run_random(size_t ring_count, uint64_t seed)
{
	static uint64_t times[RINGS_MAX];
	static uint16_t written[RINGS_MAX];
	struct ring_merge *merge;
	static struct seen seen;
	uint64_t malformed = 0, limit = 0;
	size_t total = 0, handled = 0;

	memset(&seen, 0, sizeof(seen));
	memset(times, 0, sizeof(times));
	memset(written, 0, sizeof(written));
	make_rings(ring_count, random_next(&seed) & ~7ull);
	merge = ring_merge_new(rings, ring_count);
	assert_non_null(merge);
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < ring_count; i++) {
			if (times[i] < limit)
				times[i] = limit; /* what settled is settled: nothing older is written any
						     more */
			for (uint64_t n = random_below(&seed, 12); n > 0; n--) {
				times[i] += 1 + random_below(&seed, 1000);
				if (random_below(&seed, 2))
					write_sample(i, written[i]++, times[i]);
				else
					write_comm(i, written[i]++, times[i]);
				total++;
			}
		}
		limit = round == 4 ? UINT64_MAX : limit + random_below(&seed, 4000);
		seen.limit = limit;
		handled += ring_merge_drain(merge, limit, check_record, NULL, &seen, &malformed);
		assert_int_equal(handled, seen.count);
		for (size_t i = 0; i < ring_count; i++) {
			struct ring_record left;

			assert_int_equal(memory[i].page->data_tail, rings[i].tail);
			perf_ring_snapshot(&rings[i]);
			if (perf_ring_peek(&rings[i], &left, &malformed))
				assert_true(time_of(&left) > limit); /* nothing due stays behind */
		}
	}
	assert_int_equal(seen.count, total);
	assert_int_equal(malformed, 0);
	ring_merge_free(merge);
	free_rings(ring_count);
}

static void
test_random_rings(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++)
		run_random(1 + seed % 17, seed);
}

static void
test_many_rings(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		run_random(RINGS_MAX, seed);
}

/* Up to and with the limit; one more nanosecond is too new. */
static void
test_limit(void **state)
{
	struct seen seen = {.limit = 100};
	uint64_t malformed = 0;

	(void)state;
	make_rings(2, 0);
	struct ring_merge *merge = ring_merge_new(rings, 2);
	write_sample(0, 0, 99);
	write_sample(0, 1, 100);
	write_sample(0, 2, 101);
	write_comm(1, 0, 101);
	assert_int_equal(ring_merge_drain(merge, 100, check_record, NULL, &seen, &malformed), 2);
	assert_int_equal(ring_merge_drain(merge, 100, check_record, NULL, &seen, &malformed), 0);
	seen.limit = 101;
	assert_int_equal(ring_merge_drain(merge, 101, check_record, NULL, &seen, &malformed), 2);
	ring_merge_free(merge);
	free_rings(2);
}

static void
test_records_without_time(void **state)
{
	struct seen seen = {.limit = 5};
	uint64_t malformed = 0;

	(void)state;
	make_rings(3, RING_BYTES - 8);
	struct ring_merge *merge = ring_merge_new(rings, 3);
	write_timeless(0, 0);
	write_sample(0, 1, 10);
	write_timeless(0, 2); /* behind one that must wait */
	write_sample(1, 0, 4);
	write_timeless(1, 1);
	assert_int_equal(ring_merge_drain(merge, 5, check_record, NULL, &seen, &malformed), 3);
	seen.limit = UINT64_MAX;
	assert_int_equal(ring_merge_drain(merge, UINT64_MAX, check_record, NULL, &seen, &malformed), 2);
	assert_int_equal(malformed, 0);
	ring_merge_free(merge);
	free_rings(3);
}

/* One ring of nonsense costs its own content; the kernel gets the room back. */
static void
test_broken_ring(void **state)
{
	static const uint8_t nonsense[64];
	struct seen seen = {.limit = UINT64_MAX};
	uint64_t malformed = 0;

	(void)state;
	make_rings(3, 0);
	struct ring_merge *merge = ring_merge_new(rings, 3);
	write_sample(0, 0, 3);
	ring_memory_write(&memory[1], nonsense, sizeof(nonsense));
	write_sample(2, 0, 1);
	ring_memory_write(&memory[2], nonsense, sizeof(nonsense));
	assert_int_equal(ring_merge_drain(merge, UINT64_MAX, check_record, NULL, &seen, &malformed), 2);
	assert_int_equal(malformed, 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(memory[i].page->data_tail, memory[i].page->data_head);
	write_sample(1, 0, 4);
	assert_int_equal(ring_merge_drain(merge, UINT64_MAX, check_record, NULL, &seen, &malformed), 1);
	assert_int_equal(malformed, 2);
	ring_merge_free(merge);
	free_rings(3);
}

static void
test_no_rings(void **state)
{
	struct seen seen = {0};
	uint64_t malformed = 0;
	struct ring_merge *merge = ring_merge_new(rings, 0);

	(void)state;
	assert_non_null(merge);
	assert_int_equal(ring_merge_drain(merge, UINT64_MAX, check_record, NULL, &seen, &malformed), 0);
	ring_merge_free(merge);
	ring_merge_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_rings),
		cmocka_unit_test(test_many_rings),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_records_stay_until_finished),
		cmocka_unit_test(test_records_without_time),
		cmocka_unit_test(test_broken_ring),
		cmocka_unit_test(test_no_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
