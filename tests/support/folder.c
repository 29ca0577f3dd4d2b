/* mkdtemp, nftw and nothing clever. */

#include "tests/support/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void
test_folder_make(struct test_folder *ret)
{
	strcpy(ret->path, "/tmp/ddprof-test.XXXXXX");
	assert_non_null(mkdtemp(ret->path));
	ret->fd = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(ret->fd >= 0);
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

void
test_folder_remove(struct test_folder *folder)
{
	close(folder->fd);
	assert_int_equal(nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void
test_folder_put(const struct test_folder *folder, const char *name, const char *text)
{
	char path[4096];

	assert_true(strlen(name) < sizeof(path));
	strcpy(path, name);
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		(void)mkdirat(folder->fd, path, 0755); /* it may be there already */
		*slash = '/';
	}
	int fd = openat(folder->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

const char *
test_folder_list(const struct test_folder *folder, char *ret)
{
	struct dirent **names;
	int count = scandir(folder->path, &names, NULL, alphasort);

	assert_true(count >= 0);
	ret[0] = 0;
	for (int i = 0; i < count; i++) {
		if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
			assert_true(strlen(ret) + strlen(names[i]->d_name) + 2 < 4096);
			strcat(strcat(ret, names[i]->d_name), "\n");
		}
		free(names[i]);
	}
	free(names);
	return ret;
}
