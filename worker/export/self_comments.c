/* Strings are numbered in the order in which they come, so those that are added continue the profile's own:
 * all that must be known of it is how many it has. */

#include "worker/export/self_comments.h"

#include "worker/base/leb128.h"

#include <errno.h>
#include <stdio.h>

/* Of Profile in worker/profile/profile.proto; a protobuf key is the number and the wire type. */
enum { FIELD_STRING_TABLE = 6, FIELD_COMMENT = 13 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
#define KEY(field, wire) ((field) << 3 | (wire))

static void
skip(struct cursor *c, unsigned wire)
{
	switch (wire) {
	case WIRE_VARINT:
		(void)cursor_uleb128(c);
		break;
	case WIRE_64:
		(void)cursor_bytes(c, 8);
		break;
	case WIRE_BYTES:
		(void)cursor_bytes(c, cursor_uleb128(c));
		break;
	case WIRE_32:
		(void)cursor_bytes(c, 4);
		break;
	default: /* groups: nobody has written them for decades */
		cursor_fail(c);
	}
}

static int
count_strings(const uint8_t *pprof, size_t size, uint64_t *ret)
{
	struct cursor c = cursor_over(pprof, size);
	uint64_t count = 0;

	while (cursor_left(&c) > 0) {
		uint64_t key = cursor_uleb128(&c);

		if (key >> 3 > UINT32_MAX || (key >> 3 == FIELD_STRING_TABLE && (key & 7) != WIRE_BYTES))
			return -EBADMSG;
		count += key >> 3 == FIELD_STRING_TABLE;
		skip(&c, key & 7);
	}
	if (!cursor_finished(&c) || count == 0) /* the first string of every pprof is "" */
		return -EBADMSG;
	*ret = count;
	return 0;
}

static uint8_t *
put_varint(uint8_t *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
}

/* The string, and the number of it as a comment: not packed, which readers of packed fields accept. */
static uint8_t *
put_comment(uint8_t *at, const struct self_metric *metric, uint64_t number)
{
	char text[80];
	int length = snprintf(text, sizeof(text), "ddprof.%s=%lld", metric->name, (long long)metric->value);

	*at++ = KEY(FIELD_STRING_TABLE, WIRE_BYTES);
	at = put_varint(at, (uint64_t)length);
	memcpy(at, text, (size_t)length);
	at = put_varint(at + length, KEY(FIELD_COMMENT, WIRE_VARINT));
	return put_varint(at, number);
}
/* 7 + 47 + 1 + 20 characters; two keys, a length, a number. */
_Static_assert(75 + 1 + 1 + 1 + 10 <= SELF_COMMENTS_MAX / SELF_METRICS_MAX, "room for every comment");

int
self_comments_make(const uint8_t *pprof, size_t pprof_size, const struct self_metrics *metrics,
		   uint8_t ret[static SELF_COMMENTS_MAX], size_t *ret_size)
{
	uint64_t number;
	uint8_t *at = ret;
	int result = count_strings(pprof, pprof_size, &number);

	if (result < 0)
		return result;
	for (size_t i = 0; i < metrics->count; i++)
		if (metrics->metric[i].is_comment)
			at = put_comment(at, &metrics->metric[i], number++);
	*ret_size = (size_t)(at - ret);
	return 0;
}
