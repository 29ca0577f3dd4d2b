/* liblzma with two limits: what its dictionary may take, and what may come out. */

#include "worker/symbolize/mini_debug_info.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#define DICTIONARY_MAX (80u << 20) /* xz -9 */
#define FIRST_BYTES (256u << 10)

static int
grow(lzma_stream *stream, uint8_t **bytes, size_t *capacity)
{
	size_t larger = *capacity ? 2 * *capacity : FIRST_BYTES;

	if (*capacity >= MINI_DEBUG_INFO_MAX)
		return -ERANGE;
	uint8_t *grown = realloc(*bytes, larger);
	if (!grown)
		return -ENOMEM;
	stream->next_out = grown + *capacity;
	stream->avail_out = larger - *capacity;
	*bytes = grown;
	*capacity = larger;
	return 0;
}

static int
inflate_all(lzma_stream *stream, uint8_t **bytes, size_t *capacity)
{
	for (;;) {
		if (stream->avail_out == 0) {
			int error = grow(stream, bytes, capacity);
			if (error)
				return error;
		}
		lzma_ret result = lzma_code(stream, LZMA_FINISH);
		if (result == LZMA_STREAM_END)
			return 0;
		if (result == LZMA_MEM_ERROR)
			return -ENOMEM;
		if (result == LZMA_MEMLIMIT_ERROR)
			return -ERANGE;
		if (result != LZMA_OK) /* LZMA_BUF_ERROR: the input ends too early */
			return -EBADMSG;
	}
}

int
mini_debug_info_inflate(const void *compressed, size_t size, uint8_t **ret, size_t *ret_size)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	uint8_t *bytes = NULL;
	size_t capacity = 0;

	if (lzma_stream_decoder(&stream, DICTIONARY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	stream.next_in = compressed;
	stream.avail_in = size;
	int error = inflate_all(&stream, &bytes, &capacity);
	size_t inflated = (size_t)stream.total_out;
	lzma_end(&stream);
	if (error) {
		free(bytes);
		return error;
	}
	*ret = bytes;
	*ret_size = inflated;
	return 0;
}
