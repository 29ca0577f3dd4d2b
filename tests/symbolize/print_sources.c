/* Prints what our reader knows about addresses of a file, in llvm-symbolizer's form: per frame the linkage
 * name and "path:line", innermost first, and an empty line after each address. Addresses come in hexadecimal,
 * one a line, on standard input; the cost goes to standard error. A tool of the comparison and the benchmark.
 */
#include "worker/symbolize/debug_info.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/symbols.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ADDRESSES_MAX = 1 << 20 };

static uint64_t asked[ADDRESSES_MAX], sorted[ADDRESSES_MAX];

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

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

int
main(int argc, char **argv)
{
	struct debug_budget budget = {.work_left = UINT64_MAX, .inflated_left = SIZE_MAX};
	struct arena arena = {.limit = SIZE_MAX};
	struct source_location *locations = calloc(ADDRESSES_MAX, sizeof(*locations));
	struct debug_info *info;
	struct rusage usage;
	struct elf_source *source;
	struct symbols *symbols = NULL;
	size_t count = 0, unique = 0;
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	int alternate = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	double start;

	while (count < ADDRESSES_MAX && scanf("%" SCNx64, &asked[count]) == 1)
		count++;
	memcpy(sorted, asked, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			sorted[unique++] = sorted[i];
	start = now_ms();
	int error = fd < 0 ? 1 : debug_info_open(fd, alternate, &budget, &info);
	if (!error)
		error = debug_info_find(info, sorted, unique, &arena, locations);
	if (error) {
		fprintf(stderr, "error %d\n", error);
		return 1;
	}
	double spent = now_ms() - start;
	if (elf_source_open(fd, &source) == 0)
		(void)symbols_new(source, &symbols);
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr, "addresses %zu ms %.3f peak_kb %ld work %" PRIu64 " inflated %zu\n", unique, spent,
		usage.ru_maxrss, UINT64_MAX - budget.work_left, SIZE_MAX - budget.inflated_left);
	for (size_t i = 0; i < count; i++) {
		uint64_t *at = bsearch(&asked[i], sorted, unique, sizeof(*sorted), compare);

		print(&locations[at - sorted], symbols ? symbols_find(symbols, asked[i]) : NULL);
	}
	symbols_free(symbols);
	debug_info_close(info);
	arena_destroy(&arena);
	free(locations);
	return 0;
}
