/* capabilities(7) as two functions without a side effect. */

#include "launcher/audit/file_capability.h"

#include "launcher/audit/process_status.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

int
file_capability_decode(const void *attribute, size_t size, struct file_capability *ret)
{
	struct vfs_ns_cap_data data = {0};

	if (size < sizeof(data.magic_etc) || size > sizeof(data))
		return -EBADMSG;
	memcpy(&data, attribute, size);
	uint32_t magic = le32toh(data.magic_etc);
	uint32_t revision = magic & VFS_CAP_REVISION_MASK;
	bool is_expected = (revision == VFS_CAP_REVISION_2 && size == XATTR_CAPS_SZ_2) ||
			   (revision == VFS_CAP_REVISION_3 && size == XATTR_CAPS_SZ_3);
	if (!is_expected)
		return -EBADMSG;
	*ret = (struct file_capability){
		.permitted = le32toh(data.data[0].permitted) | (uint64_t)le32toh(data.data[1].permitted)
								       << 32,
		.inheritable = le32toh(data.data[0].inheritable) | (uint64_t)le32toh(data.data[1].inheritable)
									   << 32,
		.effective = magic & VFS_CAP_FLAGS_EFFECTIVE,
		.root_uid = le32toh(data.rootid),
	};
	return 0;
}

struct file_capability_text
file_capability_text(const struct file_capability *capability)
{
	struct file_capability_text text;

	snprintf(text.text, sizeof(text.text), "%s=%s%s%s",
		 capability_names(capability->permitted | capability->inheritable).text,
		 capability->effective ? "e" : "", capability->inheritable ? "i" : "",
		 capability->permitted ? "p" : "");
	return text;
}

static bool
file_gives(const struct opener_origin *origin)
{
	return !origin->is_nosuid && !origin->is_foreign_namespace;
}

uint64_t
opener_capabilities(const struct opener_origin *origin)
{
	bool becomes_root = origin->is_root || (origin->is_set_uid_root && file_gives(origin));
	uint64_t gained;

	if (origin->is_foreign_namespace)
		return 0; /* whatever it holds there, perf asks for it in the machine's namespace */
	if (becomes_root)
		gained = origin->bounding | origin->inheritable;
	else if (origin->has_file_capability && file_gives(origin))
		gained = (origin->file.permitted & origin->bounding) |
			 (origin->file.inheritable & origin->inheritable);
	else
		gained = origin->ambient;
	return origin->no_new_privs ? gained & origin->permitted : gained;
}

bool
opener_exec_fails(const struct opener_origin *origin)
{
	if (!origin->has_file_capability || !origin->file.effective || !file_gives(origin) ||
	    origin->is_root || origin->is_set_uid_root)
		return false;
	uint64_t gained = (origin->file.permitted & origin->bounding) |
			  (origin->file.inheritable & origin->inheritable);
	return (origin->file.permitted & ~gained) != 0;
}
