/* One pair at a time, into fixed room. */
#include "ipc/key_values.h"

#include "ipc/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int
hexadecimal(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
percent_decode(const char *text, size_t length, char *ret, size_t capacity)
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		int byte = (unsigned char)text[i];

		if (byte == '%') {
			int high = length - i > 2 ? hexadecimal(text[i + 1]) : -1;
			int low = length - i > 2 ? hexadecimal(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EBADMSG;
			byte = high << 4 | low;
			i += 2;
		}
		if (byte == 0 || used + 1 >= capacity)
			return -EBADMSG;
		ret[used++] = (char)byte;
	}
	if (used >= capacity)
		return -EBADMSG;
	ret[used] = '\0';
	return (int)used;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span {
	const char *at;
	size_t length;
};

static struct span
trim(const char *at, size_t length)
{
	while (length > 0 && is_blank(*at)) {
		at++;
		length--;
	}
	while (length > 0 && is_blank(at[length - 1]))
		length--;
	return (struct span){at, length};
}

static int
read_pair(struct span member, struct key_value *ret)
{
	const char *equals = memchr(member.at, '=', member.length);

	if (!equals)
		return -EBADMSG;
	struct span key = trim(member.at, (size_t)(equals - member.at));
	struct span value = trim(equals + 1, member.length - (size_t)(equals + 1 - member.at));
	if (key.length == 0 || key.length >= sizeof(ret->key))
		return -EBADMSG;
	for (size_t i = 0; i < key.length; i++) {
		if (key.at[i] <= ' ' || key.at[i] > '~')
			return -EBADMSG;
	}
	memcpy(ret->key, key.at, key.length);
	ret->key[key.length] = '\0';
	int length = percent_decode(value.at, value.length, ret->value, sizeof(ret->value));
	return length < 0 || !text_is_printable(ret->value, (size_t)length) ? -EBADMSG : 1;
}

int
key_values_next(const char **text, struct key_value *ret)
{
	while (**text) {
		struct span member = trim(*text, strcspn(*text, ","));

		*text += strcspn(*text, ",");
		*text += **text == ',';
		if (member.length > 0)
			return read_pair(member, ret);
	}
	return 0;
}
