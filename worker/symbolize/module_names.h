#pragma once
/* All names of one ELF file's functions: Go's own table, its .symtab, else that of its debug file, else
 * MiniDebugInfo, else what .dynsym covers. An answer is a symbol that covers the address, of the file that
 * was mapped. */

#include "worker/symbolize/module_files.h"

struct elf_source;
struct go_pclntab;
struct module_names;

/* Takes the source, also on failure; it was opened under this path and build id. Without any function symbol
 * there still are the files. 0 or -ENOMEM. */
int module_names_open(struct elf_source *module, const char *path, const char *build_id,
		      const struct file_finder *finder, struct module_names **ret);
void module_names_close(struct module_names *names); /* NULL is fine */

/* The linker's name of the function at an ELF virtual address, as symbols_find() has it; borrowed. */
const char *module_names_find(const struct module_names *names, uint64_t address);

/* The separate debug files, for who wants more than names; borrowed. */
const struct module_files *module_names_files(const struct module_names *names);

/* The table of a Go program, likewise; NULL: it is none. */
struct go_pclntab *module_names_go(const struct module_names *names);
