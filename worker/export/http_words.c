/* Secrets first, on the bytes as they came; then blanks, then what does not print. */

#include "worker/export/http_words.h"

#include "ipc/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define SECRET_MIN 8 /* shorter ones would blank out ordinary words */

/* Headers whose values servers may quote: what the body is, not who sends it. */
static const char *const public_headers[] = {"Content-", "Accept", "User-Agent"};

static bool
is_public(const char *header)
{
	for (size_t i = 0; i < sizeof(public_headers) / sizeof(public_headers[0]); i++)
		if (strncasecmp(header, public_headers[i], strlen(public_headers[i])) == 0)
			return true;
	return false;
}

/* Where the text ends in the middle of it, too. */
static void
blank_out(char *text, size_t size, const char *secret, size_t length)
{
	for (size_t i = 0; i + SECRET_MIN <= size; i++) {
		size_t compared = length < size - i ? length : size - i;

		if (memcmp(text + i, secret, compared) == 0)
			memset(text + i, '*', compared);
	}
}

static void
blank_out_words_of(char *text, size_t size, const char *value)
{
	while (*value) {
		size_t length = strcspn(value, " ,;\r\n");

		if (length >= SECRET_MIN)
			blank_out(text, size, value, length);
		value += length + (value[length] != '\0');
	}
}

/* Runs of blanks and line ends become one space, at either end none. */
static size_t
join_lines(char *text, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++)
		if (!isspace((unsigned char)text[i]))
			text[length++] = text[i];
		else if (length && text[length - 1] != ' ')
			text[length++] = ' ';
	return length && text[length - 1] == ' ' ? length - 1 : length;
}

void
http_words_from_text(char *text, size_t size, const char *const *headers, char *ret, size_t capacity)
{
	for (size_t i = 0; headers && headers[i]; i++) {
		const char *value = strchr(headers[i], ':');

		if (value && !is_public(headers[i]))
			blank_out_words_of(text, size, value + 1);
	}
	(void)text_escape(ret, capacity, text, join_lines(text, size));
}
