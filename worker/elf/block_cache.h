#pragma once
/* The 4 KB blocks of files that were read lately, shared by every ELF image of the process: memory stays
 * within BLOCK_CACHE_BYTES however many files are profiled, and a hot unwind table costs no syscall. */

#include <stddef.h>
#include <stdint.h>

#define BLOCK_CACHE_BYTES (4u << 20)

/* A number for one file, never given twice; blocks of a forgotten number just age out. */
uint64_t block_cache_new_file(void);

/* Copies `size` bytes at `offset` of the file that is open as `fd` and numbered `file`. 0, or -errno:
 * ERANGE the file ends before (or the offset is absurd), else pread's. Safe from several threads. */
int block_cache_read(int fd, uint64_t file, uint64_t offset, void *ret_bytes, size_t size);
