/* Names of symbols: printable UTF-8 of bounded length, the same every time. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/demangle.h"
#include "worker/symbolize/symbols.h"

#include <string.h>

/* The bytes that follow the first one of a character; -1: it starts none. */
static int
bytes_that_follow(unsigned char first)
{
	if (first < 0x80)
		return first >= ' ' && first != 0x7f ? 0 : -1;
	return first >= 0xf0 && first < 0xf5   ? 3
	       : first >= 0xe0 && first < 0xf0 ? 2
	       : first >= 0xc2 && first < 0xe0 ? 1
					       : -1;
}

static void
check_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		int follow = bytes_that_follow((unsigned char)text[i]);

		CHECK(follow >= 0);
		for (; follow > 0; follow--)
			CHECK(((unsigned char)text[++i] & 0xc0) == 0x80);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char one[DEMANGLE_SIZE], other[DEMANGLE_SIZE];

	if (size > SYMBOL_NAME_MAX)
		return 0;
	char *symbol = malloc(size + 1);
	if (size > 0)
		memcpy(symbol, bytes, size);
	symbol[size] = '\0';
	size_t length = demangle(symbol, one);
	CHECK(length < DEMANGLE_SIZE && strlen(one) == length);
	check_text(one, length);
	CHECK(demangle(symbol, other) == length && memcmp(one, other, length) == 0);
	free(symbol);
	return 0;
}
