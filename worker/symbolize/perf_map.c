#include "worker/symbolize/perf_map.h"

#include "worker/symbolize/address_list.h"

#include <sys/stat.h>

struct line {
	uint64_t start, size;
	const uint8_t *name;
	size_t name_size;
};

static int
hex_digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character |= 'a' ^ 'A';
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static void
skip_blanks(struct cursor *line)
{
	while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
		line->at++;
}

/* A number and the blanks that end it. */
static uint64_t
take_hex(struct cursor *line)
{
	uint64_t value = 0;
	size_t digits = 0;

	if (cursor_left(line) >= 2 && line->at[0] == '0' && (line->at[1] | 0x20) == 'x')
		line->at += 2;
	for (int digit; line->at < line->end && (digit = hex_digit(*line->at)) >= 0; line->at++) {
		if (value >> 60)
			cursor_fail(line);
		value = value << 4 | (uint64_t)digit;
		digits++;
		if (line->failed)
			return 0;
	}
	if (digits == 0 || line->at == line->end || (*line->at != ' ' && *line->at != '\t'))
		cursor_fail(line);
	skip_blanks(line);
	return value;
}

static bool
parse_line(const uint8_t *at, const uint8_t *end, struct line *ret)
{
	struct cursor line = {.at = at, .end = end};

	if (line.end > line.at && line.end[-1] == '\r')
		line.end--;
	ret->start = take_hex(&line);
	ret->size = take_hex(&line);
	ret->name = line.at;
	ret->name_size = cursor_left(&line);
	return !line.failed && ret->name_size > 0 && ret->size <= UINT64_MAX - ret->start;
}

static void
apply(struct file_budget *budget, const struct line *line, uint64_t name_at, const uint64_t *addresses,
      size_t count, struct perf_map_hit *hits)
{
	size_t first, covered;

	(void)address_list_find(addresses, count, line->start, &first);
	covered = address_list_count(addresses, count, first, line->start, line->size);
	if (!file_budget_spend(budget, covered * sizeof(*hits)))
		return;
	for (size_t i = first; i < first + covered; i++)
		hits[i] = (struct perf_map_hit){.name_at = name_at, .name_size = line->name_size};
}

/* Where to begin; what is there is mostly the middle of a line. */
static uint64_t
start_of_end(const struct file_window *window)
{
	struct stat status;
	uint64_t left = window->budget->bytes_left;
	/* a block may cost a little more than its bytes */
	uint64_t readable = left - left / 64;

	if (fstat(window->fd, &status) < 0 || (uint64_t)status.st_size <= readable)
		return 0;
	window->budget->is_exceeded = true;
	return (uint64_t)status.st_size - readable;
}

void
perf_map_find(struct file_window *window, const uint64_t *addresses, size_t count,
	      struct perf_map_hit *ret_hits)
{
	uint64_t offset = start_of_end(window);
	bool is_whole = offset == 0; /* the line that begins there */
	struct line line;

	for (;;) {
		struct cursor block = file_window_at(window, offset, FILE_WINDOW_BYTES);
		const uint8_t *begin = block.at, *end;

		while ((end = memchr(block.at, '\n', cursor_left(&block)))) {
			if (is_whole && parse_line(block.at, end, &line))
				apply(window->budget, &line, offset + (uint64_t)(line.name - begin),
				      addresses, count, ret_hits);
			block.at = end + 1;
			is_whole = true;
		}
		/* a last line without its end is still being written; one longer than a block is none */
		if (block.end - begin < FILE_WINDOW_BYTES)
			return;
		if (block.at == begin) {
			is_whole = false;
			block.at = block.end;
		}
		offset += (uint64_t)(block.at - begin);
	}
}
