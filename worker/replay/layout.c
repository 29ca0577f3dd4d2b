/* The fields of a sample stand in the order of this table; the bits of sample_type are in another. */

#include "worker/replay/layout.h"

#include "worker/base/cursor.h"
#include "worker/unwind/architecture.h"

#include <errno.h>

/* Not in the headers of every distribution we build on. */
#define FORMAT_LOST (1u << 4)              /* PERF_FORMAT_LOST, Linux 6.0 */
#define BRANCH_HARDWARE_INDEX (1ull << 17) /* PERF_SAMPLE_BRANCH_HW_INDEX */
#define MISC_MMAP_DATA (1u << 13)

static const uint64_t words_before_time[] = {PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_IP, PERF_SAMPLE_TID};
static const uint64_t words_before_id[] = {PERF_SAMPLE_IP, PERF_SAMPLE_TID, PERF_SAMPLE_TIME,
					   PERF_SAMPLE_ADDR};
/* From the record's end backwards; each is eight bytes. */
static const uint64_t trailer_backwards[] = {PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_CPU,  PERF_SAMPLE_STREAM_ID,
					     PERF_SAMPLE_ID,         PERF_SAMPLE_TIME, PERF_SAMPLE_TID};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
bytes_of(uint64_t type, const uint64_t *fields, size_t count)
{
	int bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += type & fields[i] ? 8 : 0;
	return bytes;
}

/* Of a field in the trailer, from the record's end; -1: not there. */
static int
trailer_offset(const struct perf_event_attr *attributes, uint64_t field)
{
	int bytes = 0;

	if (!attributes->sample_id_all || !(attributes->sample_type & field))
		return -1;
	for (size_t i = 0; i < COUNT(trailer_backwards); i++) {
		bytes += attributes->sample_type & trailer_backwards[i] ? 8 : 0;
		if (trailer_backwards[i] == field)
			break;
	}
	return bytes;
}

void
layout_offsets(const struct perf_event_attr *attributes, struct layout_offsets *ret)
{
	uint64_t type = attributes->sample_type;
	int header = sizeof(struct perf_event_header);

	*ret = (struct layout_offsets){.sample_id = -1, .sample_time = -1};
	if (type & PERF_SAMPLE_TIME)
		ret->sample_time = header + bytes_of(type, words_before_time, COUNT(words_before_time));
	if (type & PERF_SAMPLE_IDENTIFIER)
		ret->sample_id = header;
	else if (type & PERF_SAMPLE_ID)
		ret->sample_id = header + bytes_of(type, words_before_id, COUNT(words_before_id));
	ret->trailer_time = trailer_offset(attributes, PERF_SAMPLE_TIME);
	ret->trailer_id = trailer_offset(attributes, type & PERF_SAMPLE_IDENTIFIER ? PERF_SAMPLE_IDENTIFIER
										   : PERF_SAMPLE_ID);
	if (attributes->sample_id_all)
		ret->trailer_bytes = (uint16_t)bytes_of(type, trailer_backwards, COUNT(trailer_backwards));
}

static void
skip_words(struct cursor *c, uint64_t count)
{
	if (count > cursor_left(c) / sizeof(uint64_t))
		cursor_fail(c);
	else
		cursor_bytes(c, count * sizeof(uint64_t));
}

static void
skip_read_values(struct cursor *c, uint64_t format)
{
	uint64_t times =
		!!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) + !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING);
	uint64_t words = 1 + !!(format & PERF_FORMAT_ID) + !!(format & FORMAT_LOST);
	uint64_t values = format & PERF_FORMAT_GROUP ? cursor_u64(c) : 1;

	if (values > cursor_left(c) / sizeof(uint64_t))
		cursor_fail(c);
	else
		skip_words(c, times + values * words);
}

/* Addresses of several worlds in one list, each begun by a marker that is no address. */
static void
take_chain(struct cursor *c, uint64_t chain[static LAYOUT_CHAIN_MAX], size_t *ret_count)
{
	uint64_t count = cursor_u64(c);
	bool is_user = false;

	*ret_count = 0;
	if (count > cursor_left(c) / sizeof(uint64_t))
		cursor_fail(c);
	for (uint64_t i = 0; i < count && !c->failed; i++) {
		uint64_t address = cursor_u64(c);

		if (address >= PERF_CONTEXT_MAX)
			is_user = address == (uint64_t)PERF_CONTEXT_USER;
		else if (is_user && *ret_count < LAYOUT_CHAIN_MAX)
			chain[(*ret_count)++] = address;
	}
}

static void
skip_raw(struct cursor *c)
{
	uint32_t size = cursor_u32(c);

	cursor_bytes(c, size);
}

/* Entries of three words; a number per entry may follow (Linux 6.8), and whoever recorded that asked for it.
 */
static void
skip_branches(struct cursor *c, const struct perf_event_attr *attributes)
{
	const uint64_t counters = 1ull << 19; /* PERF_SAMPLE_BRANCH_COUNTERS */
	uint64_t count = cursor_u64(c);
	uint64_t words = attributes->branch_sample_type & counters ? 4 : 3;

	if (attributes->branch_sample_type & BRANCH_HARDWARE_INDEX)
		cursor_u64(c);
	if (count > cursor_left(c) / sizeof(uint64_t))
		cursor_fail(c);
	else
		skip_words(c, count * words);
}

/* True when there is everything a walk needs. */
static bool
take_registers(struct cursor *c, uint64_t mask, struct user_registers *ret)
{
	const uint64_t needed = 1ull << REGISTER_PC | 1ull << REGISTER_SP | 1ull << REGISTER_FP;
	uint64_t abi = cursor_u64(c), known = 0;

	*ret = (struct user_registers){0};
	if (abi == PERF_SAMPLE_REGS_ABI_NONE)
		return false;
	for (unsigned bit = 0; bit < 64; bit++) {
		if (!(mask >> bit & 1))
			continue;
		uint64_t value = cursor_u64(c);
		int number = record_dwarf_register(bit);
		if (number < 0)
			continue;
		ret->value[number] = value;
		known |= 1ull << number;
	}
	return abi == PERF_SAMPLE_REGS_ABI_64 && (known & needed) == needed;
}

static bool
take_stack(struct cursor *c, uint64_t sp, struct stack_view *ret)
{
	uint64_t size = cursor_u64(c);

	if (size == 0)
		return false;
	const uint8_t *bytes = size > cursor_left(c) ? NULL : cursor_bytes(c, size);
	uint64_t copied = cursor_u64(c);
	if (!bytes || copied > size) {
		cursor_fail(c);
		return false;
	}
	*ret = (struct stack_view){.bytes = bytes, .mask = UINT64_MAX, .sp = sp, .size = copied};
	return true;
}

int
layout_decode_sample(const struct perf_event_attr *attributes, const uint8_t *bytes, size_t size,
		     uint64_t chain[static LAYOUT_CHAIN_MAX], struct sample_record *ret)
{
	uint64_t type = attributes->sample_type;
	struct cursor c = cursor_over(bytes, size);
	struct sample_record sample = {.chain = chain};
	struct perf_event_header header = {0};
	const uint8_t *head = cursor_bytes(&c, sizeof(header));

	if (!head)
		return -EBADMSG;
	memcpy(&header, head, sizeof(header));
	unsigned mode = header.misc & PERF_RECORD_MISC_CPUMODE_MASK;
	sample.in_kernel = mode == PERF_RECORD_MISC_KERNEL || mode == PERF_RECORD_MISC_HYPERVISOR;
	if (type & PERF_SAMPLE_IDENTIFIER)
		cursor_u64(&c);
	uint64_t ip = type & PERF_SAMPLE_IP ? cursor_u64(&c) : 0;
	if (type & PERF_SAMPLE_TID) {
		sample.pid = cursor_u32(&c);
		sample.tid = cursor_u32(&c);
	}
	if (type & PERF_SAMPLE_TIME)
		sample.time_ns = cursor_u64(&c);
	skip_words(&c, (uint64_t) !!(type & PERF_SAMPLE_ADDR) + !!(type & PERF_SAMPLE_ID) +
			       !!(type & PERF_SAMPLE_STREAM_ID) + !!(type & PERF_SAMPLE_CPU));
	sample.period_ns = type & PERF_SAMPLE_PERIOD ? cursor_u64(&c) : 0;
	if (type & PERF_SAMPLE_READ)
		skip_read_values(&c, attributes->read_format);
	if (type & PERF_SAMPLE_CALLCHAIN)
		take_chain(&c, chain, &sample.chain_count);
	if (type & PERF_SAMPLE_RAW)
		skip_raw(&c);
	if (type & PERF_SAMPLE_BRANCH_STACK)
		skip_branches(&c, attributes);
	bool has_registers = type & PERF_SAMPLE_REGS_USER &&
			     take_registers(&c, attributes->sample_regs_user, &sample.registers);
	bool has_stack = type & PERF_SAMPLE_STACK_USER &&
			 take_stack(&c, sample.registers.value[REGISTER_SP], &sample.stack);
	if (c.failed) /* what may follow says nothing about stacks */
		return -EBADMSG;
	sample.has_registers = has_registers && has_stack;
	if (!sample.has_registers && sample.chain_count == 0 && !sample.in_kernel && type & PERF_SAMPLE_IP)
		chain[sample.chain_count++] = ip;
	*ret = sample;
	return 0;
}

static int
decode_old_mmap(const struct perf_event_header *header, struct cursor body, struct mmap_record *ret)
{
	struct mmap_record record = {.is_executable = !(header->misc & MISC_MMAP_DATA)};

	record.pid = cursor_u32(&body);
	record.tid = cursor_u32(&body);
	record.start = cursor_u64(&body);
	record.length = cursor_u64(&body);
	record.offset = cursor_u64(&body);
	size_t room = cursor_left(&body);
	const uint8_t *path = cursor_bytes(&body, room);
	const uint8_t *end = path ? memchr(path, 0, room) : NULL;
	if (body.failed || !end || end - path >= MAX_PATH_BYTES || record.length == 0 ||
	    record.start + record.length < record.start)
		return -EBADMSG;
	record.path = (const char *)path;
	*ret = record;
	return 0;
}

int
layout_decode_sideband(const uint8_t *bytes, size_t size, uint16_t trailer_bytes, struct sideband_record *ret)
{
	struct perf_event_header header;

	if (size < sizeof(header) + trailer_bytes)
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	bool is_mapping = header.type == PERF_RECORD_MMAP || header.type == PERF_RECORD_MMAP2;
	if (is_mapping && (header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL)
		return -ENOENT;
	const uint8_t *body = bytes + sizeof(header);
	size -= sizeof(header) + trailer_bytes;
	if (header.type != PERF_RECORD_MMAP)
		return record_decode_sideband_body(&header, body, size, ret);
	ret->type = PERF_RECORD_MMAP2;
	return decode_old_mmap(&header, cursor_over(body, size), &ret->mmap);
}
