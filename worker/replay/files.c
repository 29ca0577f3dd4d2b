/* Paths come out of the recording: what they name may be anything, so nothing is opened that could hold us
 * up or be changed by opening it. */

#include "worker/replay/files.h"

#include "ipc/fd.h"
#include "worker/base/debug_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_below_root(const struct replay_files *files, const char *path, struct stat *ret_status)
{
	char name[2 * MAX_PATH_BYTES];

	if (path[0] != '/' || (size_t)snprintf(name, sizeof(name), "%s%s", files->root, path) >= sizeof(name))
		return -EINVAL;
	OWNED_FD fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, ret_status) < 0)
		return -errno;
	return S_ISREG(ret_status->st_mode) ? take_fd(&fd) : -EINVAL;
}

int
replay_files_open(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	struct replay_files *files = context;
	struct stat status;

	*ret_candidate = 0;
	if (request->first_candidate > 0)
		return -ESTALE; /* there is one place only, and what is there is another file */
	if (files->open >= files->max_open)
		return -EMFILE;
	OWNED_FD fd = open_below_root(files, request->path, &status);
	if (fd < 0)
		return fd;
	if (request->build_id_size == 0 && !files->root[0] && status.st_ino != request->inode)
		return -ESTALE;
	files->open++;
	return take_fd(&fd);
}

int
replay_files_open_module(void *context, const char *path, const char *build_id)
{
	struct stat status;

	(void)build_id; /* compared by the caller */
	return open_below_root(context, path, &status);
}

int
replay_files_open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate)
{
	char path[MAX_PATH_BYTES + DEBUG_NAME_MAX + 64];
	struct stat status;

	if (!debug_request_is_sane(request) || request->module.path[0] != '/')
		return -EINVAL;
	for (uint32_t i = request->first_candidate; i < DEBUG_PLACES; i++) {
		if (debug_path_format(request, request->module.path, i, sizeof(path), path) < 0)
			continue;
		int fd = open_below_root(context, path, &status);
		if (fd >= 0) {
			*ret_candidate = i;
			return fd;
		}
	}
	return -ENOENT;
}
