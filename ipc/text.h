#pragma once
/* Names that come from the target (thread names, paths, ELF symbols) made fit for a profile and a
 * terminal: valid UTF-8 without control characters or bidirectional overrides. */

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the valid UTF-8 character at `text`; 0 when there is none. */
size_t text_character(const char *text, size_t size);

bool text_is_printable(const char *text, size_t size);

/* Copies with everything unprintable as "\xNN" (byte) or "\uNNNN" (character), always terminated. What
 * does not fit in `capacity` (at least 4) is cut at a character and ends in "…". Returns the length. */
size_t text_escape(char *ret, size_t capacity, const char *text, size_t size);

/* The longest one character can become when escaped. */
#define TEXT_ESCAPE_MAX 6
