#pragma once
/* Bytes that grow at their end. A failure is remembered, and everything after it does nothing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *bytes; /* malloc'ed; NULL when empty */
	size_t used, capacity;
	bool has_failed; /* out of memory */
};

void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) void buffer_format(struct buffer *buffer, const char *format, ...);
void buffer_destroy(struct buffer *buffer);

/* Its bytes as a string the caller owns, or NULL: out of memory. The buffer is empty afterwards. */
char *buffer_take_text(struct buffer *buffer);
