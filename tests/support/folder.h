#pragma once
/* A folder of one test, with whatever is put in it, gone at its end. */

struct test_folder {
	char path[64];
	int fd;
};

void test_folder_make(struct test_folder *ret);
void test_folder_remove(struct test_folder *folder);

/* Writes a file below the folder, making the folders on the way. */
void test_folder_put(const struct test_folder *folder, const char *name, const char *text);

/* Names in the folder itself, sorted, each followed by a newline; `ret` holds 4096 bytes. */
const char *test_folder_list(const struct test_folder *folder, char *ret);
