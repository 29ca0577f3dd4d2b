#include "worker/symbolize/source_batch.h"

#include "worker/symbolize/address_list.h"
#include "worker/symbolize/go_frames.h"

#include <errno.h>
#include <stdlib.h>

/* A million chains of two frames. */
#define RESULT_BYTES_MAX ((size_t)64 << 20)

/* 0: it can be filled. */
static int
start_batch(struct source_batch *batch, uint64_t *addresses, size_t count)
{
	*batch = (struct source_batch){.addresses = addresses, .arena.limit = RESULT_BYTES_MAX};
	batch->count = address_list_sort(addresses, count);
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
	size_t index;

	if (!batch->locations || !address_list_find(batch->addresses, batch->count, address, &index))
		return NULL;
	return batch->locations[index].count ? &batch->locations[index] : NULL;
}
