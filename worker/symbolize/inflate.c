/* The compressed bytes come through a small buffer with pread, so that only the result takes memory. */
#include "worker/symbolize/inflate.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#ifndef ELFCOMPRESS_ZSTD /* glibc before 2.37 */
#define ELFCOMPRESS_ZSTD 2
#endif

enum {
	INPUT_BYTES = 64 << 10,
	/* A frame may ask for gigabytes as its window; linkers, at level 3, ask for 2 MB. */
	ZSTD_WINDOW_LOG_MAX = 24,
};

struct input {
	int fd;
	uint64_t offset, left;
	uint8_t bytes[INPUT_BYTES];
};

/* 0: at the end. */
static ssize_t
next_input(struct input *input)
{
	size_t part = input->left < INPUT_BYTES ? (size_t)input->left : INPUT_BYTES;
	ssize_t got = part ? pread(input->fd, input->bytes, part, (off_t)input->offset) : 0;

	if (got < 0)
		return -errno;
	input->offset += (uint64_t)got;
	input->left -= (uint64_t)got;
	return got;
}

static int
inflate_zlib(struct input *input, uint8_t *out, size_t out_size)
{
	z_stream stream = {0};
	int status = Z_OK, error = 0;

	if (out_size > UINT_MAX)
		return -EBADMSG;
	if (inflateInit(&stream) != Z_OK)
		return -ENOMEM;
	stream.next_out = out;
	stream.avail_out = (unsigned)out_size;
	while (status == Z_OK && !error) {
		if (stream.avail_in == 0) {
			ssize_t got = next_input(input);

			error = got < 0 ? (int)got : got == 0 ? -EBADMSG : 0;
			stream.next_in = input->bytes;
			stream.avail_in = got > 0 ? (unsigned)got : 0;
		}
		if (!error)
			status = inflate(&stream, Z_NO_FLUSH); /* no room left: Z_BUF_ERROR */
	}
	if (!error && (status != Z_STREAM_END || stream.avail_out != 0))
		error = -EBADMSG;
	(void)inflateEnd(&stream);
	return error;
}

static int
inflate_zstd(struct input *input, uint8_t *out, size_t out_size)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_outBuffer to = {.dst = out, .size = out_size};
	size_t status = 1;
	int error = 0;

	if (!stream)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		error = -ENOMEM;
	while (status != 0 && !error) {
		ssize_t got = next_input(input);
		ZSTD_inBuffer from = {.src = input->bytes, .size = got > 0 ? (size_t)got : 0};

		error = got < 0 ? (int)got : got == 0 ? -EBADMSG : 0;
		while (!error && status != 0 && from.pos < from.size) {
			size_t before = to.pos + from.pos;

			status = ZSTD_decompressStream(stream, &to, &from);
			if (ZSTD_isError(status) || (status != 0 && to.pos + from.pos == before))
				error = -EBADMSG;
		}
	}
	(void)ZSTD_freeDStream(stream);
	return error ? error : to.pos == out_size ? 0 : -EBADMSG;
}

int
inflate_file(int fd, uint64_t offset, uint64_t size, uint8_t *ret_out, size_t out_size)
{
	struct input input = {.fd = fd};
	Elf64_Chdr header;

	if (size < sizeof(header) || offset > INT64_MAX || size > INT64_MAX - offset ||
	    pread(fd, &header, sizeof(header), (off_t)offset) != (ssize_t)sizeof(header) ||
	    header.ch_size != out_size)
		return -EBADMSG;
	input.offset = offset + sizeof(header);
	input.left = size - sizeof(header);
	switch (header.ch_type) {
	case ELFCOMPRESS_ZLIB:
		return inflate_zlib(&input, ret_out, out_size);
	case ELFCOMPRESS_ZSTD:
		return inflate_zstd(&input, ret_out, out_size);
	default:
		return -ENOTSUP;
	}
}
