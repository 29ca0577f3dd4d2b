/* What a server said, and a header of ours it may repeat: one printable line that does not have it. The
 * header's value ends at the first line end; the rest is the server's. */

#include "tests/fuzz/fuzz.h"

#include "ipc/text.h"
#include "worker/export/http_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define SECRET_MIN 8

/* Letters and digits alone: with others, an escape could come to look like it. */
static bool
is_plain_secret(const char *value)
{
	for (const char *at = value; *at; at++)
		if (!isalnum((unsigned char)*at))
			return false;
	return strlen(value) >= SECRET_MIN;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const uint8_t *end = size ? memchr(bytes, '\n', size) : NULL;
	size_t value_size = end ? (size_t)(end - bytes) : 0, text_size = end ? size - value_size - 1 : size;
	char *header = calloc(1, value_size + 4), *text = malloc(text_size + 1), said[64];
	const char *const headers[] = {header, NULL};

	memcpy(header, "K: ", 3);
	if (value_size)
		memcpy(header + 3, bytes, value_size);
	if (text_size)
		memcpy(text, end ? end + 1 : bytes, text_size);
	memset(said, 1, sizeof(said));                          /* no terminator but its own */
	bool has_escapes = !text_is_printable(text, text_size); /* whose digits may continue a word */
	http_words_from_text(text, text_size, headers, said, sizeof(said));
	CHECK(memchr(said, '\0', sizeof(said)));
	CHECK(text_is_printable(said, strlen(said)));
	CHECK(said[0] != ' ' && !strstr(said, "  "));
	if (is_plain_secret(header + 3) && !has_escapes)
		CHECK(!strstr(said, header + 3));
	free(header);
	free(text);
	return 0;
}
