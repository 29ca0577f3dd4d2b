#pragma once
/* What tells a file without a build id from one that took its place, or was written over it: its size, and
 * when it was last modified. Noted when the file is opened for its first mapping, it travels as a comment of
 * the profile ("ddprof.file.1=size:4096 modified:1700000000123456789 /path") to whoever gives names. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_identity {
	uint64_t size_bytes;
	int64_t modified_ns; /* CLOCK_REALTIME */
};

#define FILE_IDENTITY_PREFIX "ddprof.file."

/* 0 or -errno. */
int file_identity_of(int fd, struct file_identity *ret);

bool file_identity_equal(const struct file_identity *one, const struct file_identity *other);

/* The comment. Its length, or -ENOSPC. */
int file_identity_format(const struct file_identity *identity, size_t number, const char *path, char *ret,
			 size_t capacity);

/* *ret_path points into the comment. False: it is another one, or not as we write it. */
bool file_identity_parse(const char *comment, struct file_identity *ret, const char **ret_path);
