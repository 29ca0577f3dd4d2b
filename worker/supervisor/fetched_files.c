/* Two short arrays, searched from end to end: there are a few hundred entries, looked at when a profile is
 * named. */

#include "worker/supervisor/fetched_files.h"

#include "ipc/fd.h"
#include "ipc/protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES (2 * MAX_BUILD_ID + 1)

struct fetched {
	char build_id[ID_BYTES];
	int fd;
	uint64_t size, last_used;
};

struct missing {
	char build_id[ID_BYTES]; /* "": unused */
	int64_t until_ms;
};

struct fetched_files {
	struct fetched file[FETCHED_FILES_MAX];
	size_t count;
	uint64_t bytes, uses;
	struct missing missing[FETCHED_MISSING_MAX];
	size_t next_missing; /* to be overwritten */
};

struct fetched_files *
fetched_files_new(void)
{
	return calloc(1, sizeof(struct fetched_files));
}

static void
forget(struct fetched_files *files, size_t index)
{
	close_fd(&files->file[index].fd);
	files->bytes -= files->file[index].size;
	files->file[index] = files->file[--files->count];
}

void
fetched_files_free(struct fetched_files *files)
{
	while (files && files->count > 0)
		forget(files, 0);
	free(files);
}

static struct fetched *
find_file(struct fetched_files *files, const char *build_id)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->file[i].build_id, build_id) == 0)
			return &files->file[i];
	return NULL;
}

static struct missing *
find_missing(struct fetched_files *files, const char *build_id)
{
	for (size_t i = 0; i < FETCHED_MISSING_MAX; i++)
		if (strcmp(files->missing[i].build_id, build_id) == 0)
			return &files->missing[i];
	return NULL;
}

int
fetched_files_find(struct fetched_files *files, const char *build_id, int64_t now_ms)
{
	struct fetched *file = find_file(files, build_id);

	if (file) {
		file->last_used = ++files->uses;
		return file->fd;
	}
	const struct missing *missing = find_missing(files, build_id);
	return missing && now_ms < missing->until_ms ? -ENOENT : -EAGAIN;
}

static void
make_room(struct fetched_files *files, uint64_t size)
{
	while (files->count == FETCHED_FILES_MAX ||
	       (files->count > 0 && files->bytes + size > FETCHED_BYTES_MAX)) {
		size_t oldest = 0;

		for (size_t i = 1; i < files->count; i++)
			if (files->file[i].last_used < files->file[oldest].last_used)
				oldest = i;
		forget(files, oldest);
	}
}

void
fetched_files_put(struct fetched_files *files, const char *build_id, int fd, uint64_t size)
{
	struct fetched *known = find_file(files, build_id);

	if (known)
		forget(files, (size_t)(known - files->file));
	make_room(files, size);
	struct fetched *file = &files->file[files->count++];
	*file = (struct fetched){.fd = fd, .size = size, .last_used = ++files->uses};
	strncpy(file->build_id, build_id, ID_BYTES - 1);
	files->bytes += size;
}

void
fetched_files_put_missing(struct fetched_files *files, const char *build_id, int64_t until_ms)
{
	struct missing *missing = find_missing(files, build_id);

	if (!missing) {
		missing = &files->missing[files->next_missing];
		files->next_missing = (files->next_missing + 1) % FETCHED_MISSING_MAX;
	}
	*missing = (struct missing){.until_ms = until_ms};
	strncpy(missing->build_id, build_id, ID_BYTES - 1);
}
