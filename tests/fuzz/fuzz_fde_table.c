/* Which FDE may cover an address. Input: what kind of tables, .eh_frame_hdr, .eh_frame. An index of our own
 * answers as a look at every entry does; a sorted table as a look at every pair; an unsorted one with an FDE
 * that stands in it. */

#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/table_image.h"
#include "worker/unwind/fde_table.h"

#include <errno.h>
#include <string.h>

enum { BUDGET = 512 << 10, LOOKUPS = 40 };

static struct table_image tables;
static struct cfi_scratch scratch;
static struct cie_cache cies, other_cies;
static bool by_section;

/* The FDE that begins last at or before `address`; of several, the one that stands last. 0: none. As far as
 * an index goes that is made with the same budget. */
static uint64_t
look_at_every_entry(const struct fde_table *table, uint64_t address)
{
	uint64_t at = table->base, best = 0, best_begin = 0, size, count = 0;
	uint64_t end = at >= FRAME_CODE ? FRAME_CODE_END : FRAME_CODE; /* of the segment */
	struct fde_range range;
	bool is_fde;

	if (by_section)
		end = at + tables.table_size;
	memset(&other_cies, 0, sizeof(other_cies));
	scratch.budget = 4 * (end - at);
	while (at < end &&
	       cfi_read_entry(tables.image, &other_cies, &scratch, at, &size, &is_fde, &range) == 0) {
		CHECK(size >= 4 && ++count <= (end - table->base) / 4);
		if (is_fde && range.size > 0 && range.begin <= UINT32_MAX && range.begin <= address &&
		    range.begin >= best_begin) {
			best = at;
			best_begin = range.begin;
		}
		at += size;
	}
	scratch.budget = BUDGET;
	return best;
}

static void
read_pair(const struct fde_table *table, uint32_t i, int32_t ret_pair[2])
{
	CHECK(elf_image_read_address(tables.image, table->entries + 8ull * i, ret_pair, 8) == 0);
}

static void
check_sorted(const struct fde_table *table, uint64_t address, uint64_t fde)
{
	int64_t code = (int64_t)(address - table->base), last = INT64_MIN;
	bool is_sorted = true, is_there = false;
	uint64_t best = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		int32_t pair[2];

		read_pair(table, i, pair);
		is_sorted &= pair[0] >= last;
		last = pair[0];
		is_there |= fde == table->base + (uint64_t)(int64_t)pair[1];
		if (pair[0] <= code)
			best = table->base + (uint64_t)(int64_t)pair[1];
	}
	CHECK(is_there);
	CHECK(!is_sorted || fde == best);
}

static void
look_up(struct fde_table *table, uint64_t address)
{
	uint64_t fde = 0, same = 0, size;
	struct fde_range range;
	struct cfi_row row;
	bool is_fde;
	int result = fde_table_find(table, tables.image, &cies, &scratch, address, &fde);

	CHECK(result == 0 || result == -ENOENT || result == -EBADMSG);
	CHECK(fde_table_find(table, tables.image, &cies, &scratch, address, &same) == result && same == fde);
	if (table->source == FDES_INDEXED)
		CHECK(result != -EBADMSG && fde == look_at_every_entry(table, address));
	if (result != 0)
		return;
	if (table->source == FDES_SORTED)
		check_sorted(table, address, fde);
	if (cfi_find_row(tables.image, &cies, &scratch, fde, address, &row) == 0) {
		CHECK(cfi_read_entry(tables.image, &cies, &scratch, fde, &size, &is_fde, &range) == 0);
		CHECK(is_fde && address - range.begin < range.size);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	struct fde_table table = {0};

	by_section = cursor_u8(&in) & 1;
	uint16_t header_size = cursor_u16(&in);
	struct cursor header = take_part(&in, header_size);
	memset(&cies, 0, sizeof(cies));
	table_image_open(&tables, by_section ? TABLES_BY_SECTION : TABLES_WITH_HEADER, header,
			 cursor_over("", 0), in);
	for (unsigned i = 0; i < LOOKUPS; i++) {
		scratch.budget = BUDGET;
		look_up(&table, FRAME_CODE - 16 + (i < LOOKUPS / 2 ? i : 256 * i));
	}
	CHECK(scratch.budget <= BUDGET);
	fde_table_clear(&table);
	elf_image_free(tables.image);
	return 0;
}
