/* gzip for what anybody may open, zstd for what Datadog's readers expect. */

#include "worker/export/compress.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW (15 + 16) /* zlib's largest window, with a gzip header (zlib.h, deflateInit2) */
#define GZIP_LEVEL 6
#define ZSTD_LEVEL 1 /* as libdatadog */

int
compress_gzip(const uint8_t *in, size_t in_size, uint8_t **ret_out, size_t *ret_size)
{
	z_stream stream = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)in_size};

	if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	size_t capacity = deflateBound(&stream, in_size);
	uint8_t *out = malloc(capacity);
	int result = out ? 0 : -ENOMEM;
	if (result == 0) {
		stream.next_out = out;
		stream.avail_out = (uInt)capacity;
		result = deflate(&stream, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
	}
	deflateEnd(&stream);
	if (result < 0) {
		free(out);
		return result;
	}
	*ret_out = out;
	*ret_size = stream.total_out;
	return 0;
}

int
compress_zstd(const uint8_t *in, size_t in_size, uint8_t **ret_out, size_t *ret_size)
{
	size_t capacity = ZSTD_compressBound(in_size);
	uint8_t *out = malloc(capacity);
	size_t size = out ? ZSTD_compress(out, capacity, in, in_size, ZSTD_LEVEL) : 0;

	if (!out || ZSTD_isError(size)) {
		free(out);
		return out ? -EIO : -ENOMEM;
	}
	*ret_out = out;
	*ret_size = size;
	return 0;
}
