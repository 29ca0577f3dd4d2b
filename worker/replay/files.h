#pragma once
/* Finds the files a recording, or a profile, names: below a folder, by default "/". What comes out is a
 * regular file opened for reading; whether it is the recorded one is for the caller to see by its build id.
 */

#include "ipc/protocol.h"

#include <stddef.h>

struct replay_files {
	const char *root; /* "" for the machine's own */
	size_t open, max_open;
};

/* For mapped_files_new(); context is a struct replay_files. Without a build id the machine's own file must at
 * least be the same inode; below a root of the user's choice it is believed. */
int replay_files_open(void *context, const struct open_mapping *request, uint32_t *ret_candidate);

/* For struct file_finder: the file of that path, and a debug file of it below the same folder. */
int replay_files_open_module(void *context, const char *path, const char *build_id);
int replay_files_open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate);
