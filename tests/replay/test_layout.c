/* Samples of every combination of fields: what was written is read, and nothing but the record. */

#include "worker/replay/layout.h"

#include "tests/support/random.h"
#include "tests/support/records.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COMBINATIONS 20000
#define MUTATIONS 200000
#define STACK_BYTES 256
#define COPIED_BYTES 200
/* What perf asks for: all of them but ds, es, fs and gs. */
#define REGISTERS 0xff0fffull
#define FIELDS ((uint64_t)(PERF_SAMPLE_MAX - 1) & ~(uint64_t)PERF_SAMPLE_AUX)

static struct record_builder built;
static uint64_t chain[LAYOUT_CHAIN_MAX];

static void
put_words(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		record_u64(&built, 0x5555000000000000u + i);
}

static void
put_read_values(uint64_t format)
{
	unsigned per_value = 1 + !!(format & PERF_FORMAT_ID) + !!(format & 1u << 4);

	if (format & PERF_FORMAT_GROUP)
		record_u64(&built, 3);
	put_words(!!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) + !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING));
	put_words(format & PERF_FORMAT_GROUP ? 3 * per_value : per_value);
}

static void
put_chain(void)
{
	record_u64(&built, 5);
	record_u64(&built, (uint64_t)PERF_CONTEXT_KERNEL);
	record_u64(&built, 0xffffffff81000000u);
	record_u64(&built, (uint64_t)PERF_CONTEXT_USER);
	record_u64(&built, 0x1000);
	record_u64(&built, 0x2000);
}

static void
put_branches(uint64_t branch_type)
{
	record_u64(&built, 2);
	if (branch_type & 1u << 17)
		record_u64(&built, 7);
	put_words(branch_type & 1u << 19 ? 8 : 6);
}

static void
put_registers(void)
{
	record_u64(&built, PERF_SAMPLE_REGS_ABI_64);
	for (unsigned bit = 0; bit < 64; bit++)
		if (REGISTERS >> bit & 1)
			record_u64(&built, 0x100 + bit);
}

static void
put_stack(void)
{
	static uint8_t bytes[STACK_BYTES];

	for (unsigned i = 0; i < STACK_BYTES; i++)
		bytes[i] = (uint8_t)i;
	record_u64(&built, STACK_BYTES);
	record_bytes(&built, bytes, sizeof(bytes));
	record_u64(&built, COPIED_BYTES);
}

/* In the order of perf_event_open(2). */
static void
put_sample(const struct perf_event_attr *a, uint16_t misc)
{
	uint64_t type = a->sample_type;

	record_begin(&built, PERF_RECORD_SAMPLE, misc);
	if (type & PERF_SAMPLE_IDENTIFIER)
		record_u64(&built, 77);
	if (type & PERF_SAMPLE_IP)
		record_u64(&built, 0x1234);
	if (type & PERF_SAMPLE_TID) {
		record_u32(&built, 10);
		record_u32(&built, 11);
	}
	if (type & PERF_SAMPLE_TIME)
		record_u64(&built, 999);
	put_words(!!(type & PERF_SAMPLE_ADDR));
	if (type & PERF_SAMPLE_ID)
		record_u64(&built, 77);
	put_words(!!(type & PERF_SAMPLE_STREAM_ID) + !!(type & PERF_SAMPLE_CPU));
	if (type & PERF_SAMPLE_PERIOD)
		record_u64(&built, 4242);
	if (type & PERF_SAMPLE_READ)
		put_read_values(a->read_format);
	if (type & PERF_SAMPLE_CALLCHAIN)
		put_chain();
	if (type & PERF_SAMPLE_RAW) {
		record_u32(&built, 12);
		record_bytes(&built, "0123456789ab", 12);
	}
	if (type & PERF_SAMPLE_BRANCH_STACK)
		put_branches(a->branch_sample_type);
	if (type & PERF_SAMPLE_REGS_USER)
		put_registers();
	if (type & PERF_SAMPLE_STACK_USER)
		put_stack();
	put_words(!!(type & PERF_SAMPLE_WEIGHT) + !!(type & PERF_SAMPLE_DATA_SRC));
	record_end(&built);
}

static void
check_sample(const struct perf_event_attr *a, const struct sample_record *sample)
{
	uint64_t type = a->sample_type, word;
	bool has_walk = type & PERF_SAMPLE_REGS_USER && type & PERF_SAMPLE_STACK_USER;

	assert_int_equal(sample->pid, type & PERF_SAMPLE_TID ? 10 : 0);
	assert_int_equal(sample->tid, type & PERF_SAMPLE_TID ? 11 : 0);
	assert_int_equal(sample->time_ns, type & PERF_SAMPLE_TIME ? 999 : 0);
	assert_int_equal(sample->period_ns, type & PERF_SAMPLE_PERIOD ? 4242 : 0);
	assert_int_equal(sample->has_registers, has_walk);
	if (type & PERF_SAMPLE_CALLCHAIN) {
		assert_int_equal(sample->chain_count, 2);
		assert_int_equal(sample->chain[0], 0x1000);
		assert_int_equal(sample->chain[1], 0x2000);
	} else if (!has_walk) {
		assert_int_equal(sample->chain_count, !!(type & PERF_SAMPLE_IP));
	}
	if (!has_walk)
		return;
	assert_int_equal(sample->registers.value[REGISTER_RAX], 0x100);
	assert_int_equal(sample->registers.value[REGISTER_RSP], 0x107);
	assert_int_equal(sample->registers.value[REGISTER_RIP], 0x108);
	assert_int_equal(sample->registers.value[REGISTER_R8], 0x110);
	assert_int_equal(sample->registers.value[REGISTER_R15], 0x117);
	assert_int_equal(sample->stack.size, COPIED_BYTES);
	assert_true(stack_view_u64(&sample->stack, 0x107 + 8, &word));
	assert_int_equal(word, 0x0f0e0d0c0b0a0908);
	assert_false(stack_view_u64(&sample->stack, 0x107 + COPIED_BYTES - 7, &word));
}

static void
choose(uint64_t *random, struct perf_event_attr *ret)
{
	*ret = (struct perf_event_attr){
		.sample_type = random_next(random) & FIELDS,
		.read_format = random_below(random, 32),
		.branch_sample_type = random_next(random) & (1ull << 17 | 1ull << 19),
		.sample_regs_user = REGISTERS,
		.sample_id_all = random_below(random, 2),
	};
}

static void
test_every_combination(void **state)
{
	struct perf_event_attr attributes;
	struct sample_record sample;
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < COMBINATIONS; i++) {
		struct layout_offsets at;
		uint64_t word;

		choose(&random, &attributes);
		put_sample(&attributes, PERF_RECORD_MISC_USER);
		assert_int_equal(layout_decode_sample(&attributes, built.bytes, built.size, chain, &sample),
				 0);
		assert_false(sample.in_kernel);
		check_sample(&attributes, &sample);
		layout_offsets(&attributes, &at);
		if (at.sample_id >= 0) {
			memcpy(&word, built.bytes + at.sample_id, sizeof(word));
			assert_int_equal(word, 77);
		}
		if (at.sample_time >= 0) {
			memcpy(&word, built.bytes + at.sample_time, sizeof(word));
			assert_int_equal(word, 999);
		}
	}
}

/* Any byte changed, any length: an answer, and no byte read outside (the address sanitizer watches: the copy
 * ends where the record does). */
static void
test_mutations(void **state)
{
	struct perf_event_attr attributes;
	struct sample_record sample;
	uint64_t random = 2, refused = 0;

	(void)state;
	for (int i = 0; i < MUTATIONS; i++) {
		if (i % 64 == 0)
			choose(&random, &attributes);
		put_sample(&attributes, 0);
		for (uint64_t n = random_below(&random, 3); n > 0; n--)
			built.bytes[8 + random_below(&random, built.size - 8 ? built.size - 8 : 1)] =
				(uint8_t)random_next(&random);
		size_t size = random_below(&random, 2) ? built.size : random_below(&random, built.size + 1);
		uint8_t *bytes = malloc(size ? size : 1);
		memcpy(bytes, built.bytes, size);
		int result = layout_decode_sample(&attributes, bytes, size, chain, &sample);
		assert_true(result == 0 || result == -EBADMSG);
		refused += result != 0;
		if (result == 0 && sample.has_registers && sample.stack.size >= 8) {
			uint64_t word;
			assert_true(sample.stack.bytes + sample.stack.size <= bytes + size);
			(void)stack_view_u64(&sample.stack, sample.stack.sp + sample.stack.size - 8, &word);
		}
		free(bytes);
	}
	assert_true(refused > MUTATIONS / 10);
}

static void
test_kernel_mode(void **state)
{
	struct perf_event_attr attributes = {.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID};
	struct sample_record sample;

	(void)state;
	put_sample(&attributes, PERF_RECORD_MISC_KERNEL);
	assert_int_equal(layout_decode_sample(&attributes, built.bytes, built.size, chain, &sample), 0);
	assert_true(sample.in_kernel);
	assert_int_equal(sample.chain_count, 0); /* the kernel's address is none of the program's */
}

/* A trailer's fields from the end, whatever else is in it. */
static void
test_trailer(void **state)
{
	const uint64_t type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID | PERF_SAMPLE_CPU;
	struct perf_event_attr attributes = {.sample_type = type | PERF_SAMPLE_IP, .sample_id_all = 1};
	struct layout_offsets at;

	(void)state;
	layout_offsets(&attributes, &at);
	assert_int_equal(at.trailer_bytes, 32);
	assert_int_equal(at.trailer_time, 24);
	assert_int_equal(at.trailer_id, 16);
	attributes.sample_type |= PERF_SAMPLE_IDENTIFIER;
	layout_offsets(&attributes, &at);
	assert_int_equal(at.trailer_bytes, 40);
	assert_int_equal(at.trailer_time, 32);
	assert_int_equal(at.trailer_id, 8);
	attributes.sample_id_all = 0;
	layout_offsets(&attributes, &at);
	assert_int_equal(at.trailer_bytes, 0);
	assert_int_equal(at.trailer_time, -1);
	assert_int_equal(at.trailer_id, -1);
}

static int
decode_old_mmap(uint16_t misc, uint64_t length, const char *path, uint16_t trailer,
		struct sideband_record *ret)
{
	record_begin(&built, PERF_RECORD_MMAP, misc);
	record_u32(&built, 5);
	record_u32(&built, 5);
	record_u64(&built, 0x400000);
	record_u64(&built, length);
	record_u64(&built, 0x1000);
	if (path)
		record_text(&built, path);
	for (uint16_t i = 0; i < trailer; i++)
		record_u8(&built, 0xff);
	record_end(&built);
	return layout_decode_sideband(built.bytes, built.size, trailer, ret);
}

static void
test_old_mmap(void **state)
{
	struct sideband_record record;

	(void)state;
	assert_int_equal(decode_old_mmap(PERF_RECORD_MISC_USER, 0x2000, "/bin/x", 24, &record), 0);
	assert_int_equal(record.type, PERF_RECORD_MMAP2);
	assert_int_equal(record.mmap.pid, 5);
	assert_int_equal(record.mmap.start, 0x400000);
	assert_int_equal(record.mmap.length, 0x2000);
	assert_int_equal(record.mmap.offset, 0x1000);
	assert_true(record.mmap.is_executable);
	assert_string_equal(record.mmap.path, "/bin/x");
	assert_int_equal(decode_old_mmap(1 << 13 | PERF_RECORD_MISC_USER, 1, "/x", 0, &record), 0);
	assert_false(record.mmap.is_executable); /* PERF_RECORD_MISC_MMAP_DATA */
	assert_int_equal(decode_old_mmap(PERF_RECORD_MISC_KERNEL, 1, "[kernel]", 0, &record), -ENOENT);
	assert_int_equal(decode_old_mmap(PERF_RECORD_MISC_USER, 0, "/x", 0, &record), -EBADMSG);
	assert_int_equal(decode_old_mmap(PERF_RECORD_MISC_USER, UINT64_MAX, "/x", 0, &record), -EBADMSG);
	assert_int_equal(decode_old_mmap(PERF_RECORD_MISC_USER, 1, NULL, 0, &record), -EBADMSG);
	assert_int_equal(layout_decode_sideband(built.bytes, 12, 8, &record), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_combination), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_kernel_mode),       cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_old_mmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
