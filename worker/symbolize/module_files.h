#pragma once
/* The separate debug files of one ELF file: found through somebody who may open files, and used only when
 * they belong to it. */

#include "ipc/protocol.h"

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
	void *context;
};

struct module_files {
	int debug_fd; /* has the module's build id, or the checksum that its .gnu_debuglink asks for; -1 */
	int alt_fd;   /* dwz's file of what several debug files share, of the build id that they name; -1 */
};
#define MODULE_FILES_NONE ((struct module_files){-1, -1})

/* The files of a module that was opened under this path and build id. It is asked for nothing if it has both
 * symbols and debug information itself. */
void module_files_find(struct elf_source *module, const char *path, const char *build_id,
		       const struct file_finder *finder, struct module_files *ret);
void module_files_close(struct module_files *files);
