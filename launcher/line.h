#pragma once
/* Puts a line together in a fixed buffer: no heap, no stdio, no locale. What does not fit is cut. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line {
	char text[768];
	size_t used; /* the text is always terminated */
};

void line_add(struct line *line, const char *text);
void line_add_number(struct line *line, uint64_t number);

/* Between double quotes, which nothing inside can end: what is not printable ASCII, quotes and backslashes
 * become "\xNN". */
void line_add_quoted(struct line *line, const char *text, size_t size);
