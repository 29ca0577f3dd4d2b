#pragma once
/* Opens files for roles that may not: read-only, as the caller, only ELF files behind executable mappings and
 * their debug files, reached without a symbolic link, and only the file that was mapped; and what processes
 * write down about code that they make (jit_files.h). */

#include "ipc/protocol.h"

#include <stdbool.h>
#include <stddef.h>

struct broker;
struct jit_files;

#define BROKER_MAX_FILES 1024

/* `proc` is a descriptor of /proc (borrowed); tests pass a made-up tree. At most max_files (1 to
 * BROKER_MAX_FILES) are open at once; the least recently used is closed; and so with processes that make
 * code. NULL: out of memory. */
struct broker *broker_new(int proc, size_t max_files, size_t max_jit_processes);
void broker_free(struct broker *broker);

struct jit_files *broker_jit_files(struct broker *broker); /* borrowed */

/* The file behind a mapping: a descriptor that the broker keeps (borrowed), or -errno. ESTALE: something
 * else is at that path now. A file is looked for at several places; only the unwinder can compare build ids,
 * so it may ask again from request->first_candidate on. */
int broker_open_mapping(struct broker *broker, const struct open_mapping *request, uint32_t *ret_candidate);

/* A file opened before for a mapping of that path and build id ("" matches any); ENOENT otherwise. */
int broker_open_known(struct broker *broker, const struct open_known *request);

/* Whether the kernel itself said of a mapping that it is of this path and build id. */
bool broker_has_mapped(const struct broker *broker, const struct open_known *request);

/* A separate debug file of such a module: a descriptor (the caller's), or -errno. Only names that a linker or
 * packager gives, only in the folders for them. The symbolizer compares build ids or checksums, so it may ask
 * again from request->first_candidate on. */
int broker_open_debug(struct broker *broker, const struct open_debug *request, uint32_t *ret_candidate);
