#include "worker/symbolize/section_window.h"

static bool
fill(struct section_window *window, uint64_t offset)
{
	uint64_t left = window->region.size - offset;

	window->filled = 0;
	window->start = offset;
	if (left > SECTION_WINDOW_SIZE)
		left = SECTION_WINDOW_SIZE;
	if (!elf_source_read(window->source, window->region.offset + offset, window->bytes, (size_t)left))
		return false;
	window->filled = (size_t)left;
	return true;
}

struct cursor
section_window_cursor(struct section_window *window, uint64_t offset, size_t size_max)
{
	uint64_t left = offset < window->region.size ? window->region.size - offset : 0;
	size_t size = left < size_max ? (size_t)left : size_max;
	struct cursor cursor;

	if (size == 0 || ((offset < window->start || offset - window->start > window->filled ||
			   size > window->filled - (offset - window->start)) &&
			  !fill(window, offset))) {
		cursor = cursor_over("", 0);
		cursor_fail(&cursor);
		return cursor;
	}
	return cursor_over(window->bytes + (offset - window->start), size);
}

const char *
section_window_text(struct section_window *window, uint64_t offset)
{
	/* Most are short, and near the one before. */
	for (size_t size = 256; size <= SECTION_WINDOW_SIZE; size *= 4) {
		struct cursor in = section_window_cursor(window, offset, size);

		if (memchr(in.at, '\0', cursor_left(&in)))
			return (const char *)in.at;
	}
	return NULL;
}
