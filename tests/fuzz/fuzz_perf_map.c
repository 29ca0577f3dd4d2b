/* A perf map: each address has the name that a slow reading of the same text, line by line, gives it, with
 * blocks that begin anywhere. Input: a first address, the distance of the others, how much padding there is
 * in front of the text, the text. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/perf_map.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESSES = 16 };

/* True, and where it ends: "0x" or nothing, up to 64 bits in hex, at least one blank. */
static bool
take_number(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	unsigned __int128 value = 0;
	const uint8_t *digits;

	if (end - *at >= 2 && (*at)[0] == '0' && tolower((*at)[1]) == 'x')
		*at += 2;
	for (digits = *at; *at < end && isxdigit(**at); ++*at) {
		value = value * 16 + (unsigned)(isdigit(**at) ? **at - '0' : tolower(**at) - 'a' + 10);
		if (value >> 64)
			return false;
	}
	if (*at == digits || *at == end || (**at != ' ' && **at != '\t'))
		return false;
	while (*at < end && (**at == ' ' || **at == '\t'))
		++*at;
	*ret = (uint64_t)value;
	return true;
}

/* The last whole line that covers the address. */
static struct perf_map_hit
read_slowly(const uint8_t *text, size_t size, uint64_t address)
{
	struct perf_map_hit hit = {0};

	for (const uint8_t *line = text, *end; (end = memchr(line, '\n', (size_t)(text + size - line)));
	     line = end + 1) {
		const uint8_t *at = line, *limit = end;
		uint64_t start, length;

		if ((size_t)(end - line) >= FILE_WINDOW_BYTES)
			continue;
		if (limit > line && limit[-1] == '\r')
			limit--;
		if (!take_number(&at, limit, &start) || !take_number(&at, limit, &length) || at == limit ||
		    length > UINT64_MAX - start || address < start || address - start >= length)
			continue;
		hit = (struct perf_map_hit){.name_at = (uint64_t)(at - text),
					    .name_size = (size_t)(limit - at)};
	}
	return hit;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct file_window window;
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t first = cursor_u64(&in), distance = cursor_u8(&in), addresses[ADDRESSES];
	size_t padding = cursor_u16(&in), count = 0;

	if (in.failed)
		return 0;
	while (count < ADDRESSES && (count == 0 || first + count * distance > addresses[count - 1])) {
		addresses[count] = first + count * distance;
		count++;
	}
	size = padding + cursor_left(&in);
	uint8_t *text = malloc(size + 1);
	memset(text, '#', padding); /* a line of its own, or so long that none can begin with it */
	if (padding > 0 && padding < UINT16_MAX)
		text[padding - 1] = '\n';
	if (cursor_left(&in) > 0)
		memcpy(text + padding, in.at, cursor_left(&in));
	int fd = memfd_create("map", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, text, size) == (ssize_t)size);

	struct file_budget budget = {.bytes_left = 64 << 20};
	struct perf_map_hit hits[ADDRESSES] = {0};
	file_window_open(&window, fd, &budget);
	perf_map_find(&window, addresses, count, hits);
	CHECK(!budget.is_exceeded && budget.bytes_left <= 64 << 20);
	for (size_t i = 0; i < count; i++) {
		struct perf_map_hit slow = read_slowly(text, size, addresses[i]);

		CHECK(hits[i].name_at == slow.name_at && hits[i].name_size == slow.name_size);
		CHECK(hits[i].name_at <= size && hits[i].name_size <= size - hits[i].name_at);
	}
	close(fd);
	free(text);
	return 0;
}
