/* Appends, never beyond the buffer. */

#include "launcher/line.h"

#include <string.h>

#include "launcher/forbidden.h"

static void
add_bytes(struct line *line, const char *text, size_t size)
{
	size_t room = sizeof(line->text) - 1 - line->used;

	if (size > room)
		size = room;
	memcpy(line->text + line->used, text, size);
	line->used += size;
	line->text[line->used] = 0;
}

void
line_add(struct line *line, const char *text)
{
	add_bytes(line, text, strlen(text));
}

void
line_add_number(struct line *line, uint64_t number)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	add_bytes(line, digits + first, sizeof(digits) - first);
}

void
line_add_quoted(struct line *line, const char *text, size_t size)
{
	static const char hexadecimal[] = "0123456789abcdef";

	add_bytes(line, "\"", 1);
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];
		const char escaped[4] = {'\\', 'x', hexadecimal[byte >> 4], hexadecimal[byte & 15]};

		if (byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\')
			add_bytes(line, text + i, 1);
		else
			add_bytes(line, escaped, sizeof(escaped));
	}
	add_bytes(line, "\"", 1);
}
