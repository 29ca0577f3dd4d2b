#pragma once
/* The separate debug files of one ELF file: found through somebody who may open files, and used only when
 * they belong to it. */

#include "ipc/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_source;

/* Who opens files. Each answers with a read-only descriptor, which the caller then owns, or -errno. */
struct file_finder {
	/* `build_id` is lower-case hex, "" when the profile does not know it. */
	int (*open_module)(void *context, const char *path, const char *build_id);
	/* NULL: there are no debug files. *ret_candidate says where it was found; in the next request, one
	 * more than that asks for another. */
	int (*open_debug)(void *context, const struct open_debug *request, uint32_t *ret_candidate);
	/* What a process says of code that it made itself; NULL: nothing. */
	int (*open_jit)(void *context, uint32_t pid, enum jit_file file);
	/* /proc/kallsyms, and what was added to the addresses of it that are in profiles; NULL: nobody knows.
	 */
	int (*open_kallsyms)(void *context, uint64_t *ret_offset);
	void *context;
};

struct module_files {
	int debug_fd; /* has the module's build id, or the checksum that its .gnu_debuglink asks for; -1 */
	bool is_late; /* a better debug file may be there the next time */
	int alt_fd;   /* dwz's file of what several debug files share, of the build id that they name; -1 */
	/* Whom to ask for more, and as what; borrowed. NULL: nobody. */
	const struct file_finder *finder;
	const char *path, *build_id;
};
#define MODULE_FILES_NONE ((struct module_files){.debug_fd = -1, .alt_fd = -1})

/* The files of a module that was opened under this path and build id, which with the finder must outlive
 * them. It is asked for nothing if it has both symbols and debug information itself. */
void module_files_find(struct elf_source *module, const char *path, const char *build_id,
		       const struct file_finder *finder, struct module_files *ret);

/* The package of the module's split units (.dwp), which the caller owns, or -errno. */
int module_files_open_package(const struct module_files *files);
/* The file of a split unit at this absolute path, or one of the same name beside the module: in turn,
 * beginning with *place 0. Whether it is the right one is the caller's to find out. */
int module_files_open_unit(const struct module_files *files, const char *path, uint32_t *place);
/* The absolute path of a file that a compiler named so in this folder, without "." and ".."; false: there is
 * none, or not of this size. */
bool module_files_join(const char *folder, const char *name, size_t size, char *ret);
void module_files_close(struct module_files *files);
