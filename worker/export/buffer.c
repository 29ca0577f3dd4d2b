/* Doubling. */

#include "worker/export/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256
#define FORMATTED_MAX 512 /* of one buffer_format */

static bool
make_room(struct buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;

	if (buffer->has_failed || size > SIZE_MAX / 4 || buffer->used > SIZE_MAX / 4)
		return false;
	while (capacity < buffer->used + size)
		capacity *= 2;
	if (buffer->bytes && capacity == buffer->capacity)
		return true;
	uint8_t *bytes = realloc(buffer->bytes, capacity);
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->capacity = capacity;
	return true;
}

void
buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
	if (!make_room(buffer, size)) {
		buffer->has_failed = true;
		return;
	}
	if (size > 0)
		memcpy(buffer->bytes + buffer->used, bytes, size);
	buffer->used += size;
}

void
buffer_add_text(struct buffer *buffer, const char *text)
{
	buffer_add(buffer, text, strlen(text));
}

void
buffer_format(struct buffer *buffer, const char *format, ...)
{
	char text[FORMATTED_MAX];
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(text))
		buffer->has_failed = true;
	else
		buffer_add(buffer, text, (size_t)length);
}

void
buffer_destroy(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){0};
}

char *
buffer_take_text(struct buffer *buffer)
{
	buffer_add(buffer, "", 1);
	char *text = (char *)buffer->bytes;
	if (buffer->has_failed) {
		buffer_destroy(buffer);
		return NULL;
	}
	*buffer = (struct buffer){0};
	return text;
}
