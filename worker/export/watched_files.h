#pragma once
/* Files by their identity at one moment, and whether they are others by now. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WATCHED_PATH_MAX 256

enum watched_for {
	WATCHED_FOR_REPLACEMENT, /* another file at this path, or none, or one where there was none */
	WATCHED_FOR_CHANGE,      /* also other bytes in it */
};

struct watched_file {
	char path[WATCHED_PATH_MAX];
	enum watched_for what;
	bool exists;
	dev_t device;
	ino_t inode;
	int64_t changed_ns, size;
};

/* A path that is too long is watched as "", which never exists. Links are followed. */
struct watched_file watched_file_now(const char *path, enum watched_for what);

bool watched_file_is_outdated(const struct watched_file *file);
