#include "worker/symbolize/source_batch.h"

#include "worker/symbolize/go_frames.h"

#include <errno.h>
#include <stdlib.h>

/* A million chains of two frames. */
#define RESULT_BYTES_MAX ((size_t)64 << 20)

static void
sift_down(uint64_t *heap, size_t at, size_t count)
{
	uint64_t value = heap[at];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && heap[child] < heap[child + 1])
			child++;
		if (value >= heap[child])
			break;
		heap[at] = heap[child];
	}
	heap[at] = value;
}

/* In place: glibc's qsort asks the kernel for the machine's memory, which our filter forbids. */
static void
sort(uint64_t *values, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(values, i - 1, count);
	for (size_t end = count; end > 1; end--) {
		uint64_t largest = values[0];

		values[0] = values[end - 1];
		values[end - 1] = largest;
		sift_down(values, 0, end - 1);
	}
}

static size_t
drop_repeats(uint64_t *values, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (kept == 0 || values[i] != values[kept - 1])
			values[kept++] = values[i];
	return kept;
}

/* 0: it can be filled. */
static int
start_batch(struct source_batch *batch, uint64_t *addresses, size_t count)
{
	*batch = (struct source_batch){.addresses = addresses, .arena.limit = RESULT_BYTES_MAX};
	sort(addresses, count);
	batch->count = drop_repeats(addresses, count);
	batch->locations = calloc(batch->count + 1, sizeof(*batch->locations));
	return batch->locations ? 0 : -ENOMEM;
}

static int
open_info(int fd, const struct module_files *files, struct debug_budget *budget, struct debug_info **ret)
{
	int error = files->debug_fd >= 0 ? debug_info_open(files->debug_fd, files, budget, ret) : -ENOENT;

	return error ? debug_info_open(fd, files, budget, ret) : 0;
}

void
source_batch_find(struct source_batch *batch, int fd, const struct module_files *files,
		  struct debug_budget *budget, uint64_t *addresses, size_t count)
{
	struct debug_info *info = NULL;
	int error = start_batch(batch, addresses, count);

	if (!error)
		error = open_info(fd, files, budget, &info);
	if (!error)
		error = debug_info_find(info, addresses, batch->count, &batch->arena, batch->locations);
	debug_info_close(info);
	if (error == -ENOMEM || error == -ERANGE)
		budget->is_exceeded = true;
}

void
source_batch_add_go(struct source_batch *batch, struct go_pclntab *go, struct debug_budget *budget)
{
	int error = 0;

	for (size_t i = 0; batch->locations && i < batch->count && !error; i++)
		if (batch->locations[i].count == 0)
			error = go_frames_find(go, batch->addresses[i], budget, &batch->arena,
					       &batch->locations[i]);
	if (error)
		budget->is_exceeded = true;
}

void
source_batch_destroy(struct source_batch *batch)
{
	arena_destroy(&batch->arena);
	free(batch->addresses);
	free(batch->locations);
	*batch = (struct source_batch){0};
}

const struct source_location *
source_batch_at(const struct source_batch *batch, uint64_t address)
{
	size_t low = 0, high = batch->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (batch->addresses[middle] == address)
			return batch->locations && batch->locations[middle].count ? &batch->locations[middle]
										  : NULL;
		if (batch->addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
