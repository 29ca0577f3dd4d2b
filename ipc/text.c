/* What is printable is decided here and nowhere else. */
#include "ipc/text.h"

#include <stdint.h>
#include <string.h>

static const char ellipsis[] = "\xe2\x80\xa6";

static uint32_t
decode(const unsigned char *at, size_t length)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = at[0] & first_bits[length];

	for (size_t i = 1; i < length; i++)
		code = code << 6 | (at[i] & 0x3f);
	return code;
}

size_t
text_character(const char *text, size_t size)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	size_t length;
	uint32_t code;

	if (size == 0)
		return 0;
	if (at[0] < 0x80)
		return 1;
	length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc0 || at[0] > 0xf4 || length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	code = decode(at, length);
	/* Overlong forms, surrogates and what is beyond Unicode are not UTF-8. */
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

/* Terminals act on C0 and C1 controls; the bidirectional ones let a name pose as another. */
static bool
is_printable(uint32_t code)
{
	return !(code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f ||
		 (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff);
}

bool
text_is_printable(const char *text, size_t size)
{
	for (size_t length; size > 0; text += length, size -= length) {
		length = text_character(text, size);
		if (length == 0 || !is_printable(decode((const unsigned char *)text, length)))
			return false;
	}
	return true;
}

static void
put_hex(char *ret, uint32_t value, unsigned digits)
{
	for (unsigned i = digits; i > 0; value >>= 4)
		ret[--i] = "0123456789abcdef"[value & 15];
}

/* One character (or one bad byte) as it will appear; *size is advanced by what was consumed. */
static size_t
escape_one(char ret[static TEXT_ESCAPE_MAX], const char *text, size_t size, size_t *ret_consumed)
{
	size_t length = text_character(text, size);
	uint32_t code = length ? decode((const unsigned char *)text, length) : (unsigned char)text[0];

	*ret_consumed = length ? length : 1;
	if (length && is_printable(code)) {
		memcpy(ret, text, length);
		return length;
	}
	ret[0] = '\\';
	ret[1] = length > 1 ? 'u' : 'x';
	put_hex(ret + 2, code, length > 1 ? 4 : 2);
	return length > 1 ? 6 : 4;
}

size_t
text_escape(char *ret, size_t capacity, const char *text, size_t size)
{
	size_t used = 0, room_for_ellipsis = 0;

	while (size > 0) {
		char piece[TEXT_ESCAPE_MAX];
		size_t consumed, length = escape_one(piece, text, size, &consumed);

		if (used + length + 1 > capacity) {
			memcpy(ret + room_for_ellipsis, ellipsis, sizeof(ellipsis));
			return room_for_ellipsis + sizeof(ellipsis) - 1;
		}
		memcpy(ret + used, piece, length);
		used += length;
		if (used + sizeof(ellipsis) <= capacity)
			room_for_ellipsis = used;
		text += consumed;
		size -= consumed;
	}
	ret[used] = '\0';
	return used;
}
