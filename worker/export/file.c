/* Compress in memory, write under a temporary name, rename: a reader never sees half a profile. */

#include "worker/export/file.h"

#include "ipc/fd.h"
#include "worker/base/memory_file.h"
#include "worker/export/compress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A temporary left by an exporter that was killed has our name; a link somebody put there is not followed. */
static int
create_temporary(int folder, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(folder, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(folder, name, 0) == 0)
		fd = openat(folder, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

/* `name` NULL: `otherwise` at once. The temporary's name is made of `otherwise`, which is ours alone. */
static int
put(int folder, const char *name, const char *otherwise, const uint8_t *bytes, size_t size,
    const char **ret_name)
{
	char temporary[300];

	snprintf(temporary, sizeof(temporary), ".%s.tmp", otherwise);
	OWNED_FD fd = create_temporary(folder, temporary);
	if (fd < 0)
		return fd;
	*ret_name = otherwise;
	int result = memory_file_write(fd, bytes, size);
	if (result == 0 && name && renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) == 0)
		*ret_name = name;
	else if (result == 0 && renameat(folder, temporary, folder, otherwise) < 0)
		result = -errno;
	if (result < 0)
		(void)unlinkat(folder, temporary, 0); /* the error that matters is the first */
	return result;
}

int
export_file_write(int folder, const char *name, const uint8_t *bytes, size_t size)
{
	const char *unused;

	return put(folder, NULL, name, bytes, size, &unused);
}

int
export_file_write_beside(int folder, const char *name, const char *otherwise, const uint8_t *bytes,
			 size_t size, const char **ret_name)
{
	return put(folder, name, otherwise, bytes, size, ret_name);
}

int
export_file(int folder, const char *name, int profile, uint64_t *ret_bytes)
{
	uint8_t *plain = NULL, *packed = NULL;
	size_t plain_size, packed_size = 0;
	int result = memory_file_read(profile, &plain, &plain_size);

	if (result == 0)
		result = compress_gzip(plain, plain_size, &packed, &packed_size);
	if (result == 0)
		result = export_file_write(folder, name, packed, packed_size);
	free(plain);
	free(packed);
	if (result == 0)
		*ret_bytes = packed_size;
	return result;
}
