#pragma once
/* One profile file: plain, gzip or zstd, told apart by their first bytes, decompressed within a limit. */

#include <stddef.h>
#include <stdint.h>

/* A profile of a minute is a few megabytes; what inflates beyond this is a bomb or a mistake. */
#define LOAD_SIZE_MAX ((size_t)1 << 30)

enum load_format { LOAD_PLAIN, LOAD_GZIP, LOAD_ZSTD };

/* Of a descriptor, from where it stands to its end; *ret_format: what it was. As load_file(). */
int load_descriptor(int fd, size_t size_max, uint8_t **ret_bytes, size_t *ret_size,
		    enum load_format *ret_format, const char **ret_reason);

/* *ret_bytes is malloc'ed. 0, or -errno and *ret_reason: a sentence fragment ending in what to do. */
int load_file(const char *path, size_t size_max, uint8_t **ret_bytes, size_t *ret_size,
	      const char **ret_reason);
