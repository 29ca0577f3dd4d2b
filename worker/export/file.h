#pragma once
/* Writes one finished profile as a gzip file that appears whole or not at all. */

#include <stddef.h>
#include <stdint.h>

/* Writes bytes under a temporary name and renames; a file of that name is replaced. 0, or -errno with nothing
 * left behind. */
int export_file_write(int folder, const char *name, const uint8_t *bytes, size_t size);

/* The same, but a file that is called `name` already stays, and this one is called `otherwise`, which nobody
 * else writes. *ret_name is one of the two. (A file system that has no such rename, EINVAL, gets
 * `otherwise`.) */
int export_file_write_beside(int folder, const char *name, const char *otherwise, const uint8_t *bytes,
			     size_t size, const char **ret_name);

/* `profile` is a descriptor of the pprof message, `folder` of the output folder (both borrowed). 0 and the
 * compressed size, or -errno with nothing left behind. */
int export_file(int folder, const char *name, int profile, uint64_t *ret_bytes);
