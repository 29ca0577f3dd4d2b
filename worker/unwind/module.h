#pragma once
/* One file's unwind tables, opened lazily: from an ELF address to its row or its compact rule. */

#include "worker/unwind/cfi.h"
#include "worker/unwind/unwind.h"

/* The number given to unwind_module_new(). */
uint32_t unwind_module_id(const struct unwind_module *module);

/* See cfi_find_row(); -ENOENT is "no FDE covers it". */
int unwind_module_find_row(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
			   struct cfi_row *ret_row);

/* The compact rule for an address; RULE_GAP and RULE_BAD are answers. An error (-ENOMEM, pread's) is no
 * property of the file and must not be remembered. */
int unwind_module_find_rule(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
			    struct rule *ret_rule);

/* Code bytes around an address: `before` bytes in front of it and `size` in all. False: not in the file. */
bool unwind_module_read_code(struct unwind_module *module, uint64_t address, size_t before,
			     uint8_t *ret_bytes, size_t size);
