/* The linker's table is searched in two steps, so that a first lookup in a 300 MB program reads three or four
 * blocks and the following ones read one 512-byte chunk:
 *
 *   chunk_first   [ 0 | 64 | 128 | ... ]    read when first compared, then kept: 4 bytes per 64 FDEs
 *                         |
 *   .eh_frame_hdr   ...[ 64 entries of {code, FDE} ]...   copied and searched
 *
 * A hostile table may be unsorted: the search still ends, and the FDE's own range has the last word. */

#include "worker/unwind/fde_table.h"

#include "worker/base/cursor.h"
#include "worker/elf/image.h"
#include "worker/unwind/encoding.h"

#include <errno.h>
#include <stdlib.h>

enum {
	CHUNK_ENTRIES = 64,
	GUESSES_MAX = 4,                               /* interpolated comparisons of one search */
	TABLE_ENCODING = POINTER_DATA_RELATIVE | 0x0b, /* sdata4: the only sortable form linkers write */
	HEADER_MAX = 4 + 2 * 10,
	COUNT_MAX = 1 << 24,
};

struct sorted_entry {
	int32_t code, fde; /* relative to the start of .eh_frame_hdr */
};

/* Reads up to `size` bytes: what the file has of them at that address, at most. */
static size_t
read_some(struct elf_image *image, uint64_t address, uint8_t *ret_bytes, size_t size)
{
	while (size > 0 && elf_image_read_address(image, address, ret_bytes, size))
		size--;
	return size;
}

/* Where .eh_frame starts according to its header. */
static bool
read_header(struct elf_image *image, uint64_t address, uint64_t size, struct fde_table *table,
	    uint64_t *ret_eh_frame)
{
	uint8_t bytes[HEADER_MAX];
	struct cursor in = cursor_over(
		bytes, read_some(image, address, bytes, size < sizeof(bytes) ? size : sizeof(bytes)));
	uint8_t version = cursor_u8(&in), frame_encoding = cursor_u8(&in);
	uint8_t count_encoding = cursor_u8(&in), table_encoding = cursor_u8(&in);
	uint64_t count, used;

	if (in.failed || version != 1)
		return false;
	*ret_eh_frame = cursor_pointer(&in, frame_encoding, address + (uint64_t)(in.at - bytes));
	if (in.failed)
		return false;
	if (count_encoding == POINTER_OMITTED || table_encoding != TABLE_ENCODING)
		return true; /* no table; the pointer is still good */
	count = cursor_encoded(&in, count_encoding);
	used = (uint64_t)(in.at - bytes);
	if (in.failed || count == 0 || count > COUNT_MAX || count * sizeof(struct sorted_entry) > size - used)
		return true;
	table->base = address;
	table->entries = address + used;
	table->count = (uint32_t)count;
	return true;
}

static uint32_t
chunk_count(const struct fde_table *table)
{
	return (table->count + CHUNK_ENTRIES - 1) / CHUNK_ENTRIES;
}

static int
use_sorted(struct fde_table *table)
{
	table->chunk_first = calloc(chunk_count(table), sizeof(*table->chunk_first));
	if (!table->chunk_first)
		return -ENOMEM;
	table->source = FDES_SORTED;
	return 0;
}

/* In place and without recursion. Not qsort(): glibc's asks the kernel for the amount of memory first,
 * which the unwinder's system call filter has no reason to allow. */
static void
sift_down(uint64_t *values, size_t at, size_t count)
{
	uint64_t value = values[at];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && values[child + 1] > values[child])
			child++;
		if (values[child] <= value)
			break;
		values[at] = values[child];
	}
	values[at] = value;
}

static void
heap_sort(uint64_t *values, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift_down(values, i, count);
	for (size_t end = count; end-- > 1;) {
		uint64_t largest = values[0];

		values[0] = values[end];
		values[end] = largest;
		sift_down(values, 0, end);
	}
}

static int
append(struct fde_table *table, uint64_t code, uint64_t fde)
{
	uint32_t capacity = table->count < 64 ? 64 : table->count;
	uint64_t *grown = table->index;

	/* full exactly when the count is 0, 64, 128, 256, ... */
	if (table->count == 0 || (table->count >= 64 && (table->count & (table->count - 1)) == 0)) {
		grown = realloc(table->index, (table->count ? 2 : 1) * (size_t)capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		table->index = grown;
	}
	table->index[table->count++] = (code - table->code_base) << 32 | (fde - table->base);
	return 0;
}

static uint64_t
lowest_address(const struct elf_image *image)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		if (segments[i].address < lowest)
			lowest = segments[i].address;
	return lowest;
}

/* What is malformed, or too much, ends the walk; what was found before it stays usable. */
static int
build_index(struct fde_table *table, struct elf_image *image, struct cie_cache *cies,
	    struct cfi_scratch *scratch, uint64_t start, uint64_t size)
{
	size_t budget = scratch->budget; /* this happens once per file and has its own limit */
	uint64_t at = start, entry_size;
	struct fde_range range;
	bool is_fde;
	int error = 0;

	table->base = start;
	table->code_base = lowest_address(image);
	table->count = 0;
	if (size > FDE_TABLE_SECTION_MAX)
		size = FDE_TABLE_SECTION_MAX;
	scratch->budget = 4 * size; /* each FDE, and its CIE: linkers share those */
	while (at - start < size && table->count < FDE_TABLE_INDEX_MAX && !error) {
		error = cfi_read_entry(image, cies, scratch, at, &entry_size, &is_fde, &range);
		if (!error && is_fde && range.size > 0 && range.begin - table->code_base <= UINT32_MAX)
			error = append(table, range.begin, at);
		at += entry_size;
	}
	scratch->budget = budget;
	if (error && error != -ENOENT && error != -EBADMSG && error != -ENOBUFS)
		return error;
	heap_sort(table->index, table->count);
	table->source = table->count ? FDES_INDEXED : FDES_NONE;
	return 0;
}

int
fde_table_index(struct fde_table *table, struct elf_image *image, struct cie_cache *cies,
		struct cfi_scratch *scratch, uint64_t start, uint64_t size)
{
	int error = build_index(table, image, cies, scratch, start, size);

	if (error)
		fde_table_clear(table);
	return error;
}

/* The end of what the file holds behind an address. */
static uint64_t
bytes_behind(const struct elf_image *image, uint64_t address)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);

	for (size_t i = 0; i < count; i++)
		if (address - segments[i].address < segments[i].file_size)
			return segments[i].file_size - (address - segments[i].address);
	return 0;
}

/* Decides, once, where this file's FDEs are found. */
static int
prepare(struct fde_table *table, struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch)
{
	uint64_t header, start, size;

	if (elf_image_eh_frame_hdr(image, &header, &size) &&
	    read_header(image, header, size, table, &start)) {
		if (table->count > 0)
			return use_sorted(table);
		size = bytes_behind(image, start);
	} else if (!elf_image_section(image, ".eh_frame", &start, &size)) {
		table->source = FDES_NONE;
		return 0;
	}
	return fde_table_index(table, image, cies, scratch, start, size);
}

/* The first code address of a chunk, from memory or from the file. */
static int
chunk_first(struct fde_table *table, struct elf_image *image, uint32_t chunk, int32_t *ret_first)
{
	uint64_t at = table->entries + (uint64_t)chunk * CHUNK_ENTRIES * sizeof(struct sorted_entry);
	int error = 0;

	if (table->chunk_first[chunk] == 0)
		error = elf_image_read_address(image, at, &table->chunk_first[chunk], sizeof(int32_t));
	*ret_first = table->chunk_first[chunk];
	return error;
}

/* What is known while a chunk is searched: chunks before `low` start at or before the code, chunks from
 * `high` on behind it. */
struct chunk_search {
	int64_t code;
	uint32_t low, high;
	int64_t before, behind; /* where chunk low - 1 and chunk high start */
	unsigned guesses;
};

/* Both ends, then where the code would be if functions were of one size: in large files that is nearly right,
 * and each comparison may be a block to read. Where it is not, halves, soon. */
static uint32_t
next_probe(struct chunk_search *search, uint32_t chunks)
{
	uint32_t span = search->high - search->low;
	uint64_t guess;

	if (search->low == 0)
		return 0;
	if (search->high == chunks)
		return chunks - 1;
	if (search->guesses++ >= GUESSES_MAX)
		return search->low + span / 2;
	guess = (uint64_t)(search->code - search->before) * (span + 1) /
		(uint64_t)(search->behind - search->before);
	return guess <= 1 ? search->low : guess > span ? search->high - 1 : search->low + (uint32_t)guess - 1;
}

static int
find_chunk(struct fde_table *table, struct elf_image *image, int32_t code, uint32_t *ret_chunk)
{
	struct chunk_search search = {.code = code, .high = chunk_count(table)};

	while (search.low < search.high) {
		uint32_t probe = next_probe(&search, chunk_count(table));
		int32_t first;
		int error = chunk_first(table, image, probe, &first);

		if (error)
			return error;
		if (first <= code) {
			search.low = probe + 1;
			search.before = first;
		} else {
			search.high = probe;
			search.behind = first;
		}
	}
	if (search.low == 0)
		return -ENOENT;
	*ret_chunk = search.low - 1;
	return 0;
}

static int
find_sorted(struct fde_table *table, struct elf_image *image, uint64_t address, uint64_t *ret_fde)
{
	struct sorted_entry entries[CHUNK_ENTRIES];
	int64_t code = (int64_t)(address - table->base);
	uint32_t chunk, low = 0, high;
	int error;

	if (code != (int32_t)code)
		return -ENOENT;
	error = find_chunk(table, image, (int32_t)code, &chunk);
	if (error)
		return error;
	high = table->count - chunk * CHUNK_ENTRIES;
	if (high > CHUNK_ENTRIES)
		high = CHUNK_ENTRIES;
	error = elf_image_read_address(image, table->entries + (uint64_t)chunk * sizeof(entries), entries,
				       high * sizeof(entries[0]));
	if (error)
		return error;
	while (low + 1 < high) {
		uint32_t middle = low + (high - low) / 2;

		if (entries[middle].code <= code)
			low = middle;
		else
			high = middle;
	}
	*ret_fde = table->base + (uint64_t)(int64_t)entries[low].fde;
	return 0;
}

static int
find_indexed(const struct fde_table *table, uint64_t address, uint64_t *ret_fde)
{
	uint64_t key = address - table->code_base;
	uint32_t low = 0, high = table->count;

	if (key > UINT32_MAX)
		return -ENOENT;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->index[middle] >> 32 <= key)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return -ENOENT;
	*ret_fde = table->base + (uint32_t)table->index[low - 1];
	return 0;
}

int
fde_table_find(struct fde_table *table, struct elf_image *image, struct cie_cache *cies,
	       struct cfi_scratch *scratch, uint64_t address, uint64_t *ret_fde)
{
	int error = 0;

	if (table->source == FDES_UNKNOWN)
		error = prepare(table, image, cies, scratch);
	if (error)
		return error;
	switch (table->source) {
	case FDES_SORTED:
		error = find_sorted(table, image, address, ret_fde);
		return error == -ERANGE ? -EBADMSG : error; /* a table that is not in the file */
	case FDES_INDEXED:
		return find_indexed(table, address, ret_fde);
	default:
		return -ENOENT;
	}
}

void
fde_table_clear(struct fde_table *table)
{
	free(table->chunk_first);
	free(table->index);
	*table = (struct fde_table){0};
}
