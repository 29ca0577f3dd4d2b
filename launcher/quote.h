#pragma once
/* A piece of somebody's input made fit for an error message: bounded, and nothing a terminal would obey. */

#include <stddef.h>
#include <string.h>

#define QUOTED_MAX 64

struct quoted {
	char text[QUOTED_MAX + sizeof("...")];
};

/* The first QUOTED_MAX bytes of text, '?' for whatever is not printable ASCII, "..." when there was more.
 * Returned by value so that it can be used inside a printf call: quoted(at, length).text */
static inline struct quoted
quoted(const char *text, size_t length)
{
	struct quoted result = {{0}};
	size_t shown = length > QUOTED_MAX ? QUOTED_MAX : length;

	for (size_t i = 0; i < shown; i++)
		result.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	memcpy(result.text + shown, length > shown ? "..." : "", length > shown ? sizeof("...") : 1);
	return result;
}
