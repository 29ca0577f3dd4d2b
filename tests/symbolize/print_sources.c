/* Prints what our reader knows about addresses of a file, in llvm-symbolizer's form: per frame the linkage
 * name and "path:line", innermost first, and an empty line after each address. Addresses come in hexadecimal,
 * one a line, on standard input; the cost goes to standard error. With a second argument it stays within the
 * budget of a profile. A tool of the comparison and the benchmark.
 */
#include "worker/base/debug_paths.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/module_names.h"
#include "worker/symbolize/source_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 1 << 20 };

static uint64_t asked[ADDRESSES_MAX];

static double
now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* As the symbolizer does: a function of its own has its symbol's name, if it has one. */
static void
print(const struct source_location *location, const char *symbol)
{
	if (location->count == 0)
		printf("%s\n??:0\n", symbol ? symbol : "??");
	for (size_t i = 0; i < location->count; i++) {
		const struct source_frame *frame = &location->frames[i];

		const char *name = i + 1 == location->count && symbol ? symbol : frame->function;

		printf("%s\n%s:%" PRIu32 "\n", name ? name : "??", frame->file ? frame->file : "??",
		       frame->line);
	}
	printf("\n");
}

/* As the supervisor does, for who may open everything. */
static int
open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate)
{
	char path[MAX_PATH_BYTES + DEBUG_NAME_MAX + 64];

	(void)context;
	for (uint32_t i = request->first_candidate; i < DEBUG_PLACES; i++) {
		int fd = debug_request_is_sane(request) && debug_path_format(request, request->module.path, i,
									     sizeof(path), path) == 0
				 ? open(path, O_RDONLY | O_CLOEXEC)
				 : -1;

		*ret_candidate = i;
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

static size_t
read_addresses(void)
{
	size_t count = 0;

	while (count < ADDRESSES_MAX && scanf("%" SCNx64, &asked[count]) == 1)
		count++;
	return count;
}

int
main(int argc, char **argv)
{
	static const struct file_finder finder = {.open_debug = open_debug};
	static const struct source_location unknown;
	struct debug_budget budget = {
		.work_left = UINT64_MAX, .inflated_left = SIZE_MAX, .files_left = UINT_MAX};
	struct source_batch batch;
	struct module_names *names;
	struct elf_source *source;
	struct rusage usage;
	char *path = argc > 1 ? realpath(argv[1], NULL) : NULL;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	size_t count = read_addresses();
	uint64_t *addresses = calloc(count + 1, sizeof(*addresses));

	if (fd < 0 || !addresses || elf_source_open(fd, &source) != 0 ||
	    module_names_open(source, path, "", &finder, &names) != 0)
		return 1;
	if (argc > 2)
		budget = DEBUG_BUDGET;
	uint64_t work = budget.work_left;
	unsigned files = budget.files_left;
	memcpy(addresses, asked, count * sizeof(*addresses));
	double start = now_ms();
	source_batch_find(&batch, fd, module_names_files(names), &budget, addresses, count);
	if (module_names_go(names))
		source_batch_add_go(&batch, module_names_go(names), &budget);
	double spent = now_ms() - start;
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr, "addresses %zu ms %.3f peak_kb %ld work %" PRIu64 " files %u%s\n", batch.count, spent,
		usage.ru_maxrss, work - budget.work_left, files - budget.files_left,
		budget.is_exceeded ? " exceeded" : "");
	for (size_t i = 0; i < count; i++) {
		const struct source_location *location = source_batch_at(&batch, asked[i]);

		print(location ? location : &unknown, module_names_find(names, asked[i]));
	}
	source_batch_destroy(&batch);
	module_names_close(names);
	free(path);
	close(fd);
	return 0;
}
