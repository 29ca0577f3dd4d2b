/* Perf records in a ring: what is decoded lies inside its record, and does not depend on where the ring
 * wraps. */

#include "tests/fuzz/fuzz.h"

#include "ipc/protocol.h"
#include "tests/support/records.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <string.h>

enum { RING_SIZE = 4096, LINEAR_SIZE = 2 * RING_SIZE };

/* One ring with the input at a place of the input's choice, one where nothing wraps. */
static struct ring_memory wrapped, linear;

static void
check_stack(const struct ring_record *record, const struct stack_view *stack)
{
	uint64_t word;

	if (stack->size == 0)
		return;
	CHECK(stack->at >= record->at && stack->size <= record->header.size);
	CHECK(stack->at - record->at + stack->size <= record->header.size);
	for (uint64_t at = 0; at < stack->size + 8; at++)
		CHECK(stack_view_u64(stack, stack->sp + at, &word) ==
		      (stack->size >= 8 && at <= stack->size - 8 && stack->sp + at >= at));
}

static bool
same_stack(const struct stack_view *a, const struct stack_view *b)
{
	uint64_t one = 0, other = 0;

	if (a->size != b->size || a->sp != b->sp)
		return false;
	for (uint64_t at = 0; at + 8 <= a->size; at++)
		if (stack_view_u64(a, a->sp + at, &one) != stack_view_u64(b, b->sp + at, &other) ||
		    one != other)
			return false;
	return true;
}

static void
check_sample(const struct ring_record *record, const struct ring_record *same)
{
	struct sample_record sample = {0}, again = {0};
	int result = record_decode_sample(record, &sample);

	CHECK(result == 0 || result == -EBADMSG);
	CHECK(record_decode_sample(same, &again) == result);
	if (result)
		return;
	check_stack(record, &sample.stack);
	CHECK(same_stack(&sample.stack, &again.stack));
	CHECK(sample.has_registers == again.has_registers && sample.time_ns == again.time_ns &&
	      sample.pid == again.pid && sample.tid == again.tid && sample.period_ns == again.period_ns);
	CHECK(memcmp(&sample.registers, &again.registers, sizeof(sample.registers)) == 0);
	CHECK(!sample.in_kernel && sample.stack_requested == again.stack_requested);
	CHECK(sample.chain_count == again.chain_count && sample.chain_count <= SAMPLE_CHAIN_MAX &&
	      sample.chain_count <= record->header.size / sizeof(uint64_t));
	for (size_t i = 0; i < sample.chain_count; i++)
		CHECK(sample.chain[i] == again.chain[i] && sample.chain[i] < (uint64_t)PERF_CONTEXT_MAX);
}

static void
check_sideband(const struct ring_record *record)
{
	size_t size = record->header.size;
	uint8_t *bytes = malloc(size);
	struct sideband_record sideband = {0};

	CHECK(ring_record_copy(record, 0, bytes, size));
	CHECK(!ring_record_copy(record, 1, bytes, size) && !ring_record_copy(record, size + 1, bytes, 0));
	int result = record_decode_sideband(bytes, size, &sideband);
	CHECK(result == 0 || result == -EBADMSG);
	if (result == 0 && sideband.type == PERF_RECORD_MMAP2) {
		const struct mmap_record *map = &sideband.mmap;

		CHECK(map->length > 0 && map->start + map->length > map->start);
		CHECK(map->build_id_size <= MAX_BUILD_ID);
		CHECK((const uint8_t *)map->path >= bytes && (const uint8_t *)map->path < bytes + size);
		CHECK(strlen(map->path) < MAX_PATH_BYTES);
		CHECK((const uint8_t *)map->path + strlen(map->path) < bytes + size);
	} else if (result == 0 && sideband.type == PERF_RECORD_COMM) {
		CHECK(memchr(sideband.comm.name, 0, sizeof(sideband.comm.name)));
	}
	free(bytes);
}

static void
check_time(const struct ring_record *record, const struct ring_record *same)
{
	uint64_t one = 0, other = 0;

	CHECK(record_time(record, &one) == record_time(same, &other) && one == other);
}

static void
fill(struct ring_memory *memory, struct perf_ring *ring, uint64_t start, const uint8_t *bytes, size_t size)
{
	ring_memory_start_at(memory, start);
	ring_memory_write(memory, bytes, size);
	perf_ring_over(memory->page, memory->size, ring);
	perf_ring_snapshot(ring);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct perf_ring ring, plain;
	struct ring_record record, same;
	uint64_t malformed = 0, malformed_plain = 0, before;

	if (size < 2 || size - 2 > RING_SIZE)
		return 0;
	if (!wrapped.page) {
		ring_memory_init(&wrapped, RING_SIZE);
		ring_memory_init(&linear, LINEAR_SIZE);
	}
	fill(&wrapped, &ring, 8 * (uint64_t)(bytes[0] | bytes[1] << 8), bytes + 2, size - 2);
	fill(&linear, &plain, 0, bytes + 2, size - 2);
	while (before = ring.tail, perf_ring_peek(&ring, &record, &malformed)) {
		CHECK(perf_ring_peek(&plain, &same, &malformed_plain));
		CHECK(record.header.size == same.header.size);
		check_time(&record, &same);
		if (record.header.type == PERF_RECORD_SAMPLE)
			check_sample(&record, &same);
		else
			check_sideband(&record);
		perf_ring_consume(&ring, &record);
		perf_ring_consume(&plain, &same);
		CHECK(ring.tail > before && ring.tail <= ring.head);
	}
	CHECK(!perf_ring_peek(&plain, &same, &malformed_plain) && malformed == malformed_plain);
	CHECK(ring.tail == ring.head);
	return 0;
}
