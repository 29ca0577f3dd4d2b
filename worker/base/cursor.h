#pragma once
/* A bounded reader over borrowed bytes. A read past the end yields zero and marks the cursor failed,
 * so a length taken from a failed cursor can never drive a loop or an allocation. All reads are
 * little-endian and unaligned-safe. Check cursor_finished() or `failed` once, at the end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct cursor
cursor_over(const void *bytes, size_t size)
{
	return (struct cursor){.at = bytes, .end = (const uint8_t *)bytes + size};
}

static inline size_t
cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* Everything read, nothing missing. */
static inline bool
cursor_finished(const struct cursor *c)
{
	return !c->failed && c->at == c->end;
}

static inline void
cursor_fail(struct cursor *c)
{
	c->failed = true;
	c->at = c->end;
}

/* The next `size` bytes, borrowed; NULL (and a failed cursor) when there are fewer. */
static inline const uint8_t *
cursor_bytes(struct cursor *c, size_t size)
{
	const uint8_t *bytes = c->at;

	if (cursor_left(c) < size) {
		cursor_fail(c);
		return NULL;
	}
	c->at += size;
	return bytes;
}

#define CURSOR_READ(name, type)                                        \
	static inline type cursor_##name(struct cursor *c)             \
	{                                                              \
		type value = 0;                                        \
		const uint8_t *bytes = cursor_bytes(c, sizeof(value)); \
		if (bytes)                                             \
			memcpy(&value, bytes, sizeof(value));          \
		return value;                                          \
	}
CURSOR_READ(u8, uint8_t)
CURSOR_READ(u16, uint16_t)
CURSOR_READ(u32, uint32_t)
CURSOR_READ(u64, uint64_t)
#undef CURSOR_READ
