#pragma once
/* A whole memfd in one buffer, and back. */

#include <stddef.h>
#include <stdint.h>

#define MEMORY_FILE_MAX (256u << 20) /* more than any profile we write */

/* Reads a file from its start. *ret_bytes is malloc'ed. 0 or -errno (EFBIG). */
int memory_file_read(int fd, uint8_t **ret_bytes, size_t *ret_size);

/* Writes everything, however often the kernel stops short. 0 or -errno. */
int memory_file_write(int fd, const uint8_t *bytes, size_t size);
