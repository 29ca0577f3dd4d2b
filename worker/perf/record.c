/* Record layouts as perf_event_open(2) gives them for the sample types in policy/events.c:
 *
 *   SAMPLE    header | pid tid | time | period | nr [chain] | abi [registers] | size [stack bytes, dyn_size]
 *   others    header | body | pid tid time        (the trailer of sample_id_all)
 */

#include "worker/perf/record.h"

#include "policy/events.h"
#include "worker/base/cursor.h"

#include <errno.h>

#define TRAILER_BYTES 16
#define SAMPLE_TIME_OFFSET 16

static const uint8_t dwarf_register[] = {REGISTERS_IN_PERF_ORDER};

_Static_assert(sizeof(dwarf_register) == SAMPLE_REGISTERS_COUNT, "one number for each bit");

int
record_dwarf_register(unsigned perf_bit)
{
	if (perf_bit >= 64 || !(SAMPLE_REGISTERS_MASK >> perf_bit & 1))
		return -1;
	return dwarf_register[__builtin_popcountll(SAMPLE_REGISTERS_MASK & ((1ull << perf_bit) - 1))];
}

struct sample_prefix {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t time, period, chain_words;
};

static int
decode_stack(const struct ring_record *record, size_t offset, struct sample_record *ret)
{
	uint64_t size, copied;

	if (!ring_record_copy(record, offset, &size, sizeof(size)))
		return -EBADMSG;
	offset += sizeof(size);
	ret->stack_requested = (uint32_t)size;
	ret->stack = (struct stack_view){.bytes = record->ring->data, .mask = record->ring->mask};
	if (size == 0)
		return offset == record->header.size ? 0 : -EBADMSG;
	if (size > record->header.size || !ring_record_copy(record, offset + size, &copied, sizeof(copied)) ||
	    copied > size || offset + size + sizeof(copied) != record->header.size)
		return -EBADMSG;
	ret->stack.at = record->at + offset;
	ret->stack.size = copied;
	ret->stack.sp = ret->registers.value[REGISTER_SP];
	return 0;
}

/* Leaf first. Between the addresses, PERF_CONTEXT_* say whose those that follow are. */
static int
decode_chain(const struct ring_record *record, size_t offset, uint64_t words, struct sample_record *ret)
{
	bool is_kernel = false;
	uint64_t word;

	ret->chain = ret->chain_copy;
	ret->chain_count = ret->kernel_chain_count = 0;
	for (uint64_t i = 0; i < words; i++, offset += sizeof(word)) {
		if (!ring_record_copy(record, offset, &word, sizeof(word)))
			return -EBADMSG;
		if (word >= (uint64_t)PERF_CONTEXT_MAX)
			is_kernel = word == (uint64_t)PERF_CONTEXT_KERNEL;
		else if (is_kernel && ret->kernel_chain_count < SAMPLE_CHAIN_MAX)
			ret->kernel_chain[ret->kernel_chain_count++] = word;
		else if (!is_kernel && ret->chain_count < SAMPLE_CHAIN_MAX)
			ret->chain_copy[ret->chain_count++] = word;
	}
	return 0;
}

static int
decode_registers(const struct ring_record *record, size_t *offset, struct sample_record *ret)
{
	uint64_t abi, registers[SAMPLE_REGISTERS_COUNT];

	if (!ring_record_copy(record, *offset, &abi, sizeof(abi)))
		return -EBADMSG;
	*offset += sizeof(abi);
	ret->has_registers = abi == PERF_SAMPLE_REGS_ABI_64;
	if (abi == PERF_SAMPLE_REGS_ABI_NONE)
		return 0;
	if (!ring_record_copy(record, *offset, registers, sizeof(registers)))
		return -EBADMSG;
	for (size_t i = 0; i < SAMPLE_REGISTERS_COUNT; i++)
		ret->registers.value[dwarf_register[i]] = registers[i];
	*offset += sizeof(registers);
	return 0;
}

int
record_decode_sample(const struct ring_record *record, struct sample_record *ret)
{
	struct sample_prefix prefix;
	size_t offset = sizeof(prefix);

	if (!ring_record_copy(record, 0, &prefix, sizeof(prefix)))
		return -EBADMSG;
	ret->pid = prefix.pid;
	ret->tid = prefix.tid;
	ret->time_ns = prefix.time;
	ret->period_ns = prefix.period;
	ret->in_kernel = (prefix.header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL;
	if (decode_chain(record, offset, prefix.chain_words, ret) < 0)
		return -EBADMSG;
	offset += prefix.chain_words * sizeof(uint64_t);
	if (decode_registers(record, &offset, ret) < 0)
		return -EBADMSG;
	return decode_stack(record, offset, ret);
}

bool
record_time(const struct ring_record *record, uint64_t *ret_time_ns)
{
	if (record->header.type == PERF_RECORD_SAMPLE)
		return ring_record_copy(record, SAMPLE_TIME_OFFSET, ret_time_ns, sizeof(*ret_time_ns));
	if (record->header.size < sizeof(record->header) + TRAILER_BYTES)
		return false;
	return ring_record_copy(record, record->header.size - sizeof(*ret_time_ns), ret_time_ns,
				sizeof(*ret_time_ns));
}

/* A string that fills the rest of the body: terminated, and padded to a multiple of 8 (the kernel's ALIGN).
 */
static const char *
take_string(struct cursor *body, size_t *ret_length)
{
	const char *text = (const char *)body->at;
	const char *end = memchr(text, 0, cursor_left(body));

	if (!end) {
		cursor_fail(body);
		return "";
	}
	*ret_length = (size_t)(end - text);
	body->at = body->end;
	return text;
}

static int
decode_mmap(struct cursor body, uint16_t misc, struct mmap_record *ret)
{
	struct mmap_record record = {0};
	size_t length = 0;

	record.pid = cursor_u32(&body);
	record.tid = cursor_u32(&body);
	record.start = cursor_u64(&body);
	record.length = cursor_u64(&body);
	record.offset = cursor_u64(&body);
	if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		record.build_id_size = cursor_u8(&body);
		cursor_bytes(&body, 3);
		const uint8_t *id = cursor_bytes(&body, MAX_BUILD_ID);
		if (!id || record.build_id_size > MAX_BUILD_ID)
			return -EBADMSG;
		memcpy(record.build_id, id, MAX_BUILD_ID);
	} else {
		record.device_major = cursor_u32(&body);
		record.device_minor = cursor_u32(&body);
		record.inode = cursor_u64(&body);
		cursor_u64(&body); /* inode generation */
	}
	uint32_t protection = cursor_u32(&body);
	cursor_u32(&body);                     /* flags */
	record.is_executable = protection & 4; /* PROT_EXEC */
	record.path = take_string(&body, &length);
	if (!cursor_finished(&body) || record.length == 0 || record.start + record.length < record.start ||
	    length >= MAX_PATH_BYTES)
		return -EBADMSG;
	*ret = record;
	return 0;
}

static int
decode_comm(struct cursor body, uint16_t misc, struct comm_record *ret)
{
	struct comm_record record = {.is_exec = misc & PERF_RECORD_MISC_COMM_EXEC};
	size_t length = 0;

	record.pid = cursor_u32(&body);
	record.tid = cursor_u32(&body);
	const char *name = take_string(&body, &length);
	if (!cursor_finished(&body) || length >= sizeof(record.name))
		return -EBADMSG;
	memcpy(record.name, name, length);
	*ret = record;
	return 0;
}

static int
decode_task(struct cursor body, struct task_record *ret)
{
	struct task_record record;

	record.pid = cursor_u32(&body);
	record.parent_pid = cursor_u32(&body);
	record.tid = cursor_u32(&body);
	record.parent_tid = cursor_u32(&body);
	cursor_u64(&body); /* time, again in the trailer */
	if (!cursor_finished(&body))
		return -EBADMSG;
	*ret = record;
	return 0;
}

static int
decode_lost(struct cursor body, struct lost_record *ret)
{
	struct lost_record record;

	cursor_u64(&body); /* event id */
	record.count = cursor_u64(&body);
	if (!cursor_finished(&body))
		return -EBADMSG;
	*ret = record;
	return 0;
}

int
record_decode_sideband_body(const struct perf_event_header *header, const uint8_t *bytes, size_t size,
			    struct sideband_record *ret)
{
	struct cursor body = cursor_over(bytes, size);

	ret->type = header->type;
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		return decode_mmap(body, header->misc, &ret->mmap);
	case PERF_RECORD_COMM:
		return decode_comm(body, header->misc, &ret->comm);
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return decode_task(body, &ret->task);
	case PERF_RECORD_LOST:
		return decode_lost(body, &ret->lost);
	default:
		return 0;
	}
}

int
record_decode_sideband(const uint8_t *bytes, size_t size, struct sideband_record *ret)
{
	struct perf_event_header header;

	if (size < sizeof(header) + TRAILER_BYTES)
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	if (header.size != size)
		return -EBADMSG;
	return record_decode_sideband_body(&header, bytes + sizeof(header),
					   size - sizeof(header) - TRAILER_BYTES, ret);
}
