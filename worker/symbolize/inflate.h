#pragma once
/* A compressed ELF section of a file into memory of the size it claims: not a byte more is written or
 * allocated for the output. */

#include <stddef.h>
#include <stdint.h>

/* `offset` and `size` are the section's in the file, its Elf64_Chdr included; zlib and zstd. 0; -EBADMSG:
 * damaged, or not exactly `out_size` bytes; -ENOTSUP: another format; -ENOMEM; pread's error. */
int inflate_file(int fd, uint64_t offset, uint64_t size, uint8_t *ret_out, size_t out_size);
