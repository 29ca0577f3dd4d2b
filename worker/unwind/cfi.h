#pragma once
/* Call frame information: from one FDE of .eh_frame or .debug_frame to the row that holds at one address. The
 * bytes are the profiled process's: everything is bounded, and anything we do not understand rejects the FDE.
 */

#include "worker/unwind/architecture.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_image;

enum {
	CFI_CIE_BYTES_MAX = 256,   /* real ones are 20 to 40 */
	CFI_FDE_BYTES_MAX = 65536, /* the largest seen are a few KB */
	CFI_STATES_MAX = 8,        /* DW_CFA_remember_state depth; compilers nest 1 */
	CFI_CIES_KEPT = 4,         /* per module; a C++ library has two */
};

/* How to recover one register of the caller (DWARF 5, 6.4.1). */
enum cfi_kind {
	CFI_UNSPECIFIED, /* unchanged, as every debugger has it */
	CFI_UNDEFINED,
	CFI_SAME,
	CFI_AT_OFFSET,     /* saved at CFA + offset */
	CFI_IS_OFFSET,     /* equals CFA + offset */
	CFI_REGISTER,      /* value of another register; for the CFA itself: register + offset */
	CFI_AT_EXPRESSION, /* saved at the address the expression yields */
	CFI_IS_EXPRESSION, /* equals what the expression yields */
};

struct cfi_rule {
	uint8_t kind;
	uint8_t number; /* CFI_REGISTER */
	uint16_t expression_size;
	union {
		int64_t offset;
		const uint8_t *expression; /* borrowed, see cfi_find_row() */
	};
};

struct cfi_row {
	struct cfi_rule cfa; /* CFI_REGISTER or CFI_IS_EXPRESSION */
	struct cfi_rule registers[REGISTER_COUNT];
	bool signal_frame; /* augmentation 'S': the caller was interrupted, it did not call */
};

/* One parsed CIE with the row its initial instructions give. Never copied: rows point into `bytes`. */
struct cie {
	uint64_t address; /* ELF address of its length field */
	uint32_t size;    /* of `bytes` */
	bool usable;
	bool has_augmentation_data;
	uint8_t pointer_encoding; /* DW_EH_PE of FDE addresses */
	uint64_t code_factor;
	int64_t data_factor;
	struct cfi_row initial;
	uint8_t bytes[CFI_CIE_BYTES_MAX];
};

struct cie_cache {
	uint64_t debug_frame; /* ELF address of .debug_frame when that is what is read; 0: .eh_frame */
	struct cie cies[CFI_CIES_KEPT];
	unsigned next; /* the one to replace */
};

/* Working memory of the row machine. One per thread; too large for the stack. `budget` counts down the bytes
 * of FDEs and of the CIEs they name: as rows and expressions take at least a byte for each thing they do, a
 * file full of monstrous entries costs a bounded time per stack. The caller sets it. */
struct cfi_scratch {
	size_t budget;
	struct cfi_row saved[CFI_STATES_MAX];
	uint8_t bytes[CFI_FDE_BYTES_MAX];
};

/* The code an FDE covers: [begin, begin + size). */
struct fde_range {
	uint64_t begin, size;
};

/* The row for `address` out of the FDE at ELF address `fde`. 0; -ENOENT when the FDE does not cover the
 * address; -EBADMSG when it is malformed or beyond our limits; -ENOBUFS the budget is spent; else pread's
 * error. Expressions in the row borrow from `cies` and `scratch` until their next use. */
int cfi_find_row(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch, uint64_t fde,
		 uint64_t address, struct cfi_row *ret_row);

/* Walks .eh_frame: the entry at `entry` spans *ret_size bytes (its length field included), and is an FDE
 * for *ret_range when *ret_is_fde. 0; -ENOENT at the terminator; -EBADMSG as above. */
int cfi_read_entry(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch,
		   uint64_t entry, uint64_t *ret_size, bool *ret_is_fde, struct fde_range *ret_range);
