/* A fuzz target without a fuzzer: runs every file of the folders given, and names each one that it does not
 * survive. The files are run in a child; when it dies, another goes on behind the file. */

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_PER_FILE 10 /* a file that takes longer hangs */

struct progress {
	size_t next; /* the file being run, or the first one that was not */
};

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static void
run_file(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		fail(path);
	uint8_t *bytes = malloc((size_t)status.st_size); /* exactly: a sanitizer sees a read beyond */
	if (status.st_size > 0 && (!bytes || read(fd, bytes, (size_t)status.st_size) != status.st_size))
		fail(path);
	close(fd);
	alarm(SECONDS_PER_FILE);
	(void)LLVMFuzzerTestOneInput(bytes, (size_t)status.st_size);
	free(bytes);
}

static void
run_rest(struct dirent **files, size_t count, struct progress *progress)
{
	for (; progress->next < count; progress->next++)
		run_file(files[progress->next]->d_name);
}

static int
is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* How many files failed. */
static size_t
run_folder(const char *folder, struct progress *progress, size_t *ret_count)
{
	struct dirent **files = NULL;
	size_t failures = 0;
	int count = scandir(folder, &files, is_file, alphasort), status;

	if (count < 0 || chdir(folder) < 0)
		fail(folder);
	for (progress->next = 0; progress->next < (size_t)count; progress->next++) {
		pid_t child = fork();

		if (child == 0) {
			run_rest(files, (size_t)count, progress);
			exit(0); /* not _exit(): the sanitizer looks for leaks */
		}
		if (child < 0 || waitpid(child, &status, 0) < 0)
			fail("child");
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		bool at_end = progress->next == (size_t)count;
		printf("FAILED: %s (status 0x%x)\n", at_end ? "memory leaked" : files[progress->next]->d_name,
		       (unsigned)status);
		fflush(stdout);
		failures++;
	}
	*ret_count += (size_t)count;
	while (count > 0)
		free(files[--count]);
	free(files);
	return failures;
}

int
main(int argc, char **argv)
{
	struct progress *progress =
		mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t count = 0, failures = 0;
	int start = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (progress == MAP_FAILED || start < 0)
		fail("start");
	for (int i = 1; i < argc && fchdir(start) == 0; i++)
		failures += run_folder(argv[i], progress, &count);
	printf("%zu files, %zu failed\n", count, failures);
	close(start);
	return failures > 0 || count == 0; /* no files: nothing was shown */
}
