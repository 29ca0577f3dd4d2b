#pragma once
/* Which function of the kernel an address is in, by /proc/kallsyms: a line "ADDRESS TYPE name" for each
 * symbol, with a tab and "[module]" behind it unless it is the kernel's own (kernel/kallsyms.c, s_show()).
 * There are no sizes: a function ends where the next one begins. */

#include <stddef.h>
#include <stdint.h>

#define KERNEL_SYMBOL_NAME_MAX 256 /* what is longer is cut; the kernel's limit is 512 (KSYM_NAME_LEN) */
#define KERNEL_MODULE_NAME_MAX 64  /* with its brackets; MODULE_NAME_LEN is 56 */

struct kernel_symbol {
	uint64_t address; /* where it begins; 0: none begins below */
	char name[KERNEL_SYMBOL_NAME_MAX];
	char module[KERNEL_MODULE_NAME_MAX]; /* "[ext4]"; "": the kernel itself */
};

/* For each address (sorted, each once) the code symbol that begins last at or below it. Of several that begin
 * there, the one with the fewest underscores in front, then the shortest, then the first. One pass from the
 * file's start, forward only: it is made while it is read. 0 or -errno; -EFBIG: the file, which a launcher
 * chose, has more than KALLSYMS_BYTES_MAX, ten times a distribution's kernel. Sets all of ret_symbols, by
 * what was read. */
#define KALLSYMS_BYTES_MAX (64u << 20)
int kernel_symbols_find(int fd, const uint64_t *addresses, size_t count, struct kernel_symbol *ret_symbols);
