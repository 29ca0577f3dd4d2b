#pragma once
/* The pointers of .eh_frame (DW_EH_PE_*, LSB 5.0, 10.5). */

#include "worker/base/leb128.h"

enum {
	POINTER_OMITTED = 0xff,
	POINTER_FORMAT = 0x0f, /* mask */
	POINTER_BASE = 0x70,   /* mask */
	POINTER_INDIRECT = 0x80,
	POINTER_PC_RELATIVE = 0x10,
	POINTER_DATA_RELATIVE = 0x30,
};

/* The number of an encoded pointer, before its base is added. An unknown format fails the cursor. */
static inline uint64_t
cursor_encoded(struct cursor *c, uint8_t encoding)
{
	switch (encoding & POINTER_FORMAT) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		return cursor_u64(c);
	case 0x01:
		return cursor_uleb128(c);
	case 0x02:
		return cursor_u16(c);
	case 0x03:
		return cursor_u32(c);
	case 0x09:
		return (uint64_t)cursor_sleb128(c);
	case 0x0a:
		return (uint64_t)(int64_t)(int16_t)cursor_u16(c);
	case 0x0b:
		return (uint64_t)(int64_t)(int32_t)cursor_u32(c);
	default:
		cursor_fail(c);
		return 0;
	}
}

/* A pointer made whole: `address` is the ELF address of the cursor's next byte. Bases other than "none"
 * and "this place" are not used for code in .eh_frame, and an indirect one would need the target's memory. */
static inline uint64_t
cursor_pointer(struct cursor *c, uint8_t encoding, uint64_t address)
{
	uint8_t base = encoding & (POINTER_BASE | POINTER_INDIRECT);
	uint64_t value = cursor_encoded(c, encoding);

	if (base == POINTER_PC_RELATIVE)
		value += address;
	else if (base != 0)
		cursor_fail(c);
	return c->failed ? 0 : value;
}
