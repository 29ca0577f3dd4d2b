#pragma once
/* Files that have no build id, as a profile's comments describe those that were mapped. */

#include "worker/base/file_identity.h"
#include "worker/profile/arena.h"
#include "worker/profile/decode.h"

struct known_file;
struct known_files {
	struct known_file *list;
	size_t count;
};

/* Takes the comments out of the profile, whose strings must outlive *ret. 0 or -ENOMEM. */
int known_files_take(Perftools__Profiles__Profile *profile, struct arena *arena, struct known_files *ret);

/* Whether this is the one file that was mapped under that path. False when the profile does not know: nothing
 * is better than the names of another file. */
bool known_files_is(const struct known_files *files, const char *path, int fd);
