#pragma once
/* The function table that every Go program carries for its own stack traces (.gopclntab), stripped or not, in
 * the layouts of Go 1.2, 1.16, 1.18 and 1.20 and later. An answer is the function whose code covers the
 * address. */

#include <stdint.h>

struct elf_source;
struct go_pclntab;

/* The source is borrowed and must outlive the table. 0, -ENOENT (none, or where its code is cannot be told),
 * -EBADMSG, -ERANGE, -ENOMEM. */
int go_pclntab_open(struct elf_source *source, struct go_pclntab **ret);
void go_pclntab_close(struct go_pclntab *table); /* NULL is fine */

/* The function's name as the Go linker has it; NULL when no function covers the address. Owned by the table.
 */
const char *go_pclntab_find(struct go_pclntab *table, uint64_t address);
