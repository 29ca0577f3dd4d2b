#include "worker/base/file_identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int
file_identity_of(int fd, struct file_identity *ret)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	*ret = (struct file_identity){
		.size_bytes = (uint64_t)status.st_size,
		.modified_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec,
	};
	return 0;
}

bool
file_identity_equal(const struct file_identity *one, const struct file_identity *other)
{
	return one->size_bytes == other->size_bytes && one->modified_ns == other->modified_ns;
}

int
file_identity_format(const struct file_identity *identity, size_t number, const char *path, char *ret,
		     size_t capacity)
{
	int length =
		snprintf(ret, capacity, FILE_IDENTITY_PREFIX "%zu=size:%" PRIu64 " modified:%" PRId64 " %s",
			 number, identity->size_bytes, identity->modified_ns, path);

	return length < 0 || (size_t)length >= capacity ? -ENOSPC : length;
}

bool
file_identity_parse(const char *comment, struct file_identity *ret, const char **ret_path)
{
	struct file_identity identity;
	int length = 0;

	if (sscanf(comment, FILE_IDENTITY_PREFIX "%*u=size:%" SCNu64 " modified:%" SCNd64 " %n",
		   &identity.size_bytes, &identity.modified_ns, &length) != 2 ||
	    length == 0 || comment[length] != '/')
		return false;
	*ret = identity;
	*ret_path = comment + length;
	return true;
}
