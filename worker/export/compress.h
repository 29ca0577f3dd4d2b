#pragma once
/* A profile's bytes, made smaller, in one go. */

#include <stddef.h>
#include <stdint.h>

/* *ret_out is malloc'ed. 0, -ENOMEM, -EIO (the library gave up: a bug). */
int compress_gzip(const uint8_t *in, size_t in_size, uint8_t **ret_out, size_t *ret_size);
int compress_zstd(const uint8_t *in, size_t in_size, uint8_t **ret_out, size_t *ret_size);
