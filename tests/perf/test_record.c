/* Every kind of record: decoded to the bit when it has exactly the layout we asked for, refused otherwise. */

#include "worker/perf/record.h"

#include "policy/events.h"
#include "tests/support/random.h"
#include "tests/support/records.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RING_BYTES 8192
#define MUTATIONS 60000
#define PROT_EXEC_BIT 4
#define KERNEL_CODE 0xffffffff81000000ull

static struct record_builder built;

/* ---- samples ---- */

static struct ring_memory memory;
static struct perf_ring ring;

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

/* Puts the built record alone into the ring, so that it starts at this position. */
static struct ring_record
in_ring(uint64_t position)
{
	struct ring_record record;
	uint64_t malformed = 0;

	ring_memory_start_at(&memory, position);
	perf_ring_over(memory.page, RING_BYTES, &ring);
	ring_memory_write(&memory, built.bytes, built.size);
	perf_ring_snapshot(&ring);
	assert_true(perf_ring_peek(&ring, &record, &malformed));
	return record;
}

struct sample_fields {
	uint64_t abi;
	unsigned register_count;
	uint64_t stack_size;  /* as the record says */
	size_t stack_written; /* bytes that are there */
	bool has_dyn_size;
	uint64_t dyn_size;
	size_t trailing;
	uint64_t chain_said; /* words of the kernel's walk in user space, as the record says */
	size_t chain_written;
	bool in_kernel;
};

static void
build_sample(const struct sample_fields *fields)
{
	record_begin(&built, PERF_RECORD_SAMPLE,
		     fields->in_kernel ? PERF_RECORD_MISC_KERNEL | PERF_RECORD_MISC_EXACT_IP
				       : PERF_RECORD_MISC_USER);
	record_u32(&built, 100);
	record_u32(&built, 101);
	record_u64(&built, 0x1122334455667788);
	record_u64(&built, 10101010);
	record_u64(&built, fields->chain_said);
	for (size_t i = 0; i < fields->chain_written; i++)
		record_u64(&built, i == 0 ? PERF_CONTEXT_USER : 0x5500000000000000 + i);
	record_u64(&built, fields->abi);
	for (unsigned i = 0; i < fields->register_count; i++)
		record_u64(&built, 0x7000000000000000 + i);
	record_u64(&built, fields->stack_size);
	for (size_t i = 0; i < fields->stack_written / 8; i++)
		record_u64(&built, 0xabcd000000000000 + i);
	if (fields->has_dyn_size)
		record_u64(&built, fields->dyn_size);
	for (size_t i = 0; i < fields->trailing; i++)
		record_u8(&built, 0);
	record_end(&built);
}

#define ABI_64 PERF_SAMPLE_REGS_ABI_64
#define ABI_32 PERF_SAMPLE_REGS_ABI_32

/* Interrupted in the kernel: the registers are those with which it was entered. */
static void
test_sample_in_kernel(void **state)
{
	struct sample_record sample;

	(void)state;
	for (int in_kernel = 0; in_kernel < 2; in_kernel++) {
		build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, .in_kernel = in_kernel});
		struct ring_record record = in_ring(0);
		assert_int_equal(record_decode_sample(&record, &sample), 0);
		assert_int_equal(sample.in_kernel, in_kernel);
		assert_true(sample.has_registers);
		assert_int_equal(sample.chain_count, 0);
	}
}

static void
test_sample_with_everything(void **state)
{
	/* perf's bit order (arch/x86/include/uapi/asm/perf_regs.h), as numbered by build_sample() */
	static const unsigned order[SAMPLE_REGISTERS_COUNT] = {
		REGISTER_RAX, REGISTER_RBX, REGISTER_RCX, REGISTER_RDX, REGISTER_RSI, REGISTER_RDI,
		REGISTER_RBP, REGISTER_RSP, REGISTER_RIP, REGISTER_R8,  REGISTER_R9,  REGISTER_R10,
		REGISTER_R11, REGISTER_R12, REGISTER_R13, REGISTER_R14, REGISTER_R15,
	};
	uint64_t word, sp = 0x7000000000000007;

	(void)state;
	build_sample(&(struct sample_fields){ABI_64, 17, 512, 512, true, 400, 0});
	for (uint64_t position = 0; position < RING_BYTES; position += 8) {
		struct ring_record record = in_ring(position);
		struct sample_record sample;

		assert_int_equal(record_decode_sample(&record, &sample), 0);
		assert_int_equal(sample.pid, 100);
		assert_int_equal(sample.tid, 101);
		assert_int_equal(sample.time_ns, 0x1122334455667788);
		assert_int_equal(sample.period_ns, 10101010);
		assert_true(sample.has_registers);
		for (unsigned i = 0; i < SAMPLE_REGISTERS_COUNT; i++)
			assert_int_equal(sample.registers.value[order[i]], 0x7000000000000000 + i);
		assert_int_equal(sample.stack.sp, sp);
		assert_int_equal(sample.stack.size, 400);
		for (unsigned i = 0; i < 50; i++) {
			assert_true(stack_view_u64(&sample.stack, sp + 8 * i, &word));
			assert_int_equal(word, 0xabcd000000000000 + i);
		}
		assert_false(stack_view_u64(&sample.stack, sp + 400, &word));
		assert_false(stack_view_u64(&sample.stack, sp - 8, &word));
		assert_true(record_time(&record, &word));
		assert_int_equal(word, 0x1122334455667788);
	}
}

/* What the kernel found, without the words that say whose code it is; and no more than is kept. */
static void
test_chains(void **state)
{
	static const struct {
		uint64_t words, kept;
	} cases[] = {{0, 0}, {1, 0}, {2, 1}, {40, 39}, {128, 127}, {129, 127}, {800, 127}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint64_t position = 0; position < RING_BYTES; position += 512) {
			struct sample_record sample;

			build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, 0, cases[i].words,
							     cases[i].words});
			struct ring_record record = in_ring(position);
			assert_int_equal(record_decode_sample(&record, &sample), 0);
			assert_int_equal(sample.chain_count, cases[i].kept);
			for (size_t n = 0; n < sample.chain_count; n++)
				assert_int_equal(sample.chain[n], 0x5500000000000001 + n);
			assert_int_equal(sample.stack_requested, 64);
			assert_int_equal(sample.stack.size, 64);
			assert_int_equal(sample.registers.value[REGISTER_RIP], 0x7000000000000008);
		}
	}
}

/* The same in the middle, and at the very edge of what is no address any more. */
static void
test_no_marker_is_an_address(void **state)
{
	static const uint64_t words[] = {
		PERF_CONTEXT_USER, 1, PERF_CONTEXT_KERNEL, PERF_CONTEXT_MAX, UINT64_MAX, ~4095ull, 2};
	struct sample_record sample;

	(void)state;
	build_sample(&(struct sample_fields){ABI_64, 17, 0, 0, false, 0, 0, 7, 7});
	memcpy(built.bytes + 40, words, sizeof(words)); /* behind header, ids, time, period, nr */
	struct ring_record record = in_ring(0);
	assert_int_equal(record_decode_sample(&record, &sample), 0);
	assert_int_equal(sample.chain_count, 3);
	assert_int_equal(sample.chain[0], 1);
	assert_int_equal(sample.chain[1], ~4095ull);
	assert_int_equal(sample.chain[2], 2);
}

/* Whose an address is, the last marker before it says; of each kind no more is kept than there is room for.
 */
static void
test_chains_of_both(void **state)
{
	static const uint64_t words[] = {
		PERF_CONTEXT_KERNEL, KERNEL_CODE, KERNEL_CODE + 1,     PERF_CONTEXT_USER, 5,
		PERF_CONTEXT_GUEST,  6,           PERF_CONTEXT_KERNEL, KERNEL_CODE + 2};
	struct sample_record sample;

	(void)state;
	build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, 0, 9, 9, true});
	memcpy(built.bytes + 40, words, sizeof(words));
	struct ring_record record = in_ring(0);
	assert_int_equal(record_decode_sample(&record, &sample), 0);
	assert_int_equal(sample.chain_count, 2);
	assert_int_equal(sample.chain[0], 5);
	assert_int_equal(sample.chain[1], 6);
	assert_int_equal(sample.kernel_chain_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sample.kernel_chain[i], KERNEL_CODE + i);
	assert_int_equal(sample.stack.size, 64);

	build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, 0, 800, 800, true});
	memcpy(built.bytes + 40, words, 8);
	record = in_ring(4096);
	assert_int_equal(record_decode_sample(&record, &sample), 0);
	assert_int_equal(sample.chain_count, 0);
	assert_int_equal(sample.kernel_chain_count, SAMPLE_CHAIN_MAX);
	build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, 0, 2, 2});
	record = in_ring(0);
	assert_int_equal(record_decode_sample(&record, &sample), 0);
	assert_int_equal(sample.kernel_chain_count, 0); /* not that of the sample before */
}

static void
test_samples(void **state)
{
	static const struct {
		const char *what;
		struct sample_fields fields;
		int result;
		bool has_registers;
		uint64_t stack_size;
	} cases[] = {
		{"nothing but the time", {0, 0, 0}, 0, false, 0},
		{"registers, no stack", {ABI_64, 17, 0}, 0, true, 0},
		{"all of the stack", {ABI_64, 17, 64, 64, true, 64}, 0, true, 64},
		{"nothing of the stack", {ABI_64, 17, 64, 64, true, 0}, 0, true, 0},
		{"odd stack bytes", {ABI_64, 17, 64, 64, true, 63}, 0, true, 63},
		{"32-bit process", {ABI_32, 17, 64, 64, true, 64}, 0, false, 64},
		{"32-bit process, no stack", {ABI_32, 17, 0}, 0, false, 0},
		{"stack without registers", {0, 0, 64, 64, true, 8}, 0, false, 8},
		{"more copied than there is", {ABI_64, 17, 64, 64, true, 65}, -EBADMSG, false, 0},
		{"copied: all bits", {ABI_64, 17, 64, 64, true, UINT64_MAX}, -EBADMSG, false, 0},
		{"no dyn_size", {ABI_64, 17, 64, 64, false, 0}, -EBADMSG, false, 0},
		{"stack shorter than said", {ABI_64, 17, 64, 56, true, 8}, -EBADMSG, false, 0},
		{"stack longer than said", {ABI_64, 17, 64, 72, true, 8}, -EBADMSG, false, 0},
		{"stack size: all bits", {ABI_64, 17, UINT64_MAX, 64, true, 8}, -EBADMSG, false, 0},
		{"stack size: offsets overflow",
		 {ABI_64, 17, 0 - (uint64_t)184, 64, true, 8},
		 -EBADMSG,
		 false,
		 0},
		{"stack size: into the size", {ABI_64, 17, 0 - (uint64_t)8, 64, true, 8}, -EBADMSG, false, 0},
		{"no stack, yet a dyn_size", {ABI_64, 17, 0, 0, true, 0}, -EBADMSG, false, 0},
		{"trailing word", {ABI_64, 17, 64, 64, true, 64, 8}, -EBADMSG, false, 0},
		{"trailing word, no stack", {ABI_64, 17, 0, 0, false, 0, 8}, -EBADMSG, false, 0},
		{"one register less", {ABI_64, 16, 64, 64, true, 64}, -EBADMSG, false, 0},
		{"one register more", {ABI_64, 18, 0, 0, false, 0}, -EBADMSG, false, 0},
		{"registers nobody announced", {0, 17, 0, 0, false, 0}, -EBADMSG, false, 0},
		{"a chain", {ABI_64, 17, 64, 64, true, 64, 0, 5, 5}, 0, true, 64},
		{"a chain of a 32-bit process", {ABI_32, 17, 64, 64, true, 64, 0, 5, 5}, 0, false, 64},
		{"chain longer than said", {ABI_64, 17, 64, 64, true, 64, 0, 4, 5}, -EBADMSG, false, 0},
		{"chain shorter than said", {ABI_64, 17, 64, 64, true, 64, 0, 6, 5}, -EBADMSG, false, 0},
		{"chain beyond the record", {ABI_64, 17, 64, 64, true, 64, 0, 9000, 5}, -EBADMSG, false, 0},
		{"chain: all bits", {ABI_64, 17, 64, 64, true, 64, 0, UINT64_MAX, 5}, -EBADMSG, false, 0},
		{"chain: offset overflows",
		 {ABI_64, 17, 64, 64, true, 64, 0, 1ull << 61, 0},
		 -EBADMSG,
		 false,
		 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint64_t position = 0; position < RING_BYTES; position += 1000) {
			struct sample_record sample;

			build_sample(&cases[i].fields);
			struct ring_record record = in_ring(position);
			int result = record_decode_sample(&record, &sample);
			if (result != cases[i].result)
				fail_msg("%s: %d", cases[i].what, result);
			if (result == 0) {
				assert_int_equal(sample.has_registers, cases[i].has_registers);
				assert_int_equal(sample.stack.size, cases[i].stack_size);
			}
		}
	}
}

/* Cut after any word: nothing is decoded from what is not there. */
static void
test_truncated_samples(void **state)
{
	struct sample_record sample;
	uint64_t time;

	(void)state;
	build_sample(&(struct sample_fields){ABI_64, 17, 64, 64, true, 64, 0});
	for (size_t size = built.size - 8; size >= 8; size -= 8) {
		built.size = size;
		record_end(&built);
		struct ring_record record = in_ring(RING_BYTES - 64);
		assert_int_equal(record_decode_sample(&record, &sample), -EBADMSG);
		assert_int_equal(record_time(&record, &time), size >= 24);
	}
}

static void
test_time_of_sideband(void **state)
{
	uint64_t time = 5;

	(void)state;
	record_begin(&built, PERF_RECORD_THROTTLE, 0);
	record_u64(&built, 1);
	record_end_at(&built, 1, 2, 0x1020304050607080);
	struct ring_record record = in_ring(RING_BYTES - 16);
	assert_true(record_time(&record, &time));
	assert_int_equal(time, 0x1020304050607080);

	for (size_t size = 8; size < 24; size += 8) { /* too short for a trailer */
		built.size = size;
		record_end(&built);
		record = in_ring(0);
		time = 5;
		assert_false(record_time(&record, &time));
		assert_int_equal(time, 5);
	}
}

/* ---- sideband ---- */

/* From memory of exactly the record's size: a sanitizer then sees any read beyond. *ret_bytes must be freed.
 */
static int
decode(const uint8_t *bytes, size_t size, struct sideband_record *ret, uint8_t **ret_bytes)
{
	*ret_bytes = malloc(size ? size : 1);
	assert_non_null(*ret_bytes);
	memcpy(*ret_bytes, bytes, size);
	return record_decode_sideband(*ret_bytes, size, ret);
}

static int
decode_built(struct sideband_record *ret)
{
	static uint8_t *bytes; /* of the last record: strings point into it */

	free(bytes);
	bytes = NULL;
	return decode(built.bytes, built.size, ret, &bytes);
}

static void
test_mmap(void **state)
{
	struct sideband_record record;
	uint8_t id[20];

	(void)state;
	for (uint8_t i = 0; i < 20; i++)
		id[i] = (uint8_t)(i + 1);
	record_mmap(&built,
		    &(struct mmap_fields){.pid = 7,
					  .protection = 5,
					  .start = 0x400000,
					  .length = 0x2000,
					  .offset = 0x1000,
					  .inode = 99,
					  .path = "/usr/bin/true"},
		    1);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_MMAP2);
	assert_int_equal(record.mmap.pid, 7);
	assert_int_equal(record.mmap.tid, 7);
	assert_int_equal(record.mmap.start, 0x400000);
	assert_int_equal(record.mmap.length, 0x2000);
	assert_int_equal(record.mmap.offset, 0x1000);
	assert_int_equal(record.mmap.device_major, 8);
	assert_int_equal(record.mmap.device_minor, 1);
	assert_int_equal(record.mmap.inode, 99);
	assert_int_equal(record.mmap.build_id_size, 0);
	assert_true(record.mmap.is_executable);
	assert_string_equal(record.mmap.path, "/usr/bin/true");

	record_mmap(&built,
		    &(struct mmap_fields){.pid = 8,
					  .protection = 3,
					  .length = 1,
					  .build_id = id,
					  .build_id_size = 16,
					  .path = "//anon"},
		    1);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.mmap.build_id_size, 16);
	assert_memory_equal(record.mmap.build_id, id, 16);
	assert_int_equal(record.mmap.inode, 0);
	assert_int_equal(record.mmap.device_major, 0);
	assert_false(record.mmap.is_executable);
	assert_string_equal(record.mmap.path, "//anon");
}

static void
test_mmap_bounds(void **state)
{
	static const struct {
		const char *what;
		uint64_t start, length;
		uint8_t build_id_size;
		size_t path_length;
		int result;
	} cases[] = {
		{"one byte", 0, 1, 0, 5, 0},
		{"no byte", 0x1000, 0, 0, 5, -EBADMSG},
		{"to the end but one", UINT64_MAX - 0x1000, 0x1000, 0, 5, 0},
		{"to the very end", UINT64_MAX - 0xfff, 0x1000, 0, 5, -EBADMSG}, /* its end would be 0 */
		{"beyond the end", UINT64_MAX - 0xfff, 0x2000, 0, 5, -EBADMSG},
		{"everything", 1, UINT64_MAX, 0, 5, -EBADMSG},
		{"largest build id", 0, 1, 20, 5, 0},
		{"build id too large", 0, 1, 21, 5, -EBADMSG},
		{"build id: all bits", 0, 1, 255, 5, -EBADMSG},
		{"no path", 0, 1, 0, 0, 0},
		{"longest path", 0, 1, 0, MAX_PATH_BYTES - 1, 0},
		{"longer than any path", 0, 1, 0, MAX_PATH_BYTES, -EBADMSG},
		{"much longer than any path", 0, 1, 20, 60000, -EBADMSG},
	};
	static char path[60001];
	static const uint8_t id[20];
	struct sideband_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(path, 'p', cases[i].path_length);
		path[cases[i].path_length] = 0;
		record_mmap(&built,
			    &(struct mmap_fields){.pid = 1,
						  .start = cases[i].start,
						  .length = cases[i].length,
						  .build_id = id,
						  .build_id_size = cases[i].build_id_size > 20
									   ? 20
									   : cases[i].build_id_size,
						  .path = path},
			    1);
		if (cases[i].build_id_size)
			built.bytes[40] = cases[i].build_id_size;
		int result = decode_built(&record);
		if (result != cases[i].result)
			fail_msg("%s: %d", cases[i].what, result);
		if (result == 0)
			assert_string_equal(record.mmap.path, path);
	}
}

static void
test_comm(void **state)
{
	struct sideband_record record;

	(void)state;
	record_comm(&built, 7, 8, "fifteen letters", 0);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_COMM);
	assert_int_equal(record.comm.pid, 7);
	assert_int_equal(record.comm.tid, 8);
	assert_false(record.comm.is_exec);
	assert_string_equal(record.comm.name, "fifteen letters");
	record_comm(&built, 7, 7, "", 1);
	assert_int_equal(decode_built(&record), 0);
	assert_true(record.comm.is_exec);
	assert_string_equal(record.comm.name, "");
	record_comm(&built, 7, 8, "sixteen letters!", 0);
	assert_int_equal(decode_built(&record), -EBADMSG);
}

static void
test_tasks_and_lost(void **state)
{
	struct sideband_record record;

	(void)state;
	record_fork(&built, 10, 20, 30, 40);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_FORK);
	assert_int_equal(record.task.pid, 10);
	assert_int_equal(record.task.parent_pid, 20);
	assert_int_equal(record.task.tid, 30);
	assert_int_equal(record.task.parent_tid, 40);
	record_exit(&built, 11, 12);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_EXIT);
	assert_int_equal(record.task.pid, 11);
	assert_int_equal(record.task.tid, 12);
	record_begin(&built, PERF_RECORD_LOST, 0);
	record_u64(&built, 1);
	record_u64(&built, 0x8000000000000001);
	record_end_at(&built, 1, 1, 1);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_LOST);
	assert_int_equal(record.lost.count, 0x8000000000000001);
	record_begin(&built, PERF_RECORD_THROTTLE, 0); /* of no interest, but no fault either */
	record_u64(&built, 1);
	record_end_at(&built, 1, 1, 1);
	assert_int_equal(decode_built(&record), 0);
	assert_int_equal(record.type, PERF_RECORD_THROTTLE);
}

static const struct mmap_fields plain_mmap = {
	.pid = 1, .protection = PROT_EXEC_BIT, .start = 0x1000, .length = 0x1000, .inode = 1, .path = "/a"};

/* One good record of each kind. */
static void
build_kind(unsigned kind)
{
	static const uint8_t id[20] = {1, 2, 3};
	struct mmap_fields with_id = plain_mmap;

	with_id.build_id = id;
	with_id.build_id_size = 20;
	switch (kind) {
	case 0:
		record_mmap(&built, &plain_mmap, 1);
		break;
	case 1:
		record_mmap(&built, &with_id, 1);
		break;
	case 2:
		record_comm(&built, 1, 2, "name", 1);
		break;
	case 3:
		record_fork(&built, 1, 2, 3, 4);
		break;
	case 4:
		record_exit(&built, 1, 2);
		break;
	default:
		record_begin(&built, PERF_RECORD_LOST, 0);
		record_u64(&built, 1);
		record_u64(&built, 2);
		record_end_at(&built, 1, 1, 1);
	}
}
#define KINDS 6

/* One byte less is another layout; a header that lies about the size is none. */
static void
test_exact_size(void **state)
{
	struct sideband_record record;

	(void)state;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		build_kind(kind);
		size_t whole = built.size;
		assert_int_equal(decode_built(&record), 0);
		for (size_t size = 0; size < whole; size++) {
			build_kind(kind);
			built.size = size;
			if (size >= sizeof(struct perf_event_header))
				record_end(&built);
			/* the trailer moves into the body: only a string may still end in time */
			int result = decode_built(&record);
			if (result != -EBADMSG && !(kind < 3 && size + 8 > whole))
				fail_msg("kind %u cut to %zu of %zu bytes: %d", kind, size, whole, result);
		}
		build_kind(kind);
		record_u64(&built, 0);
		assert_int_equal(decode_built(&record), -EBADMSG); /* header says less */
		record_end(&built);
		/* a word nobody asked for: behind a string it is padding, elsewhere another layout */
		assert_int_equal(decode_built(&record), kind < 3 ? 0 : -EBADMSG);
		build_kind(kind);
		built.bytes[offsetof(struct perf_event_header, size)]++;
		assert_int_equal(decode_built(&record), -EBADMSG); /* header says more */
	}
}

static void
test_unterminated_strings(void **state)
{
	struct sideband_record record;

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		build_kind(kind);
		for (size_t i = kind == 2 ? 16 : 72; i < built.size - 16; i++)
			built.bytes[i] = 'x';
		assert_int_equal(decode_built(&record), -EBADMSG);
	}
}

/* Whatever is accepted of damaged records keeps the promises of record.h. */
static void
test_mutations_of_sideband(void **state)
{
	uint64_t seed = 42;
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < MUTATIONS; i++) {
		struct sideband_record record;
		uint8_t *bytes;

		build_kind(i % KINDS);
		for (uint64_t damage = random_below(&seed, 4); damage > 0; damage--)
			built.bytes[random_below(&seed, built.size)] = (uint8_t)random_next(&seed);
		if (random_below(&seed, 4) == 0) {
			built.size = random_below(&seed, built.size + 40);
			if (built.size >= 8 && random_below(&seed, 2))
				record_end(&built);
		}
		if (decode(built.bytes, built.size, &record, &bytes) == 0) {
			accepted++;
			if (record.type == PERF_RECORD_MMAP2) {
				assert_true(record.mmap.length > 0);
				assert_true(record.mmap.start + record.mmap.length > record.mmap.start);
				assert_true(record.mmap.build_id_size <= MAX_BUILD_ID);
				assert_in_range((uintptr_t)record.mmap.path, (uintptr_t)bytes,
						(uintptr_t)bytes + built.size - 1);
				assert_true(strlen(record.mmap.path) < MAX_PATH_BYTES);
			} else if (record.type == PERF_RECORD_COMM) {
				assert_non_null(memchr(record.comm.name, 0, sizeof(record.comm.name)));
			}
		}
		free(bytes);
	}
	assert_in_range(accepted, MUTATIONS / 10, MUTATIONS); /* the damage must not hide the decoder */
}

static void
test_mutations_of_samples(void **state)
{
	uint64_t seed = 43, word;
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < MUTATIONS; i++) {
		struct sample_record sample;
		uint64_t stack = 8 * random_below(&seed, 60), chain = random_below(&seed, 20);

		build_sample(&(struct sample_fields){random_below(&seed, 4), random_below(&seed, 8) ? 17 : 0,
						     stack, stack, stack > 0,
						     stack / (1 + random_below(&seed, 2)), 0, chain, chain});
		size_t size = built.size;
		for (uint64_t damage = random_below(&seed, 3); damage > 0; damage--)
			built.bytes[8 + random_below(&seed, size - 8)] = (uint8_t)random_next(&seed);
		if (random_below(&seed, 4) == 0) {
			built.size = 8 + 8 * random_below(&seed, size / 8 + 2);
			record_end(&built);
		}
		struct ring_record record = in_ring(8 * random_below(&seed, 1 << 20));
		(void)record_time(&record, &word);
		if (record_decode_sample(&record, &sample) < 0)
			continue;
		accepted++;
		assert_true(sample.stack.size <= record.header.size);
		assert_true(sample.chain_count <= record.header.size / 8);
		if (sample.stack.size > 0)
			assert_true(sample.stack.at - record.at + sample.stack.size <= record.header.size);
		for (uint64_t at = 0; at + 8 <= sample.stack.size; at += 4)
			assert_true(sample.stack.sp + at < sample.stack.sp ||
				    stack_view_u64(&sample.stack, sample.stack.sp + at, &word));
		assert_false(stack_view_u64(&sample.stack, sample.stack.sp + sample.stack.size, &word));
	}
	assert_in_range(accepted, MUTATIONS / 10, MUTATIONS);
}

#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, make_ring, free_ring)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_sample_with_everything),
		RING_TEST(test_sample_in_kernel),
		RING_TEST(test_chains),
		RING_TEST(test_no_marker_is_an_address),
		RING_TEST(test_chains_of_both),
		RING_TEST(test_samples),
		RING_TEST(test_truncated_samples),
		RING_TEST(test_time_of_sideband),
		cmocka_unit_test(test_mmap),
		cmocka_unit_test(test_mmap_bounds),
		cmocka_unit_test(test_comm),
		cmocka_unit_test(test_tasks_and_lost),
		cmocka_unit_test(test_exact_size),
		cmocka_unit_test(test_unterminated_strings),
		cmocka_unit_test(test_mutations_of_sideband),
		RING_TEST(test_mutations_of_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
