#pragma once
/* The functions of one ELF file by address. An answer is a symbol that covers the address: never the
 * nearest one, never one of another file. */

#include <stddef.h>
#include <stdint.h>

struct elf_bytes;
struct elf_source;
struct symbols;

/* From .symtab, else (none, or none usable) .dynsym. Takes the source, also on failure: names are borrowed
 * from it. 0, -ENOENT (no function symbols), -EBADMSG, -ERANGE, -ENOMEM. */
int symbols_new(struct elf_source *source, struct symbols **ret);

/* The same, from the table of this type only (SHT_SYMTAB, SHT_DYNSYM). */
int symbols_new_of(struct elf_source *source, uint32_t type, struct symbols **ret);

void symbols_free(struct symbols *symbols);

/* The linker's name of the function at an ELF virtual address, NULL when no symbol covers it. Of several
 * names for the same code: the innermost start, global over weak over local, then without an underscore in
 * front, then the first in the file. Returned with its symbol version ("@@GLIBC_2.14") still on; at most
 * SYMBOL_NAME_MAX bytes. Borrowed. */
const char *symbols_find(const struct symbols *symbols, uint64_t address);

#define SYMBOL_NAME_MAX 16384 /* longer ones are not names */

/* The name at an offset of a string table; NULL: outside of the table, or not terminated. */
const char *symbols_name_at(const struct elf_bytes *strings, uint32_t offset);
