#include "worker/symbolize/file_window.h"

#include <unistd.h>

#define READ_COST 512 /* of a read, whatever it brings */
#define LEAP_BYTES 512

bool
file_budget_spend(struct file_budget *budget, uint64_t bytes)
{
	bool is_enough = bytes <= budget->bytes_left;

	budget->is_exceeded |= !is_enough;
	budget->bytes_left -= is_enough ? bytes : budget->bytes_left;
	return is_enough;
}

void
file_window_open(struct file_window *window, int fd, struct file_budget *budget)
{
	window->fd = fd;
	window->budget = budget;
	window->start = window->size = 0;
}

static void
fill(struct file_window *window, uint64_t offset, size_t wanted)
{
	struct file_budget *budget = window->budget;
	bool is_next = offset >= window->start && offset - window->start <= window->size;
	size_t left = is_next ? sizeof(window->bytes) : wanted > LEAP_BYTES ? wanted : LEAP_BYTES;

	window->start = offset;
	window->size = 0;
	if (offset > INT64_MAX - sizeof(window->bytes))
		return;
	while (left > 0) {
		if (budget->bytes_left <= READ_COST) {
			budget->is_exceeded = true;
			return;
		}
		if (left > budget->bytes_left - READ_COST)
			left = budget->bytes_left - READ_COST;
		ssize_t got =
			pread(window->fd, window->bytes + window->size, left, (off_t)(offset + window->size));
		if (got <= 0)
			return;
		budget->bytes_left -= READ_COST + (size_t)got;
		window->size += (size_t)got;
		left -= (size_t)got;
	}
}

struct cursor
file_window_at(struct file_window *window, uint64_t offset, size_t wanted)
{
	uint64_t skipped = offset - window->start;

	if (offset < window->start || skipped > window->size || window->size - skipped < wanted) {
		fill(window, offset, wanted);
		skipped = 0;
	}
	return cursor_over(window->bytes + skipped, window->size - skipped);
}
