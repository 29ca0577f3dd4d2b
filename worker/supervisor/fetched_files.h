#pragma once
/* Debug files that came from a debuginfod server, by build id, and what is known not to be there. They live
 * in memory (memfds), so there are limits: the file that was used least recently goes first. */

#include <stddef.h>
#include <stdint.h>

#define FETCHED_FILES_MAX 32
#define FETCHED_BYTES_MAX ((uint64_t)256 << 20) /* of all files; the exporter refuses a larger one */
#define FETCHED_MISSING_MAX 256
#define FETCHED_MISSING_MS (60 * 60 * 1000) /* then it is asked for again: packages get published */
#define FETCHED_FAILED_MS (60 * 1000)       /* the server could not be reached */

struct fetched_files;

struct fetched_files *fetched_files_new(void); /* NULL: out of memory */
void fetched_files_free(struct fetched_files *files);

/* `build_id` is lower-case hex, at most 2 * MAX_BUILD_ID. A borrowed descriptor; -ENOENT: known to be
 * missing; -EAGAIN: nobody has asked. `now_ms` is CLOCK_MONOTONIC. */
int fetched_files_find(struct fetched_files *files, const char *build_id, int64_t now_ms);

/* Takes the descriptor of a file of `size` bytes. Others make room for it. */
void fetched_files_put(struct fetched_files *files, const char *build_id, int fd, uint64_t size);

/* Not to be had until then. */
void fetched_files_put_missing(struct fetched_files *files, const char *build_id, int64_t until_ms);
