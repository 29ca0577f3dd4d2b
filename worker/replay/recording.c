/* One pass over the headers makes an index of (time, place), which is sorted; the records themselves are read
 * when their turn comes. perf writes each CPU's ring in turn and a marker after each round, so that a reader
 * needs to sort a round only: an index of 16 bytes per record needs no such promise. */

#include "worker/replay/recording.h"

#include "worker/base/cursor.h"
#include "worker/replay/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#define MAGIC 0x32454c4946524550ull /* "PERFILE2" */
#define FILE_HEADER_BYTES 104
#define PIPE_HEADER_BYTES 16
#define SECTION_BYTES 16

/* Beyond these a file is refused: each bounds an allocation. */
#define EVENTS_MAX 256
#define IDS_MAX (1u << 20)
#define RECORDS_MAX (16u << 20)
#define FEATURE_BYTES_MAX (16u << 20)
/* A sample of more time than that (18 minutes) is none. */
#define PERIOD_MAX_NS (1ull << 40)

/* perf's own records and features (linux tools/lib/perf/include/perf/event.h, tools/perf/util/header.h). */
enum {
	RECORD_ATTRIBUTES = 64,
	RECORD_TRACING_DATA = 66,
	RECORD_BUILD_ID = 67,
	RECORD_AUXTRACE = 71,
	RECORD_FEATURE = 80,
	RECORD_COMPRESSED = 81,
	RECORD_COMPRESSED2 = 83,
	FEATURE_BUILD_ID = 2,
	FEATURE_ARCHITECTURE = 6,
	FEATURE_COMPRESSED = 27,
	FEATURES = 256,
	MISC_BUILD_ID_SIZE = 1 << 15,
	RECORD_LOST_SAMPLES = 13, /* PERF_RECORD_LOST_SAMPLES */
};

static const char compressed[] = "is compressed; record without -z";
static const char damaged[] = "is damaged or is no perf.data file";

struct event {
	struct perf_event_attr attributes;
	struct layout_offsets at;
	bool is_counted;
};

struct event_id {
	uint64_t id;
	uint32_t event;
};

struct place {
	uint64_t time, offset;
};

struct build_id {
	uint8_t bytes[MAX_BUILD_ID];
	uint8_t size; /* 0: files of this name differ */
	UT_hash_handle hh;
	char path[];
};

struct recording {
	int fd;
	uint64_t file_size, data_start, data_end;
	bool is_pipe, is_settled, is_cut;
	uint32_t event_count, id_count, id_capacity;
	struct event event[EVENTS_MAX];
	struct event_id *ids;
	size_t place_count, place_capacity, next;
	struct place *places;
	struct build_id *build_ids;
	uint64_t period_ns;
	uint64_t first_ns, last_ns;
	const char *reason;
	uint64_t chain[LAYOUT_CHAIN_MAX];
	_Alignas(8) uint8_t record[UINT16_MAX + 1];
};

static int
refuse(struct recording *r, const char *reason)
{
	r->reason = reason;
	return -EBADMSG;
}

/* ---- bytes ---- */

static int
read_at(const struct recording *r, uint64_t offset, void *ret, size_t size)
{
	if (offset > r->file_size || size > r->file_size - offset)
		return -EBADMSG;
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(r->fd, (uint8_t *)ret + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		done += (size_t)got;
	}
	return 0;
}

/* A whole section; the caller frees. */
static int
read_section(const struct recording *r, uint64_t offset, uint64_t size, uint8_t **ret)
{
	if (size > FEATURE_BYTES_MAX)
		return -EBADMSG;
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	int result = read_at(r, offset, bytes, size);
	if (result < 0)
		free(bytes);
	else
		*ret = bytes;
	return result;
}

/* ---- events ---- */

static int
add_id(struct recording *r, uint64_t id, uint32_t event)
{
	if (r->id_count == r->id_capacity) {
		uint32_t capacity = r->id_capacity ? 2 * r->id_capacity : 256;

		if (capacity > IDS_MAX)
			return -EBADMSG;
		struct event_id *grown = reallocarray(r->ids, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->ids = grown;
		r->id_capacity = capacity;
	}
	r->ids[r->id_count++] = (struct event_id){id, event};
	return 0;
}

/* `bytes` is what the file has of the attributes, which may be less or more than we know. */
static int
add_event(struct recording *r, const uint8_t *bytes, size_t size, struct cursor ids)
{
	struct perf_event_attr attributes = {0};
	int result = 0;

	if (size < PERF_ATTR_SIZE_VER0 || r->event_count == EVENTS_MAX || r->is_settled)
		return refuse(r, r->event_count == EVENTS_MAX ? "has too many events" : damaged);
	memcpy(&attributes, bytes, size < sizeof(attributes) ? size : sizeof(attributes));
	if (attributes.size >= PERF_ATTR_SIZE_VER0 && attributes.size < sizeof(attributes))
		memset((uint8_t *)&attributes + attributes.size, 0, sizeof(attributes) - attributes.size);
	r->event[r->event_count].attributes = attributes;
	layout_offsets(&attributes, &r->event[r->event_count].at);
	while (result == 0 && cursor_left(&ids) >= sizeof(uint64_t))
		result = add_id(r, cursor_u64(&ids), r->event_count);
	r->event_count++;
	return result;
}

static int
read_file_event(struct recording *r, const uint8_t *entry, size_t size)
{
	struct cursor section = cursor_over(entry + size - SECTION_BYTES, SECTION_BYTES);
	uint64_t ids_at = cursor_u64(&section), ids_size = cursor_u64(&section);
	uint8_t *ids = NULL;
	int result = read_section(r, ids_at, ids_size, &ids);

	if (result == 0)
		result = add_event(r, entry, size - SECTION_BYTES, cursor_over(ids, ids_size));
	free(ids);
	return result;
}

static int
read_file_events(struct recording *r, uint64_t offset, uint64_t size, uint64_t entry_size)
{
	uint8_t *bytes = NULL;

	if (entry_size < PERF_ATTR_SIZE_VER0 + SECTION_BYTES || entry_size > size)
		return -EBADMSG;
	int result = read_section(r, offset, size, &bytes);
	for (uint64_t at = 0; result == 0 && size - at >= entry_size; at += entry_size)
		result = read_file_event(r, bytes + at, entry_size);
	free(bytes);
	return result;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct event_id *one = a, *other = b;

	return one->id < other->id ? -1 : one->id > other->id;
}

static bool
is_dummy(const struct perf_event_attr *attributes)
{
	return attributes->type == PERF_TYPE_SOFTWARE && attributes->config == PERF_COUNT_SW_DUMMY;
}

/* The same event on another kind of CPU has the kind in its upper half (hybrid processors). */
static bool
is_same_event(const struct perf_event_attr *a, const struct perf_event_attr *b)
{
	return a->type == b->type && (uint32_t)a->config == (uint32_t)b->config &&
	       (a->type == PERF_TYPE_HARDWARE || a->config == b->config);
}

static bool
is_clock(const struct perf_event_attr *attributes)
{
	return attributes->type == PERF_TYPE_SOFTWARE && (attributes->config == PERF_COUNT_SW_CPU_CLOCK ||
							  attributes->config == PERF_COUNT_SW_TASK_CLOCK);
}

static uint64_t
period_of(const struct perf_event_attr *attributes)
{
	if (attributes->freq)
		return attributes->sample_freq ? 1000000000 / attributes->sample_freq : 0;
	return is_clock(attributes) && attributes->sample_period <= PERIOD_MAX_NS ? attributes->sample_period
										  : 0;
}

/* All events are known: which of them is counted, and can their records be told apart? */
static int
settle_events(struct recording *r)
{
	const struct event *counted = NULL;

	if (r->is_settled)
		return 0;
	r->is_settled = true;
	for (uint32_t i = 0; i < r->event_count; i++) {
		struct event *event = &r->event[i];

		if (event->at.sample_id != r->event[0].at.sample_id ||
		    event->at.trailer_id != r->event[0].at.trailer_id ||
		    (r->event_count > 1 && event->at.sample_id < 0))
			return refuse(r, "has several events that cannot be told apart");
		if (!counted && !is_dummy(&event->attributes))
			counted = event;
		event->is_counted = counted && is_same_event(&event->attributes, &counted->attributes);
	}
	if (!counted)
		return refuse(r, "has no event that was sampled");
	r->period_ns = period_of(&counted->attributes);
	if (r->id_count > 0)
		qsort(r->ids, r->id_count, sizeof(*r->ids), compare_ids);
	return 0;
}

/* perf makes up records of what was there before (id 0): those are laid out like the first event's. */
static const struct event *
event_of(const struct recording *r, uint64_t id, bool is_sample)
{
	struct event_id key = {.id = id};

	if (r->event_count == 1)
		return &r->event[0];
	const struct event_id *found =
		r->id_count > 0 ? bsearch(&key, r->ids, r->id_count, sizeof(key), compare_ids) : NULL;
	if (found)
		return &r->event[found->event];
	return is_sample ? NULL : &r->event[0];
}

/* ---- build ids ---- */

static int
add_build_id(struct recording *r, const uint8_t *bytes, size_t size)
{
	struct cursor c = cursor_over(bytes, size);
	struct perf_event_header header = {0};
	struct build_id *known = NULL;
	const uint8_t *head = cursor_bytes(&c, sizeof(header));

	cursor_u32(&c); /* pid */
	const uint8_t *id = cursor_bytes(&c, MAX_BUILD_ID);
	uint8_t id_size = cursor_u8(&c);
	cursor_bytes(&c, 3);
	size_t room = cursor_left(&c);
	const char *path = (const char *)cursor_bytes(&c, room);
	size_t length = path ? strnlen(path, room) : 0;
	if (c.failed || length == 0 || length == room || length >= MAX_PATH_BYTES)
		return 0; /* one name less */
	memcpy(&header, head, sizeof(header));
	if (!(header.misc & MISC_BUILD_ID_SIZE))
		id_size = MAX_BUILD_ID;
	if (id_size > MAX_BUILD_ID)
		return 0;
	HASH_FIND(hh, r->build_ids, path, length, known);
	if (known) {
		if (known->size != id_size || memcmp(known->bytes, id, id_size) != 0)
			known->size = 0;
		return 0;
	}
	known = calloc(1, sizeof(*known) + length + 1);
	if (!known)
		return -ENOMEM;
	memcpy(known->bytes, id, id_size);
	known->size = id_size;
	memcpy(known->path, path, length);
	HASH_ADD(hh, r->build_ids, path, length, known);
	return 0;
}

static int
add_build_ids(struct recording *r, const uint8_t *bytes, size_t size)
{
	struct perf_event_header header;
	int result = 0;

	while (result == 0 && size >= sizeof(header)) {
		memcpy(&header, bytes, sizeof(header));
		if (header.size < sizeof(header) || header.size > size)
			break;
		result = add_build_id(r, bytes, header.size);
		bytes += header.size;
		size -= header.size;
	}
	return result;
}

static void
complete_mapping(const struct recording *r, struct mmap_record *mapping)
{
	const struct build_id *known = NULL;

	if (mapping->build_id_size > 0)
		return;
	HASH_FIND(hh, r->build_ids, mapping->path, strlen(mapping->path), known);
	if (!known)
		return;
	memcpy(mapping->build_id, known->bytes, known->size);
	mapping->build_id_size = known->size;
}

/* ---- features ---- */

/* A counted string: 32 bits of length, then the text, padded. */
static int
check_architecture(struct recording *r, const uint8_t *bytes, size_t size)
{
#if defined(__aarch64__)
	static const char ours[] = "aarch64";
#else
	static const char ours[] = "x86_64";
#endif
	struct cursor c = cursor_over(bytes, size);
	uint32_t length = cursor_u32(&c);
	const uint8_t *text = cursor_bytes(&c, length);

	if (text && length >= sizeof(ours) && memcmp(text, ours, sizeof(ours)) == 0)
		return 0;
	return refuse(r, "was recorded on another kind of processor");
}

static int
take_feature(struct recording *r, unsigned feature, const uint8_t *bytes, size_t size)
{
	switch (feature) {
	case FEATURE_BUILD_ID:
		return add_build_ids(r, bytes, size);
	case FEATURE_ARCHITECTURE:
		return check_architecture(r, bytes, size);
	case FEATURE_COMPRESSED:
		return refuse(r, compressed);
	default:
		return 0;
	}
}

/* A table behind the data, an entry for each bit that is set. */
static int
read_features(struct recording *r, const uint64_t bits[static FEATURES / 64])
{
	uint64_t at = r->data_end;
	int result = 0;

	for (unsigned feature = 0; feature < FEATURES && result == 0; feature++) {
		uint64_t section[2];
		uint8_t *bytes = NULL;

		if (!(bits[feature / 64] >> feature % 64 & 1))
			continue;
		result = read_at(r, at, section, sizeof(section));
		at += sizeof(section);
		bool is_wanted = feature == FEATURE_BUILD_ID || feature == FEATURE_ARCHITECTURE ||
				 feature == FEATURE_COMPRESSED;
		if (result < 0 || !is_wanted)
			continue;
		result = read_section(r, section[0], section[1], &bytes);
		if (result == 0)
			result = take_feature(r, feature, bytes, section[1]);
		free(bytes);
	}
	return result;
}

/* ---- the index ---- */

static int
add_place(struct recording *r, uint64_t time, uint64_t offset)
{
	if (r->place_count == r->place_capacity) {
		size_t capacity = r->place_capacity ? 2 * r->place_capacity : 4096;

		if (capacity > RECORDS_MAX)
			return refuse(r, "has too many records");
		struct place *grown = reallocarray(r->places, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->places = grown;
		r->place_capacity = capacity;
	}
	r->places[r->place_count++] = (struct place){time, offset};
	return 0;
}

/* A word of a record at an offset from its start (samples) or back from its end. */
static bool
read_word(const struct recording *r, uint64_t record, const struct perf_event_header *header, int offset,
	  bool is_sample, uint64_t *ret)
{
	if (offset < 0 || (size_t)offset + (is_sample ? sizeof(*ret) : sizeof(*header)) > header->size)
		return false;
	record += is_sample ? (uint64_t)offset : (uint64_t)(header->size - offset);
	return read_at(r, record, ret, sizeof(*ret)) == 0;
}

static const struct event *
find_event(const struct recording *r, uint64_t record, const struct perf_event_header *header)
{
	bool is_sample = header->type == PERF_RECORD_SAMPLE;
	int offset = is_sample ? r->event[0].at.sample_id : r->event[0].at.trailer_id;
	uint64_t id = 0;

	if (r->event_count > 1 && !read_word(r, record, header, offset, is_sample, &id) && is_sample)
		return NULL;
	return event_of(r, id, is_sample);
}

/* Without a time of its own a record belongs where it stands: behind the one before. */
static int
index_record(struct recording *r, uint64_t offset, const struct perf_event_header *header,
	     uint64_t *last_time)
{
	bool is_sample = header->type == PERF_RECORD_SAMPLE;
	int result = settle_events(r);

	if (result < 0)
		return result;
	const struct event *event = find_event(r, offset, header);
	if (event)
		(void)read_word(r, offset, header, is_sample ? event->at.sample_time : event->at.trailer_time,
				is_sample, last_time);
	if (is_sample && (r->first_ns == 0 || *last_time < r->first_ns))
		r->first_ns = *last_time;
	if (is_sample && *last_time > r->last_ns)
		r->last_ns = *last_time;
	return add_place(r, *last_time, offset);
}

static int
take_attributes(struct recording *r, const uint8_t *bytes, size_t size)
{
	struct cursor c = cursor_over(bytes, size);

	cursor_u32(&c);
	uint32_t attributes_size = cursor_u32(&c);
	c = cursor_over(bytes, size);
	const uint8_t *attributes = cursor_bytes(&c, attributes_size);
	return attributes ? add_event(r, attributes, attributes_size, c) : -EBADMSG;
}

/* What perf itself writes between the kernel's records. *ret_extra: bytes behind the record that its size
 * does not count. */
static int
take_perf_record(struct recording *r, uint64_t offset, const struct perf_event_header *header,
		 uint64_t *ret_extra)
{
	const uint8_t *body = r->record + sizeof(*header);
	size_t size = header->size - sizeof(*header);
	struct cursor c = cursor_over(body, size);

	if (header->type == RECORD_COMPRESSED || header->type == RECORD_COMPRESSED2)
		return refuse(r, compressed);
	int result = read_at(r, offset, r->record, header->size);
	if (result < 0)
		return result;
	switch (header->type) {
	case RECORD_ATTRIBUTES:
		return r->is_pipe ? take_attributes(r, body, size) : 0;
	case RECORD_BUILD_ID:
		return add_build_id(r, r->record, header->size);
	case RECORD_TRACING_DATA:
		*ret_extra = ((uint64_t)cursor_u32(&c) + 7) & ~7ull;
		return 0;
	case RECORD_AUXTRACE:
		*ret_extra = cursor_u64(&c);
		return 0;
	case RECORD_FEATURE: {
		uint64_t feature = cursor_u64(&c);

		return take_feature(r, feature < FEATURES ? (unsigned)feature : 0, c.at, cursor_left(&c));
	}
	default:
		return 0;
	}
}

static bool
is_wanted(uint32_t type)
{
	switch (type) {
	case PERF_RECORD_SAMPLE:
	case PERF_RECORD_MMAP:
	case PERF_RECORD_MMAP2:
	case PERF_RECORD_COMM:
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
	case PERF_RECORD_LOST:
	case RECORD_LOST_SAMPLES:
		return true;
	default:
		return false;
	}
}

static int
compare_places(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	if (one->time != other->time)
		return one->time < other->time ? -1 : 1;
	return one->offset < other->offset ? -1 : one->offset > other->offset;
}

static int
index_records(struct recording *r)
{
	struct perf_event_header header;
	uint64_t at = r->data_start, last_time = 0;
	int result = 0;

	while (result == 0 && at < r->data_end) {
		uint64_t extra = 0;

		if (r->data_end - at < sizeof(header) || read_at(r, at, &header, sizeof(header)) < 0 ||
		    header.size < sizeof(header) || header.size > r->data_end - at) {
			r->is_cut = true; /* whoever recorded it was killed: what is there is good */
			break;
		}
		if (is_wanted(header.type))
			result = index_record(r, at, &header, &last_time);
		else if (header.type >= RECORD_ATTRIBUTES)
			result = take_perf_record(r, at, &header, &extra);
		if (extra > r->data_end - at - header.size) {
			r->is_cut = true;
			break;
		}
		at += header.size + extra;
	}
	if (result == 0)
		result = settle_events(r);
	if (result == 0 && r->place_count > 0)
		qsort(r->places, r->place_count, sizeof(*r->places), compare_places);
	return result;
}

/* ---- the file ---- */

/* A recorder that was killed leaves no data size: the data go on to the end. */
static int
read_file_layout(struct recording *r)
{
	uint64_t header[FILE_HEADER_BYTES / 8];
	int result = read_at(r, 0, header, sizeof(header));

	if (result < 0)
		return result;
	enum { ATTRIBUTE_SIZE = 2, EVENTS, EVENTS_SIZE, DATA, DATA_SIZE, FEATURE_BITS = 9 };
	r->data_start = header[DATA];
	if (r->data_start > r->file_size || header[DATA_SIZE] > r->file_size - r->data_start)
		return -EBADMSG;
	r->data_end = header[DATA_SIZE] ? r->data_start + header[DATA_SIZE] : r->file_size;
	result = read_file_events(r, header[EVENTS], header[EVENTS_SIZE], header[ATTRIBUTE_SIZE]);
	if (result == 0 && header[DATA_SIZE])
		result = read_features(r, &header[FEATURE_BITS]);
	return result;
}

static int
read_layout(struct recording *r)
{
	uint64_t start[2];
	struct stat status;

	if (fstat(r->fd, &status) < 0)
		return -errno;
	r->file_size = (uint64_t)status.st_size;
	if (read_at(r, 0, start, sizeof(start)) < 0)
		return refuse(r, "is no perf.data file");
	if (start[0] == __builtin_bswap64(MAGIC))
		return refuse(r, "was recorded on another kind of processor");
	if (start[0] != MAGIC)
		return refuse(r, "is no perf.data file");
	if (start[1] != PIPE_HEADER_BYTES)
		return start[1] == FILE_HEADER_BYTES ? read_file_layout(r) : -EBADMSG;
	r->is_pipe = true;
	r->data_start = PIPE_HEADER_BYTES;
	r->data_end = r->file_size;
	return 0;
}

int
recording_open(int fd, struct recording **ret, const char **ret_reason)
{
	struct recording *r = calloc(1, sizeof(*r));

	*ret_reason = "needs more memory than there is";
	if (!r)
		return -ENOMEM;
	r->fd = fd;
	int result = read_layout(r);
	if (result == 0)
		result = index_records(r);
	if (result == 0) {
		*ret = r;
		return 0;
	}
	if (result != -ENOMEM)
		*ret_reason = r->reason ? r->reason : result == -EBADMSG ? damaged : "cannot be read";
	recording_free(r);
	return result;
}

void
recording_free(struct recording *recording)
{
	struct build_id *known, *next;

	if (!recording)
		return;
	HASH_ITER(hh, recording->build_ids, known, next)
	{
		HASH_DEL(recording->build_ids, known);
		free(known);
	}
	free(recording->ids);
	free(recording->places);
	free(recording);
}

uint64_t
recording_period_ns(const struct recording *recording)
{
	return recording->period_ns;
}

void
recording_times(const struct recording *recording, uint64_t *ret_first_ns, uint64_t *ret_last_ns)
{
	*ret_first_ns = recording->first_ns;
	*ret_last_ns = recording->last_ns;
}

bool
recording_is_cut(const struct recording *recording)
{
	return recording->is_cut;
}

/* ---- records ---- */

static int
decode_sample(struct recording *r, const struct event *event, size_t size, struct recorded *ret)
{
	if (!event)
		return -EBADMSG;
	ret->kind = event->is_counted ? RECORDED_SAMPLE : RECORDED_OTHER_SAMPLE;
	if (!event->is_counted)
		return 0;
	int result = layout_decode_sample(&event->attributes, r->record, size, r->chain, &ret->sample);
	if (result < 0)
		return result;
	if (!is_clock(&event->attributes) || !(event->attributes.sample_type & PERF_SAMPLE_PERIOD))
		ret->sample.period_ns = r->period_ns;
	return ret->sample.period_ns <= PERIOD_MAX_NS ? 0 : -EBADMSG;
}

static int
decode_sideband(struct recording *r, const struct event *event, size_t size, struct recorded *ret)
{
	int result = layout_decode_sideband(r->record, size, event->at.trailer_bytes, &ret->sideband);

	ret->kind = result == -ENOENT ? RECORDED_NOTHING : RECORDED_SIDEBAND;
	if (result == -ENOENT)
		return 0;
	if (result == 0 && ret->sideband.type == PERF_RECORD_MMAP2)
		complete_mapping(r, &ret->sideband.mmap);
	return result;
}

/* LOST_SAMPLES: the number alone. */
static int
decode_lost_samples(struct recording *r, size_t size, struct recorded *ret)
{
	struct cursor c = cursor_over(r->record, size);

	cursor_u64(&c); /* the header */
	ret->kind = RECORDED_SIDEBAND;
	ret->sideband.type = PERF_RECORD_LOST;
	ret->sideband.lost.count = cursor_u64(&c);
	return c.failed ? -EBADMSG : 0;
}

int
recording_next(struct recording *recording, struct recorded *ret)
{
	struct perf_event_header header;

	if (recording->next == recording->place_count)
		return 0;
	uint64_t at = recording->places[recording->next++].offset;
	int result = read_at(recording, at, &header, sizeof(header));
	if (result == 0)
		result = read_at(recording, at, recording->record, header.size);
	if (result < 0)
		return result;
	if (header.size < sizeof(header)) /* it changed since it was looked at */
		return -EBADMSG;
	memcpy(recording->record, &header, sizeof(header));
	const struct event *event = find_event(recording, at, &header);
	if (header.type == PERF_RECORD_SAMPLE)
		result = decode_sample(recording, event, header.size, ret);
	else if (header.type == RECORD_LOST_SAMPLES)
		result = decode_lost_samples(recording, header.size, ret);
	else
		result = decode_sideband(recording, event, header.size, ret);
	return result < 0 ? result : 1;
}
