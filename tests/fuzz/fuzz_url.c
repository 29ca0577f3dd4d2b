/* What callers and variables say of destinations: a text is refused, or its parts lie in it, one behind the
 * other, and hold nothing that could end a line of a request. */

#include "tests/fuzz/fuzz.h"

#include "ipc/key_values.h"
#include "launcher/url.h"

#include <stdlib.h>
#include <string.h>

static void
check_part(struct url_part part, const char *text, const char **at)
{
	if (!part.at)
		return;
	CHECK(part.at >= *at && part.at + part.length <= text + strlen(text));
	for (size_t i = 0; i < part.length; i++)
		CHECK(part.at[i] > ' ');
	*at = part.at + part.length;
}

static void
check_url(const char *text)
{
	struct url url;
	const char *at = text;

	if (url_parse(text, &url))
		return;
	CHECK(url.authority.length > 0);
	CHECK(!memchr(url.authority.at, '@', url.authority.length));
	check_part(url.userinfo, text, &at);
	check_part(url.authority, text, &at);
	check_part(url.path, text, &at);
	CHECK(url.path.length == 0 || url.path.at[url.path.length - 1] != '/');
	check_part(url.query, text, &at);
}

static void
check_key_values(const char *text)
{
	static struct key_value pair;
	const char *at = text;

	while (key_values_next(&at, &pair) > 0) {
		CHECK(at > text && at <= text + strlen(text));
		CHECK(pair.key[0] && strlen(pair.key) < sizeof(pair.key) &&
		      strlen(pair.value) < sizeof(pair.value));
		CHECK(!strpbrk(pair.key, " \r\n\t") && !strpbrk(pair.value, "\r\n\t"));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, bytes, size);
	text[size] = '\0';
	/* As the option table lets them through (option_table.c): visible characters only. */
	if (text[strspn(text, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
			      "abcdefghijklmnopqrstuvwxyz{|}~")] == '\0')
		check_url(text);
	check_key_values(text);
	free(text);
	return 0;
}
