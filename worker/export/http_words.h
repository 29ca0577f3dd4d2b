#pragma once
/* What a server said, fit for a message of ours: one printable line, without any secret of the request that
 * it repeats. */

#include <stddef.h>

/* Bytes of an answer worth keeping: what is shown, and as much again that may complete a secret in it. */
#define HTTP_TEXT_MAX 1024

/* `text` is scrubbed in place. `headers`: "Name: value" of the request, NULL-terminated; words of their
 * values of 8 bytes and more are secrets, unless the name says what they are about. */
void http_words_from_text(char *text, size_t size, const char *const *headers, char *ret, size_t capacity);
