#include "worker/symbolize/jit_batch.h"

#include "ipc/text.h"
#include "worker/symbolize/address_list.h"
#include "worker/symbolize/jitdump.h"
#include "worker/symbolize/perf_map.h"

#include <errno.h>
#include <stdlib.h>

#define NAMES_BYTES_MAX ((size_t)64 << 20)
#define NAME_BYTES_MAX 4096 /* what is longer is cut */
#define NAME_BYTES_USUAL 256

/* Neighbours mostly have the same. */
struct last_name {
	uint64_t at; /* in the file; 0: none yet */
	const char *text;
};

/* NULL: out of memory, or not there any more. */
static const char *
copy_name(struct jit_batch *batch, struct file_window *window, uint64_t at, size_t size)
{
	struct cursor bytes = file_window_at(window, at, size);
	size_t length =
		strnlen((const char *)bytes.at, cursor_left(&bytes) < size ? cursor_left(&bytes) : size);
	char *name = length ? arena_allocate(&batch->arena, length + 1) : NULL;

	if (name)
		memcpy(name, bytes.at, length);
	return name;
}

static const char *
name_of_size(struct jit_batch *batch, struct file_window *window, struct last_name *last, uint64_t at,
	     size_t size)
{
	if (at != last->at)
		*last = (struct last_name){
			at, copy_name(batch, window, at, size < NAME_BYTES_MAX ? size : NAME_BYTES_MAX)};
	return last->text;
}

static const char *
terminated_name(struct jit_batch *batch, struct file_window *window, struct last_name *last, uint64_t at)
{
	struct cursor bytes = file_window_at(window, at, NAME_BYTES_USUAL);
	bool is_short = memchr(bytes.at, 0, cursor_left(&bytes)) != NULL;

	return name_of_size(batch, window, last, at, is_short ? cursor_left(&bytes) : NAME_BYTES_MAX);
}

/* ENOMEM and what the budget cut off look the same to who asks. */
static void
ask_dump(struct jit_batch *batch, struct file_window *window)
{
	struct jitdump_hit *hits = calloc(batch->count, sizeof(*hits));
	struct last_name function = {0}, file = {0};

	if (!hits || jitdump_find(window, batch->addresses, batch->count, hits) == -ENOMEM)
		window->budget->is_exceeded = true;
	for (size_t i = 0; hits && i < batch->count; i++) {
		struct source_frame *frame = &batch->frames[i];

		if (!hits[i].name_at)
			continue;
		frame->function = terminated_name(batch, window, &function, hits[i].name_at);
		if (!frame->function || !hits[i].file_at)
			continue;
		frame->file = terminated_name(batch, window, &file, hits[i].file_at);
		/* node 20 writes freed memory there */
		if (frame->file && !text_is_printable(frame->file, strlen(frame->file)))
			frame->file = NULL;
		frame->line = frame->file ? hits[i].line : 0;
	}
	free(hits);
}

static void
ask_map(struct jit_batch *batch, struct file_window *window)
{
	struct perf_map_hit *hits = calloc(batch->count, sizeof(*hits));
	struct last_name name = {0};

	if (hits)
		perf_map_find(window, batch->addresses, batch->count, hits);
	else
		window->budget->is_exceeded = true;
	for (size_t i = 0; hits && i < batch->count; i++)
		if (hits[i].name_size > 0 && !batch->frames[i].function)
			batch->frames[i].function =
				name_of_size(batch, window, &name, hits[i].name_at, hits[i].name_size);
	free(hits);
}

void
jit_batch_find(struct jit_batch *batch, int map_fd, int dump_fd, struct file_budget *budget,
	       uint64_t *addresses, size_t count)
{
	struct file_window *window = malloc(sizeof(*window));

	*batch = (struct jit_batch){.addresses = addresses, .arena.limit = NAMES_BYTES_MAX};
	batch->frames = calloc(count + 1, sizeof(*batch->frames));
	if (batch->frames)
		batch->count = address_list_sort(addresses, count);
	if (batch->count && window && dump_fd >= 0) {
		file_window_open(window, dump_fd, budget);
		ask_dump(batch, window);
	}
	if (batch->count && window && map_fd >= 0) {
		file_window_open(window, map_fd, budget);
		ask_map(batch, window);
	}
	budget->is_exceeded |= !batch->frames || !window || batch->arena.exhausted;
	free(window);
}

void
jit_batch_destroy(struct jit_batch *batch)
{
	arena_destroy(&batch->arena);
	free(batch->addresses);
	free(batch->frames);
	*batch = (struct jit_batch){0};
}

const struct source_frame *
jit_batch_at(const struct jit_batch *batch, uint64_t address)
{
	size_t index;

	return address_list_find(batch->addresses, batch->count, address, &index) &&
			       batch->frames[index].function
		       ? &batch->frames[index]
		       : NULL;
}
