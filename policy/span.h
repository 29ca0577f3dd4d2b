#pragma once
/* A piece of text inside a buffer of somebody else's, with its length instead of a terminator: nothing here
 * reads outside it, whatever its bytes are. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *at; /* NULL: nothing is left, which is not the same as an empty piece */
	size_t length;
};

static inline bool
span_equal(struct span a, struct span b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

static inline bool
span_is(struct span span, const char *word)
{
	return span_equal(span, (struct span){word, strlen(word)});
}

/* Takes the piece before the next separator off *rest. Without one it is all of it, and rest->at is NULL. */
static inline struct span
span_take(struct span *rest, char separator)
{
	struct span piece = {.at = rest->at};

	while (piece.length < rest->length && rest->at[piece.length] != separator)
		piece.length++;
	if (piece.length == rest->length)
		*rest = (struct span){0};
	else
		*rest = (struct span){rest->at + piece.length + 1, rest->length - piece.length - 1};
	return piece;
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline struct span
span_trim(struct span span)
{
	for (; span.length && is_blank(span.at[0]); span.at++)
		span.length--;
	while (span.length && is_blank(span.at[span.length - 1]))
		span.length--;
	return span;
}

/* Decimal digits and nothing else. 0, -EINVAL when it is no number, -ERANGE when it does not fit. */
static inline int
span_number(struct span span, uint32_t *ret)
{
	uint64_t number = 0;

	for (size_t i = 0; i < span.length; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return -EINVAL;
		if (number <= UINT32_MAX)
			number = number * 10 + (uint64_t)(span.at[i] - '0');
	}
	if (span.length == 0)
		return -EINVAL;
	if (number > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)number;
	return 0;
}
