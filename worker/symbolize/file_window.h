#pragma once
/* A file read in blocks with pread: one that is truncated under us is a short read. What is read is taken off
 * a budget; when that is used up, the file ends there. */

#include "worker/base/cursor.h"

struct file_budget {
	uint64_t bytes_left;
	bool is_exceeded; /* something was asked for beyond it */
};

/* For work that reading does not pay for, so that a small file cannot ask for much of it. False: there is not
 * as much left, and nothing is. */
bool file_budget_spend(struct file_budget *budget, uint64_t bytes);

#define FILE_WINDOW_BYTES (64u << 10)

struct file_window {
	int fd;                     /* borrowed */
	struct file_budget *budget; /* borrowed */
	uint64_t start;             /* in the file: of `bytes` */
	size_t size;                /* of what is in them */
	uint8_t bytes[FILE_WINDOW_BYTES];
};

/* Starts empty. */
void file_window_open(struct file_window *window, int fd, struct file_budget *budget);

/* The file's bytes from `offset` on, as many as there are up to `wanted` (at most FILE_WINDOW_BYTES) or, when
 * they are at hand, some more: who reads on gets whole blocks, who leaps gets little. Borrowed until the next
 * call. */
struct cursor file_window_at(struct file_window *window, uint64_t offset, size_t wanted);
