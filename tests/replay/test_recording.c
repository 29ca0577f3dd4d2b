/* perf.data files of both layouts, built byte by byte: records come out in the order of time, of the right
 * event, and nothing a file says is believed. */

#include "worker/replay/recording.h"

#include "tests/support/random.h"
#include "tests/support/records.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MUTATIONS 20000
#define HEADER_BYTES 104
#define SAMPLE_TYPE \
	(PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | PERF_SAMPLE_PERIOD)
#define FEATURE_BUILD_ID 2
#define FEATURE_ARCHITECTURE 6
#define FEATURE_COMPRESSED 27

static struct record_builder built;
static uint8_t file[1 << 16];
static size_t file_size;
static int memory = -1;
static const char *reason;

/* ---- building ---- */

static void
put(const void *bytes, size_t size)
{
	assert_true(file_size + size <= sizeof(file));
	memcpy(file + file_size, bytes, size);
	file_size += size;
}

static void
put_u64(uint64_t value)
{
	put(&value, sizeof(value));
}

static struct perf_event_attr
clock_event(void)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(struct perf_event_attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = 100,
		.sample_type = SAMPLE_TYPE,
		.sample_id_all = 1,
	};
}

static void
put_sample(uint64_t id, uint64_t time, uint64_t period)
{
	record_begin(&built, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
	record_u64(&built, 0x401000);
	record_u32(&built, 7);
	record_u32(&built, 7);
	record_u64(&built, time);
	record_u64(&built, id);
	record_u64(&built, period);
	record_end(&built);
	put(built.bytes, built.size);
}

static void
end_sideband(uint64_t id, uint64_t time)
{
	record_u32(&built, 7);
	record_u32(&built, 7);
	record_u64(&built, time);
	record_u64(&built, id);
	record_end(&built);
	put(built.bytes, built.size);
}

static void
put_comm(uint64_t id, uint64_t time, const char *name)
{
	record_begin(&built, PERF_RECORD_COMM, 0);
	record_u32(&built, 7);
	record_u32(&built, 7);
	record_text(&built, name);
	end_sideband(id, time);
}

static void
put_mmap(uint64_t id, uint64_t time, const char *path)
{
	record_begin(&built, PERF_RECORD_MMAP2, PERF_RECORD_MISC_USER);
	record_u32(&built, 7);
	record_u32(&built, 7);
	record_u64(&built, 0x400000);
	record_u64(&built, 0x10000);
	record_u64(&built, 0);
	record_u32(&built, 8);
	record_u32(&built, 1);
	record_u64(&built, 4711);
	record_u64(&built, 0);
	record_u32(&built, 4);
	record_u32(&built, 2);
	record_text(&built, path);
	end_sideband(id, time);
}

static void
put_build_id(uint8_t first, uint8_t size, const char *path)
{
	uint8_t id[24] = {first, [20] = size};

	record_begin(&built, 67, size ? 1 << 15 | PERF_RECORD_MISC_USER : PERF_RECORD_MISC_USER);
	record_u32(&built, 0);
	record_bytes(&built, id, sizeof(id));
	record_text(&built, path);
	record_end(&built);
	put(built.bytes, built.size);
}

/* The header is written at the end, when the sizes are known. */
static uint64_t data_start, feature_table;

static void
begin_file(const struct perf_event_attr *events, const uint64_t *ids, size_t count)
{
	file_size = HEADER_BYTES;
	for (size_t i = 0; i < count; i++)
		put_u64(ids[i]);
	for (size_t i = 0; i < count; i++) {
		put(&events[i], sizeof(events[i]));
		put_u64(HEADER_BYTES + 8 * i);
		put_u64(8);
	}
	data_start = file_size;
}

static void
end_file(size_t count, unsigned feature, const void *feature_bytes, size_t feature_size)
{
	const uint64_t entry = sizeof(struct perf_event_attr) + 16;
	uint64_t header[HEADER_BYTES / 8] = {0x32454c4946524550,       HEADER_BYTES,  entry,
					     HEADER_BYTES + 8 * count, entry * count, data_start,
					     file_size - data_start};

	feature_table = file_size;
	if (feature) {
		header[9] = 1ull << feature;
		put_u64(file_size + 16);
		put_u64(feature_size);
		put(feature_bytes, feature_size);
	}
	memcpy(file, header, sizeof(header));
}

static const uint64_t one_id[] = {55};

static void
begin_simple(void)
{
	struct perf_event_attr event = clock_event();

	begin_file(&event, one_id, 1);
}

static int
open_built(struct recording **ret)
{
	assert_int_equal(ftruncate(memory, 0), 0);
	assert_int_equal(pwrite(memory, file, file_size, 0), file_size);
	return recording_open(memory, ret, &reason);
}

static int
make_memory(void **state)
{
	(void)state;
	memory = memfd_create("test", MFD_CLOEXEC);
	return memory < 0 ? -1 : 0;
}

static int
drop_memory(void **state)
{
	(void)state;
	close(memory);
	return 0;
}

/* ---- checks ---- */

static struct recorded record;

static void
expect_sample(struct recording *recording, uint64_t time, uint64_t period)
{
	assert_int_equal(recording_next(recording, &record), 1);
	assert_int_equal(record.kind, RECORDED_SAMPLE);
	assert_int_equal(record.sample.time_ns, time);
	assert_int_equal(record.sample.period_ns, period);
	assert_int_equal(record.sample.pid, 7);
}

static void
expect_name(struct recording *recording, const char *name)
{
	assert_int_equal(recording_next(recording, &record), 1);
	assert_int_equal(record.kind, RECORDED_SIDEBAND);
	assert_int_equal(record.sideband.type, PERF_RECORD_COMM);
	assert_string_equal(record.sideband.comm.name, name);
}

static void
test_order_of_time(void **state)
{
	struct recording *recording;
	uint64_t first, last;

	(void)state;
	begin_simple();
	put_comm(0, 0, "before");
	put_sample(55, 300, 3);
	put_sample(55, 100, 1);
	put_comm(55, 200, "later");
	put_sample(55, 200, 2);
	end_file(1, 0, NULL, 0);
	assert_int_equal(open_built(&recording), 0);
	recording_times(recording, &first, &last);
	assert_int_equal(first, 100);
	assert_int_equal(last, 300);
	assert_int_equal(recording_period_ns(recording), 10000000);
	assert_false(recording_is_cut(recording));
	expect_name(recording, "before");
	expect_sample(recording, 100, 1);
	expect_name(recording, "later"); /* same time: the order of the file */
	expect_sample(recording, 200, 2);
	expect_sample(recording, 300, 3);
	assert_int_equal(recording_next(recording, &record), 0);
	recording_free(recording);
}

/* Only the first event that is none for bookkeeping is counted. */
static void
test_several_events(void **state)
{
	struct perf_event_attr events[3] = {clock_event(), clock_event(), clock_event()};
	const uint64_t ids[] = {1, 2, 3};
	struct recording *recording;

	(void)state;
	events[0].config = PERF_COUNT_SW_DUMMY;
	events[2].config = PERF_COUNT_SW_PAGE_FAULTS;
	begin_file(events, ids, 3);
	put_sample(3, 10, 9);
	put_sample(2, 20, 8);
	put_sample(4, 30, 7);
	put_comm(1, 40, "name");
	end_file(3, 0, NULL, 0);
	assert_int_equal(open_built(&recording), 0);
	assert_int_equal(recording_next(recording, &record), 1);
	assert_int_equal(record.kind, RECORDED_OTHER_SAMPLE);
	expect_sample(recording, 20, 8);
	assert_int_equal(recording_next(recording, &record), -EBADMSG); /* of no event there is */
	expect_name(recording, "name");
	recording_free(recording);

	events[1].sample_type &= ~(uint64_t)PERF_SAMPLE_ID;
	begin_file(events, ids, 3);
	end_file(3, 0, NULL, 0);
	assert_int_equal(open_built(&recording), -EBADMSG);
	assert_string_equal(reason, "has several events that cannot be told apart");
}

/* A counter of anything but time: its samples are worth what their frequency says, or nothing. */
static void
test_period_of_other_events(void **state)
{
	struct perf_event_attr event = clock_event();
	struct recording *recording;

	(void)state;
	event.type = PERF_TYPE_HARDWARE;
	event.config = PERF_COUNT_HW_CPU_CYCLES;
	for (int freq = 1; freq >= 0; freq--) {
		event.freq = (uint64_t)freq;
		begin_file(&event, one_id, 1);
		put_sample(55, 1, 123456789);
		end_file(1, 0, NULL, 0);
		assert_int_equal(open_built(&recording), 0);
		expect_sample(recording, 1, freq ? 10000000 : 0);
		recording_free(recording);
	}
	event = clock_event();
	begin_file(&event, one_id, 1);
	put_sample(55, 1, UINT64_MAX);
	end_file(1, 0, NULL, 0);
	assert_int_equal(open_built(&recording), 0);
	assert_int_equal(recording_next(recording, &record), -EBADMSG);
	recording_free(recording);
}

static uint32_t
build_id_size_of_mapping(void)
{
	struct recording *recording;
	uint32_t size;

	assert_int_equal(open_built(&recording), 0);
	assert_int_equal(recording_next(recording, &record), 1);
	assert_int_equal(record.sideband.type, PERF_RECORD_MMAP2);
	assert_int_equal(record.sideband.mmap.inode, 4711);
	size = record.sideband.mmap.build_id_size;
	if (size)
		assert_int_equal(record.sideband.mmap.build_id[0], 0xab);
	recording_free(recording);
	return size;
}

static void
test_build_ids(void **state)
{
	static uint8_t feature[512];
	size_t size;

	(void)state;
	begin_simple();
	size = file_size;
	put_build_id(0xab, 16, "/bin/x");
	put_build_id(0xcd, 0, "/bin/y");
	memcpy(feature, file + size, file_size - size);
	size = file_size - size;
	begin_simple();
	put_mmap(55, 1, "/bin/x");
	end_file(1, FEATURE_BUILD_ID, feature, size);
	assert_int_equal(build_id_size_of_mapping(), 16);

	begin_simple();
	put_mmap(55, 1, "/bin/z");
	end_file(1, FEATURE_BUILD_ID, feature, size);
	assert_int_equal(build_id_size_of_mapping(), 0);

	/* two files of one name: which of them it is nobody knows */
	begin_simple();
	put_build_id(0xab, 16, "/bin/x");
	put_build_id(0xac, 16, "/bin/x");
	put_mmap(55, 1, "/bin/x");
	end_file(1, 0, NULL, 0);
	assert_int_equal(build_id_size_of_mapping(), 0);
}

static void
test_pipe(void **state)
{
	struct perf_event_attr event = clock_event();
	struct recording *recording;
	uint8_t tracing[16] = {8};

	(void)state;
	file_size = 0;
	put_u64(0x32454c4946524550);
	put_u64(16);
	record_begin(&built, 64, 0);
	record_bytes(&built, &event, sizeof(event));
	record_u64(&built, 55);
	record_end(&built);
	put(built.bytes, built.size);
	record_begin(&built, 66, 0); /* followed by 8 bytes that are no record */
	record_bytes(&built, tracing, 8);
	record_end(&built);
	put(built.bytes, built.size);
	memset(tracing, 0xff, sizeof(tracing));
	put(tracing, 8);
	put_sample(55, 20, 2);
	put_sample(55, 10, 1);
	assert_int_equal(open_built(&recording), 0);
	expect_sample(recording, 10, 1);
	expect_sample(recording, 20, 2);
	assert_int_equal(recording_next(recording, &record), 0);
	recording_free(recording);
}

/* perf was killed: no data size in the header, and half a record at the end. */
static void
test_unfinished_file(void **state)
{
	struct recording *recording;

	(void)state;
	begin_simple();
	put_sample(55, 10, 1);
	put_sample(55, 20, 2);
	end_file(1, 0, NULL, 0);
	memset(file + 6 * 8, 0, 8);
	file_size -= 8;
	assert_int_equal(open_built(&recording), 0);
	assert_true(recording_is_cut(recording));
	expect_sample(recording, 10, 1);
	assert_int_equal(recording_next(recording, &record), 0);
	recording_free(recording);
}

static void
expect_refused(const char *wanted)
{
	struct recording *recording;

	assert_int_equal(open_built(&recording), -EBADMSG);
	assert_string_equal(reason, wanted);
}

static void
test_refusals(void **state)
{
	static const char arm[] = "\x08\0\0\0aarch64", ours[] = "\x08\0\0\0x86_64\0";
	struct perf_event_attr event = clock_event();
	struct recording *recording;

	(void)state;
	begin_simple();
	put_sample(55, 10, 1);
	end_file(1, FEATURE_ARCHITECTURE, ours, sizeof(ours));
	assert_int_equal(open_built(&recording), 0);
	recording_free(recording);

	begin_simple();
	put_sample(55, 10, 1);
	end_file(1, FEATURE_ARCHITECTURE, arm, sizeof(arm));
	expect_refused("was recorded on another kind of processor");

	begin_simple();
	put_sample(55, 10, 1);
	end_file(1, FEATURE_COMPRESSED, "", 0);
	expect_refused("is compressed; record without -z");

	begin_simple();
	record_begin(&built, 81, 0);
	record_end(&built);
	put(built.bytes, built.size);
	end_file(1, 0, NULL, 0);
	expect_refused("is compressed; record without -z");

	file_size = 4;
	expect_refused("is no perf.data file");
	begin_simple();
	end_file(1, 0, NULL, 0);
	file[0] = 'X';
	expect_refused("is no perf.data file");

	event.config = PERF_COUNT_SW_DUMMY;
	begin_file(&event, one_id, 1);
	end_file(1, 0, NULL, 0);
	expect_refused("has no event that was sampled");
}

/* Any byte changed: an answer, and (the sanitizers watch) nothing read or allocated that should not be. */
static void
test_mutations(void **state)
{
	static uint8_t original[sizeof(file)];
	struct perf_event_attr events[2] = {clock_event(), clock_event()};
	const uint64_t ids[] = {1, 2};
	uint64_t random = 3, opened = 0, damaged = 0;
	static uint8_t feature[256];
	size_t size;

	(void)state;
	begin_file(events, ids, 2);
	size = file_size;
	put_build_id(0xab, 16, "/bin/x");
	memcpy(feature, file + size, file_size - size);
	size = file_size - size;
	begin_file(events, ids, 2);
	put_mmap(1, 1, "/bin/x");
	put_comm(2, 2, "name");
	put_sample(1, 3, 4);
	put_sample(2, 3, 4);
	end_file(2, FEATURE_BUILD_ID, feature, size);
	memcpy(original, file, file_size);
	size = file_size;
	for (int i = 0; i < MUTATIONS; i++) {
		struct recording *recording;
		int result;

		memcpy(file, original, size);
		for (uint64_t n = 1 + random_below(&random, 4); n > 0; n--)
			file[random_below(&random, size)] =
				random_below(&random, 2) ? (uint8_t)random_next(&random) : 0xff;
		file_size = random_below(&random, 4) ? size : random_below(&random, size);
		result = open_built(&recording);
		assert_true(result == 0 || (result < 0 && reason));
		if (result < 0)
			continue;
		opened++;
		while ((result = recording_next(recording, &record)) != 0) {
			assert_true(result == 1 || result == -EBADMSG);
			damaged += result < 0;
		}
		recording_free(recording);
	}
	assert_true(opened > MUTATIONS / 10);
	assert_true(damaged > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_time),
		cmocka_unit_test(test_several_events),
		cmocka_unit_test(test_period_of_other_events),
		cmocka_unit_test(test_build_ids),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_unfinished_file),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, make_memory, drop_memory);
}
