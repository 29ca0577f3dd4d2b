/* Reads all, then inflates all: every buffer grows by doubling and never beyond the limit. */
#include "worker/report/load.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { FIRST_SIZE = 64 << 10 };

struct buffer {
	uint8_t *bytes;
	size_t used, capacity, limit;
};

/* Room for at least one more byte. 0, -EFBIG, -ENOMEM. */
static int
make_room(struct buffer *buffer)
{
	size_t capacity = buffer->capacity ? buffer->capacity * 2 : FIRST_SIZE;
	uint8_t *bytes;

	if (buffer->used < buffer->capacity)
		return 0;
	if (capacity > buffer->limit)
		capacity = buffer->limit;
	if (capacity <= buffer->capacity)
		return -EFBIG;
	bytes = realloc(buffer->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return 0;
}

static int
read_all(int fd, struct buffer *buffer)
{
	for (;;) {
		int error = make_room(buffer);
		ssize_t got;

		if (error)
			return error;
		got = read(fd, buffer->bytes + buffer->used, buffer->capacity - buffer->used);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		if (got > 0)
			buffer->used += (size_t)got;
	}
}

/* Members may follow each other, as `cat a.gz b.gz` makes them. */
static int
inflate_gzip(const struct buffer *in, struct buffer *out)
{
	z_stream stream = {.next_in = in->bytes, .avail_in = (uInt)in->used};
	int status = Z_OK, error = 0;

	if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
		return -ENOMEM;
	while (!error && !(status == Z_STREAM_END && stream.avail_in == 0)) {
		if (status == Z_STREAM_END)
			inflateReset(&stream);
		error = make_room(out);
		if (error)
			break;
		stream.next_out = out->bytes + out->used;
		stream.avail_out = (uInt)(out->capacity - out->used);
		status = inflate(&stream, Z_NO_FLUSH);
		out->used = out->capacity - stream.avail_out;
		if (status != Z_OK && status != Z_STREAM_END)
			error = status == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	}
	inflateEnd(&stream);
	return error;
}

static int
inflate_zstd(const struct buffer *in, struct buffer *out)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer input = {.src = in->bytes, .size = in->used};
	size_t left = 1;
	int error = stream ? 0 : -ENOMEM;

	while (!error && !(left == 0 && input.pos == input.size)) {
		ZSTD_outBuffer output;

		error = make_room(out);
		if (error)
			break;
		output = (ZSTD_outBuffer){.dst = out->bytes, .size = out->capacity, .pos = out->used};
		left = ZSTD_decompressStream(stream, &output, &input);
		/* Nothing left to read and room to write, yet not the end: the file is cut. */
		if (ZSTD_isError(left) || (left > 0 && input.pos == input.size && output.pos < output.size))
			error = -EBADMSG;
		out->used = output.pos;
	}
	ZSTD_freeDStream(stream);
	return error;
}

static const struct {
	uint8_t magic[4];
	size_t size;
	int (*inflate)(const struct buffer *in, struct buffer *out);
	enum load_format format;
} formats[] = {
	{{0x1f, 0x8b}, 2, inflate_gzip, LOAD_GZIP},
	{{0x28, 0xb5, 0x2f, 0xfd}, 4, inflate_zstd, LOAD_ZSTD},
};

static int
decompress(struct buffer *buffer, enum load_format *ret_format)
{
	*ret_format = LOAD_PLAIN;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct buffer out = {.limit = buffer->limit};
		int error;

		if (buffer->used < formats[i].size ||
		    memcmp(buffer->bytes, formats[i].magic, formats[i].size) != 0)
			continue;
		*ret_format = formats[i].format;
		error = formats[i].inflate(buffer, &out);
		free(buffer->bytes);
		*buffer = out;
		return error;
	}
	return 0;
}

static const char *
reason_of(int error, bool was_read)
{
	switch (error) {
	case -ENOENT:
		return "no such file; check the name";
	case -EACCES:
	case -EPERM:
		return "permission denied; run as a user who may read it";
	case -EISDIR:
		return "is a folder; name the profiles in it";
	case -EFBIG:
		return was_read ? "larger than 1 GiB when decompressed; this is not one profile"
				: "larger than 1 GiB; this is not one profile";
	case -ENOMEM:
		return "out of memory; report fewer files at once";
	case -EBADMSG:
		return "compressed data is damaged or cut short; copy or profile it again";
	default:
		return strerror(-error);
	}
}

int
load_descriptor(int fd, size_t size_max, uint8_t **ret_bytes, size_t *ret_size, enum load_format *ret_format,
		const char **ret_reason)
{
	struct buffer buffer = {.limit = size_max};
	bool was_read = false;
	int error = read_all(fd, &buffer);

	if (!error) {
		was_read = true;
		error = decompress(&buffer, ret_format);
	}
	if (error) {
		free(buffer.bytes);
		*ret_reason = reason_of(error, was_read);
		return error;
	}
	*ret_bytes = buffer.bytes;
	*ret_size = buffer.used;
	return 0;
}

int
load_file(const char *path, size_t size_max, uint8_t **ret_bytes, size_t *ret_size, const char **ret_reason)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	enum load_format unused;

	if (fd >= 0)
		return load_descriptor(fd, size_max, ret_bytes, ret_size, &unused, ret_reason);
	*ret_reason = reason_of(-errno, /* was_read= */ false);
	return -errno;
}
