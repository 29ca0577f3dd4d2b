/* stat(2), twice. */

#include "worker/export/watched_files.h"

#include <string.h>
#include <sys/stat.h>

struct watched_file
watched_file_now(const char *path, enum watched_for what)
{
	struct watched_file file = {.what = what};
	struct stat status;

	if (strlen(path) < sizeof(file.path))
		strcpy(file.path, path);
	if (stat(file.path, &status) < 0)
		return file;
	file.exists = true;
	file.device = status.st_dev;
	file.inode = status.st_ino;
	file.changed_ns = status.st_mtim.tv_sec * 1000000000ll + status.st_mtim.tv_nsec;
	file.size = status.st_size;
	return file;
}

bool
watched_file_is_outdated(const struct watched_file *file)
{
	struct watched_file now = watched_file_now(file->path, file->what);

	if (now.exists != file->exists || now.device != file->device || now.inode != file->inode)
		return true;
	return file->what == WATCHED_FOR_CHANGE &&
	       (now.changed_ns != file->changed_ns || now.size != file->size);
}
