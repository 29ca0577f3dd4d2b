/* A name or a line is not copied when it is met, for the next record may replace it: a hit knows where they
 * are in the file. */

#include "worker/symbolize/jitdump.h"

#include "worker/symbolize/address_list.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAGIC 0x4A695444u /* as a writer of our byte order has it */
#define VERSION 1
/* V8 (src/diagnostics/perf-jit.h), known by what it puts into a reserved field, adds the size of an ELF
 * header to the addresses of lines, for the file that `perf inject` will make of them. */
#define RESERVED_BY_V8 0xDEADBEEFu
#define LINE_SHIFT_OF_V8 0x40

enum {
	HEADER_BYTES = 40,
	PREFIX_BYTES = 16,
	LOAD_BYTES = 40, /* up to its name */
	MOVE_BYTES = 48,
	DEBUG_BYTES = 16, /* up to its entries */
	ENTRY_BYTES = 16, /* up to its name */
	NAME_BYTES_MAX = 4096,
};

enum record_id {
	CODE_LOAD,
	CODE_MOVE,
	CODE_DEBUG_INFO,
	CODE_CLOSE,
};

struct dump {
	struct file_window *window;
	uint64_t size;
	uint64_t line_shift;
	const uint64_t *addresses;
	size_t count;
	struct jitdump_hit *hits;
};

struct record {
	uint32_t id;
	uint64_t at, end; /* in the file */
};

/* ---- the sequence of records ---- */

static int
open_records(struct dump *dump, uint64_t *ret_first)
{
	struct cursor header = file_window_at(dump->window, 0, HEADER_BYTES);
	uint32_t magic = cursor_u32(&header), version = cursor_u32(&header), size = cursor_u32(&header);
	struct stat status;

	cursor_u32(&header); /* machine */
	dump->line_shift = cursor_u32(&header) == RESERVED_BY_V8 ? LINE_SHIFT_OF_V8 : 0;
	if (header.failed || magic != MAGIC || version != VERSION || size < HEADER_BYTES ||
	    fstat(dump->window->fd, &status) < 0)
		return -EBADMSG;
	dump->size = (uint64_t)status.st_size;
	*ret_first = size;
	return 0;
}

static bool
next_record(struct dump *dump, uint64_t at, struct record *ret)
{
	struct cursor prefix = file_window_at(dump->window, at, PREFIX_BYTES);
	uint32_t id = cursor_u32(&prefix), size = cursor_u32(&prefix);

	if (prefix.failed || size < PREFIX_BYTES || size > dump->size - at || id == CODE_CLOSE)
		return false;
	*ret = (struct record){.id = id, .at = at, .end = at + size};
	return true;
}

/* So many bytes inside a record; a failed cursor when they are not. */
static struct cursor
record_bytes(struct dump *dump, const struct record *record, uint64_t at, size_t size)
{
	struct cursor bytes = {.failed = true};

	if (at > record->end || record->end - at < size)
		return bytes;
	bytes = file_window_at(dump->window, at, size);
	if (cursor_left(&bytes) < size)
		cursor_fail(&bytes);
	else
		bytes.end = bytes.at + size;
	return bytes;
}

/* The length of a string that ends in its record; -1: it does not, or is too long to be a name. */
static ssize_t
string_length(struct dump *dump, const struct record *record, uint64_t at)
{
	uint64_t left = at < record->end ? record->end - at : 0;
	size_t size = left < NAME_BYTES_MAX ? (size_t)left : NAME_BYTES_MAX;
	struct cursor bytes = record_bytes(dump, record, at, size);
	const uint8_t *end = size && !bytes.failed ? memchr(bytes.at, 0, size) : NULL;

	return end ? end - bytes.at : -1;
}

/* ---- code ---- */

struct load {
	uint64_t code, size, index, name_at;
};

static bool
read_load(struct dump *dump, const struct record *record, struct load *ret)
{
	struct cursor body = record_bytes(dump, record, record->at + PREFIX_BYTES, LOAD_BYTES);

	cursor_u64(&body); /* pid and tid: as the process sees itself */
	cursor_u64(&body); /* vma */
	ret->code = cursor_u64(&body);
	ret->size = cursor_u64(&body);
	ret->index = cursor_u64(&body);
	ret->name_at = record->at + PREFIX_BYTES + LOAD_BYTES;
	return cursor_finished(&body);
}

/* What DEBUG_INFO said last: it belongs to the next load at its address. */
struct pending_lines {
	uint64_t code, at; /* at 0: none */
};

static void
remember_lines(struct dump *dump, const struct record *record, struct pending_lines *ret)
{
	struct cursor body = record_bytes(dump, record, record->at + PREFIX_BYTES, DEBUG_BYTES);
	uint64_t code = cursor_u64(&body);

	if (!body.failed)
		*ret = (struct pending_lines){.code = code, .at = record->at};
}

static uint64_t
take_lines(struct pending_lines *lines, const struct load *load)
{
	uint64_t at = lines->code == load->code ? lines->at : 0;

	if (at)
		lines->at = 0;
	return at;
}

/* Which of the addresses are in a piece of code; none when there is no budget left to write that down. */
static size_t
find_covered(struct dump *dump, uint64_t code, uint64_t size, size_t *ret_first)
{
	(void)address_list_find(dump->addresses, dump->count, code, ret_first);
	size_t covered = address_list_count(dump->addresses, dump->count, *ret_first, code, size);

	return file_budget_spend(dump->window->budget, covered * sizeof(*dump->hits)) ? covered : 0;
}

static void
apply_load(struct dump *dump, const struct record *record, struct pending_lines *lines)
{
	struct load load;
	size_t i, covered;

	if (!read_load(dump, record, &load))
		return;
	uint64_t lines_at = take_lines(lines, &load);
	covered = find_covered(dump, load.code, load.size, &i);
	if (covered == 0 || string_length(dump, record, load.name_at) < 1)
		return;
	for (size_t end = i + covered; i < end; i++)
		dump->hits[i] = (struct jitdump_hit){
			.name_at = load.name_at,
			.load = record->at,
			.code_start = load.code,
			.offset = dump->addresses[i] - load.code,
			.lines_at = lines_at,
		};
}

static void
apply_move(struct dump *dump, const struct record *record)
{
	struct cursor body = record_bytes(dump, record, record->at + PREFIX_BYTES, MOVE_BYTES);
	size_t i, covered;

	cursor_u64(&body); /* pid and tid */
	cursor_u64(&body); /* vma */
	cursor_u64(&body); /* where it was */
	uint64_t code = cursor_u64(&body), size = cursor_u64(&body), index = cursor_u64(&body);
	if (!cursor_finished(&body))
		return;
	covered = find_covered(dump, code, size, &i);
	for (size_t end = i + covered; i < end; i++)
		dump->hits[i] = (struct jitdump_hit){
			.is_moved = true, .index = index, .offset = dump->addresses[i] - code};
}

static void
find_code(struct dump *dump, uint64_t at)
{
	struct pending_lines lines = {0};
	struct record record;

	for (; next_record(dump, at, &record); at = record.end) {
		if (record.id == CODE_LOAD)
			apply_load(dump, &record, &lines);
		else if (record.id == CODE_MOVE)
			apply_move(dump, &record);
		else if (record.id == CODE_DEBUG_INFO)
			remember_lines(dump, &record, &lines);
	}
}

/* ---- moved code: loads by their index ---- */

struct origins {
	uint64_t *indexes; /* sorted, each once */
	struct jitdump_hit *hits;
	size_t count;
};

static void
find_origins(struct dump *dump, uint64_t at, struct origins *origins)
{
	struct pending_lines lines = {0};
	struct record record;
	struct load load;
	size_t i;

	for (; next_record(dump, at, &record); at = record.end) {
		if (record.id == CODE_DEBUG_INFO)
			remember_lines(dump, &record, &lines);
		if (record.id != CODE_LOAD || !read_load(dump, &record, &load))
			continue;
		uint64_t lines_at = take_lines(&lines, &load);
		if (address_list_find(origins->indexes, origins->count, load.index, &i) &&
		    string_length(dump, &record, load.name_at) > 0)
			origins->hits[i] = (struct jitdump_hit){
				.name_at = load.name_at,
				.load = record.at,
				.code_start = load.code,
				.lines_at = lines_at,
			};
	}
}

static void
apply_origins(struct dump *dump, const struct origins *origins)
{
	size_t origin;

	for (size_t i = 0; i < dump->count; i++) {
		uint64_t offset = dump->hits[i].offset;

		if (!dump->hits[i].is_moved ||
		    !address_list_find(origins->indexes, origins->count, dump->hits[i].index, &origin))
			continue;
		dump->hits[i] = origins->hits[origin];
		dump->hits[i].offset = offset;
	}
}

static int
find_moved(struct dump *dump, uint64_t first)
{
	struct origins origins = {0};
	int result = 0;

	for (size_t i = 0; i < dump->count; i++)
		origins.count += dump->hits[i].is_moved;
	if (origins.count == 0)
		return 0;
	origins.indexes = calloc(origins.count, sizeof(*origins.indexes));
	origins.hits = calloc(origins.count, sizeof(*origins.hits));
	if (origins.indexes && origins.hits) {
		origins.count = 0;
		for (size_t i = 0; i < dump->count; i++)
			if (dump->hits[i].is_moved)
				origins.indexes[origins.count++] = dump->hits[i].index;
		origins.count = address_list_sort(origins.indexes, origins.count);
		find_origins(dump, first, &origins);
		apply_origins(dump, &origins);
	} else {
		result = -ENOMEM;
	}
	free(origins.indexes);
	free(origins.hits);
	return result;
}

/* ---- lines ---- */

/* Hits of one piece of code, as it is now. */
struct piece {
	const uint64_t *addresses;
	struct jitdump_hit *hits;
	size_t count;
};

struct entry {
	uint64_t address; /* where the code was when it was loaded */
	uint64_t file_at;
	uint32_t line;
};

/* "\377" instead of a file: the one before, which *entry still has. False: no entry is there. */
static bool
take_entry(struct dump *dump, const struct record *record, uint64_t *at, struct entry *entry)
{
	struct cursor fixed = record_bytes(dump, record, *at, ENTRY_BYTES);

	entry->address = cursor_u64(&fixed) - dump->line_shift;
	entry->line = cursor_u32(&fixed);
	cursor_u32(&fixed); /* discriminator */
	if (!cursor_finished(&fixed))
		return false;
	uint64_t name_at = *at + ENTRY_BYTES;
	ssize_t length = string_length(dump, record, name_at);
	if (length < 0)
		return false;
	struct cursor name = record_bytes(dump, record, name_at, 1);
	if (length != 1 || cursor_u8(&name) != 0xff)
		entry->file_at = length > 0 ? name_at : 0;
	*at = name_at + (uint64_t)length + 1;
	return true;
}

static void
set_line(struct jitdump_hit *hit, uint64_t address, uint64_t file_at, uint32_t line)
{
	if (!file_at || (hit->file_at && hit->line_address > address))
		return;
	hit->line_address = address;
	hit->file_at = file_at;
	hit->line = line;
}

/* An entry holds up to the next one's address: here for the first hit that is not in front of it. */
static void
apply_entry(const struct piece *piece, const struct entry *entry)
{
	uint64_t offset = entry->address - piece->hits[0].code_start;
	uint64_t start = piece->addresses[0] - piece->hits[0].offset;
	size_t i;

	if (entry->address < piece->hits[0].code_start)
		return;
	(void)address_list_find(piece->addresses, piece->count, start + offset, &i);
	if (i < piece->count)
		set_line(&piece->hits[i], entry->address, entry->file_at, entry->line);
}

static void
find_lines_of(struct dump *dump, const struct piece *piece)
{
	struct record record;
	struct entry entry = {0};

	if (!next_record(dump, piece->hits[0].lines_at, &record))
		return;
	struct cursor body = record_bytes(dump, &record, record.at + PREFIX_BYTES, DEBUG_BYTES);
	cursor_u64(&body); /* the code's address */
	uint64_t left = cursor_u64(&body), at = record.at + PREFIX_BYTES + DEBUG_BYTES;
	for (; left > 0 && take_entry(dump, &record, &at, &entry); left--)
		apply_entry(piece, &entry);
	for (size_t i = 1; i < piece->count; i++) {
		const struct jitdump_hit *before = &piece->hits[i - 1];

		if (!piece->hits[i].file_at || piece->hits[i].line_address < before->line_address)
			set_line(&piece->hits[i], before->line_address, before->file_at, before->line);
	}
}

static void
find_lines(struct dump *dump)
{
	size_t end;

	for (size_t i = 0; i < dump->count; i = end) {
		const struct jitdump_hit *first = &dump->hits[i];

		for (end = i + 1;
		     end < dump->count && dump->hits[end].load == first->load &&
		     dump->addresses[end] - dump->hits[end].offset == dump->addresses[i] - first->offset;)
			end++;
		if (first->lines_at)
			find_lines_of(dump, &(struct piece){&dump->addresses[i], &dump->hits[i], end - i});
	}
}

int
jitdump_find(struct file_window *window, const uint64_t *addresses, size_t count,
	     struct jitdump_hit *ret_hits)
{
	struct dump dump = {.window = window, .addresses = addresses, .count = count, .hits = ret_hits};
	uint64_t first;
	int result = open_records(&dump, &first);

	if (result < 0)
		return result;
	find_code(&dump, first);
	result = find_moved(&dump, first);
	if (result == 0)
		find_lines(&dump);
	return result;
}
