/* Random bytes without waiting for them: a service may start before the kernel's pool is full, and these need
 * to be different, not secret. */

#include "launcher/uuid.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

void
uuid_make(char *ret)
{
	uint8_t bytes[16];
	char *at = ret;

	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t)sizeof(bytes))
		memcpy(bytes, (const void *)getauxval(AT_RANDOM), sizeof(bytes)); /* of this exec */
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(bytes); i++)
		at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

int
uuid_copy(const char *text, char *ret)
{
	char copy[UUID_TEXT_MAX];

	if (strlen(text) != UUID_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < UUID_TEXT_MAX; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = text[i];

		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (i < UUID_TEXT_MAX - 1 && (is_dash ? c != '-' : !c || !strchr("0123456789abcdef", c)))
			return -EINVAL;
		copy[i] = c;
	}
	memcpy(ret, copy, sizeof(copy));
	return 0;
}
