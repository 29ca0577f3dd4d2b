#include "worker/symbolize/known_files.h"

#include <errno.h>
#include <string.h>

struct known_file {
	struct file_identity identity;
	const char *path;
};

int
known_files_take(Perftools__Profiles__Profile *profile, struct arena *arena, struct known_files *ret)
{
	size_t left = 0;

	*ret = (struct known_files){
		.list = arena_allocate_array(arena, profile->n_comment, sizeof(*ret->list))};
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < profile->n_comment; i++) {
		struct known_file *file = &ret->list[ret->count];

		if (file_identity_parse(pprof_string(profile, profile->comment[i]), &file->identity,
					&file->path))
			ret->count++;
		else
			profile->comment[left++] = profile->comment[i];
	}
	profile->n_comment = left;
	return 0;
}

bool
known_files_is(const struct known_files *files, const char *path, int fd)
{
	struct file_identity identity;
	size_t same_path = 0;
	bool is_same = false;

	if (file_identity_of(fd, &identity) < 0)
		return false;
	for (size_t i = 0; i < files->count; i++) {
		if (strcmp(files->list[i].path, path) != 0)
			continue;
		same_path++;
		is_same = file_identity_equal(&files->list[i].identity, &identity);
	}
	return same_path == 1 && is_same; /* of two, nobody knows whose address it is */
}
