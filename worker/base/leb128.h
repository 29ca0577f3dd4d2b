#pragma once
/* LEB128, the variable-length numbers of DWARF. An overlong number fails the cursor. */

#include "worker/base/cursor.h"

/* 64 bits take ten bytes of seven; a longer number is an attack, not an address. */
static inline uint64_t
cursor_uleb128(struct cursor *c)
{
	uint64_t value = 0;

	if (c->at < c->end && !(*c->at & 0x80)) /* nearly all */
		return *c->at++;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = cursor_u8(c);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return c->failed ? 0 : value;
	}
	cursor_fail(c);
	return 0;
}

static inline int64_t
cursor_sleb128(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = cursor_u8(c);

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if ((byte & 0x40) && shift + 7 < 64)
			value |= UINT64_MAX << (shift + 7);
		return c->failed ? 0 : (int64_t)value;
	}
	cursor_fail(c);
	return 0;
}
