#pragma once
/* Which FDE may cover an address. Linkers write the answer as a sorted table (.eh_frame_hdr), which is
 * searched in the file; without a usable one .eh_frame is walked once into an index of our own. */

#include "worker/unwind/cfi.h"

#include <stdint.h>

enum {
	FDE_TABLE_INDEX_MAX = 1 << 19, /* FDEs in our own index: 4 MB; librustc_driver has 107 000 */
	FDE_TABLE_SECTION_MAX = 64 << 20,
};

enum fde_source {
	FDES_UNKNOWN, /* nothing asked yet */
	FDES_SORTED,  /* the linker's table */
	FDES_INDEXED, /* our own */
	FDES_NONE,    /* the file has no unwind tables */
};

struct fde_table {
	enum fde_source source;
	uint64_t base;    /* FDES_SORTED: entries are relative to the header; FDES_INDEXED: to .eh_frame */
	uint64_t entries; /* FDES_SORTED: ELF address of the table */
	uint32_t count;
	int32_t *chunk_first; /* FDES_SORTED: first address of every chunk, 0 until read (the table's own) */
	uint64_t *index;      /* FDES_INDEXED: code offset << 32 | FDE offset, ascending */
	uint64_t code_base;   /* FDES_INDEXED: what code offsets count from */
};

/* The FDE (as ELF address) that starts at or before `address` and closest to it; whether it covers the
 * address is for the FDE to say. 0; -ENOENT there is none; -ENOMEM; else pread's error. */
int fde_table_find(struct fde_table *table, struct elf_image *image, struct cie_cache *cies,
		   struct cfi_scratch *scratch, uint64_t address, uint64_t *ret_fde);

/* Makes the table an index over the entries at [start, start + size), which are walked once. 0, -ENOMEM;
 * else pread's error. */
int fde_table_index(struct fde_table *table, struct elf_image *image, struct cie_cache *cies,
		    struct cfi_scratch *scratch, uint64_t start, uint64_t size);

void fde_table_clear(struct fde_table *table);
