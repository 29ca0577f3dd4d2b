#pragma once
/* Calls of other files' functions go through stubs (.plt), which have no symbols. A stub is named after the
 * function that it leads to, as other tools do: "malloc@plt". x86-64 only. */

#include <stdint.h>

struct elf_source;
struct plt_stubs;
struct symbols;

#define PLT_STUB_ENDING "@plt"

/* Both are borrowed and must outlive the stubs: the file, and its functions (NULL: none) for stubs that lead
 * to one of them. 0, -ENOENT (there are no stubs), -ENOMEM. */
int plt_stubs_open(struct elf_source *module, const struct symbols *functions, struct plt_stubs **ret);
void plt_stubs_close(struct plt_stubs *stubs); /* NULL is fine */

/* The name of the stub at an ELF virtual address; NULL: none. Lives as long as the stubs do. */
const char *plt_stubs_find(struct plt_stubs *stubs, uint64_t address);
