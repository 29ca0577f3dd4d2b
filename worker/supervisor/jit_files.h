#pragma once
/* What processes write down about code that they make themselves: perf maps (/tmp/perf-PID.map) and jitdumps.
 * Held open from when the process is first seen to make code: the file grows, and is often deleted by its
 * process before the last profile is made. MUST: a file is a regular one, of the process's user or of root,
 * that nobody else may write, with one name, and no link leads to it; else another user could choose what
 * the functions of somebody's profile are called, or have some file of his read. */

#include "ipc/protocol.h"

#include <stddef.h>

struct jit_files;
struct views;

/* With one descriptor for each enum jit_file: */
#define JIT_FILES_PROCESSES_MAX 64

/* `proc`, a descriptor of /proc, and `views` are borrowed. Of at most max_processes (up to
 * JIT_FILES_PROCESSES_MAX) files are held; those of the one that was longest not asked for go first. NULL:
 * out of memory. */
struct jit_files *jit_files_new(int proc, struct views *views, size_t max_processes);
void jit_files_free(struct jit_files *files);

/* The map of a process, by the PID that it has in its own PID namespace, where it sees /tmp; else by the one
 * that we know, where we do. 0, -errno; -ENOENT: there is none (yet), but it may be opened later. */
int jit_files_hold_map(struct jit_files *files, uint32_t pid);

/* The jitdump that a process mapped: only a name like jit-12.dump, and only that file. 0 or -errno. */
int jit_files_hold_dump(struct jit_files *files, const struct open_mapping *request);

/* Of a process that was asked to be held: a descriptor (borrowed), or -errno. */
int jit_files_open(struct jit_files *files, const struct open_jit *request);
