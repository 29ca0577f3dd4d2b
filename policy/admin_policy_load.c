/* The policy that holds on this machine, read from where only root can have written it; and whom it lets in.
 */

#include "ipc/fd.h"
#include "policy/admin_policy.h"
#include "policy/owned_open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* `capacity` bytes or fewer, whatever the file does meanwhile. 0 or -errno. */
static int
read_all(int fd, char *ret, size_t capacity, size_t *ret_size)
{
	size_t size = 0;

	while (size < capacity) {
		ssize_t count = read(fd, ret + size, capacity - size);

		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		size += (size_t)count;
	}
	*ret_size = size;
	return 0;
}

/* In a user namespace that does not know root, "/" is nobody's: where there is no policy to protect, that is
 * no reason to refuse. */
static bool
is_absent(int root)
{
	OWNED_FD etc = openat(root, "etc", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (etc < 0)
		return errno == ENOENT;
	OWNED_FD folder = openat(etc, "ddprof", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return folder < 0 && errno == ENOENT;
}

/* ADMIN_POLICY_FILE, step by step. The descriptor or -errno. */
static int
open_file(int root, uid_t owner)
{
	if (is_absent(root))
		return -ENOENT;
	int result = owned_check(root, S_IFDIR, owner);

	if (result < 0)
		return result;
	OWNED_FD etc = owned_open(root, "etc", S_IFDIR, owner);
	if (etc < 0)
		return etc;
	OWNED_FD folder = owned_open(etc, "ddprof", S_IFDIR, owner);
	if (folder < 0)
		return folder;
	return owned_open(folder, "policy.conf", S_IFREG, owner);
}

int
admin_policy_load(int root, uid_t owner, struct admin_policy *ret, struct admin_policy_problem *ret_problem)
{
	char text[ADMIN_POLICY_MAX_BYTES + 1]; /* one more, to see that there is more */
	size_t size = 0;
	OWNED_FD file = open_file(root, owner);

	if (file == -ENOENT) {
		*ret = admin_policy_defaults;
		return 0;
	}
	int result = file < 0 ? file : read_all(file, text, sizeof(text), &size);
	if (result == 0 && size > ADMIN_POLICY_MAX_BYTES)
		result = -EFBIG;
	if (result < 0) {
		*ret_problem = (struct admin_policy_problem){.error = -result};
		return result;
	}
	return admin_policy_parse(text, size, root, owner, ret, ret_problem);
}

bool
admin_policy_allows_user(const struct admin_policy *policy, uid_t uid, const gid_t *groups,
			 size_t group_count)
{
	if (uid == 0 || policy->group_count == 0)
		return true;
	for (uint32_t i = 0; i < policy->group_count; i++)
		for (size_t j = 0; j < group_count; j++)
			if (policy->group[i] == groups[j])
				return true;
	return false;
}
