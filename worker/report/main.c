/* ddprof-report FILE...: where did the time go, without leaving the terminal. */
#include "ipc/text.h"
#include "worker/profile/decode.h"
#include "worker/report/account.h"
#include "worker/report/load.h"
#include "worker/report/table.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* Decoded, a message takes up to some ten times its bytes. */
#define DECODED_SIZE_MAX ((size_t)8 << 30)

struct options {
	size_t top;
	bool by_flat, by_cumulative;
	const char *sample_type;
};

static const char usage[] =
	"Usage: ddprof-report [OPTION]... FILE...\n"
	"Shows which functions a pprof profile spent its time in. Several files are added up.\n"
	"\n"
	"  -n, --top N             functions per table (default 20)\n"
	"  -s, --sort flat|cum     one table only (default: both)\n"
	"      --sample-type TYPE  what to count (default: cpu-time, else what the profile says)\n"
	"      --help              this text\n"
	"      --version\n"
	"\n"
	"flat is spent in the function itself, cum in it and in everything it calls.\n"
	"Files may be compressed with gzip or zstd.\n";

static int
usage_error(const char *message, const char *value)
{
	fprintf(stderr, "ddprof-report: %s%s; see ddprof-report --help\n", message, value);
	return EXIT_USAGE;
}

static bool
parse_top(const char *text, size_t *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value == 0)
		return false;
	*ret = value;
	return true;
}

/* 0: go on; else an exit code plus 1. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{"top", required_argument, NULL, 'n'},         {"sort", required_argument, NULL, 's'},
		{"sample-type", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},           {NULL, 0, NULL, 0},
	};

	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":n:s:", long_options, NULL)) != -1;) {
		switch (option) {
		case 'n':
			if (!parse_top(optarg, &options->top))
				return 1 + usage_error("--top wants a number above 0, not ", optarg);
			break;
		case 's':
			options->by_flat = strcmp(optarg, "flat") == 0;
			options->by_cumulative = strcmp(optarg, "cum") == 0;
			if (!options->by_flat && !options->by_cumulative)
				return 1 + usage_error("--sort wants flat or cum, not ", optarg);
			break;
		case 't':
			options->sample_type = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1 + EXIT_SUCCESS;
		case 'v':
			puts("ddprof-report " DDPROF_VERSION);
			return 1 + EXIT_SUCCESS;
		case ':':
			return 1 + usage_error("missing value after ", argv[optind - 1]);
		default:
			return 1 + usage_error("unknown option ", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return 1 + usage_error("no profile given", "");
	return 0;
}

/* A file name, or a name from a file, must not drive the terminal. */
static void
print_error(const char *text)
{
	char printable[4096];

	text_escape(printable, sizeof(printable), text, strlen(text));
	fputs(printable, stderr);
}

static int
file_error(const char *path, const char *reason)
{
	print_error("ddprof-report: ");
	print_error(path);
	print_error(": ");
	print_error(reason);
	fputc('\n', stderr);
	return EXIT_FAILURE;
}

static int
type_error(const char *path, const Perftools__Profiles__Profile *profile, const char *wanted)
{
	char reason[1024];
	size_t used =
		(size_t)snprintf(reason, sizeof(reason), "no sample type %.200s; choose one of:", wanted);

	for (size_t i = 0; i < profile->n_sample_type && used < sizeof(reason); i++)
		used += (size_t)snprintf(reason + used, sizeof(reason) - used, " %s",
					 pprof_string(profile, profile->sample_type[i]->type));
	return file_error(path, reason);
}

static int
add_profile(struct account *account, const char *path, const uint8_t *bytes, size_t size,
	    const struct options *options, struct arena *arena)
{
	Perftools__Profiles__Profile *profile;
	int error = pprof_decode(bytes, size, arena, &profile);

	if (error == -ENOMEM)
		return file_error(path, "out of memory; report fewer files at once");
	if (error)
		return file_error(path, "is not a pprof profile; name a file that ddprof-launch wrote");
	error = account_add(account, profile, options->sample_type);
	switch (error) {
	case 0:
		return EXIT_SUCCESS;
	case -ENOENT:
		return type_error(path, profile, options->sample_type ? options->sample_type : account->type);
	case -EINVAL:
		return file_error(path, "counts in another unit than the files before; report it alone");
	default:
		return file_error(path, "out of memory; report fewer files at once");
	}
}

static int
add_file(struct account *account, const char *path, const struct options *options)
{
	struct arena arena = {.limit = DECODED_SIZE_MAX};
	const char *reason;
	uint8_t *bytes;
	size_t size;
	int status;

	if (load_file(path, LOAD_SIZE_MAX, &bytes, &size, &reason) != 0)
		return file_error(path, reason);
	status = add_profile(account, path, bytes, size, options, &arena);
	arena_destroy(&arena);
	free(bytes);
	return status;
}

/* Columns of the terminal; a pipe or file gets whole names unless COLUMNS asks otherwise. */
static size_t
output_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize window;
	size_t width;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
		return window.ws_col;
	if (columns && parse_top(columns, &width))
		return width;
	return isatty(STDOUT_FILENO) ? 100 : 0;
}

static int
print_report(const struct account *account, const struct options *options, char **files, int file_count)
{
	size_t width = output_width();
	char several[64];
	int error = 0;

	snprintf(several, sizeof(several), "%d files, added up", file_count);
	table_print_header(stdout, account, file_count == 1 ? files[0] : several);
	if (!options->by_cumulative)
		error = table_print(stdout, account, BY_FLAT, options->top, width);
	if (!options->by_flat && !error)
		error = table_print(stdout, account, BY_CUMULATIVE, options->top, width);
	if (error)
		return file_error("report", "out of memory; report fewer files at once");
	if (fflush(stdout) != 0 || ferror(stdout))
		return file_error("output", "cannot be written; check the disk or the pipe");
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct options options = {.top = 20};
	struct account account;
	int status = parse_options(argc, argv, &options);

	if (status)
		return status - 1;
	signal(SIGPIPE, SIG_DFL); /* `ddprof-report x | head` ends without a word, also under a parent that
				     ignores it */
	account_init(&account);
	for (int i = optind; i < argc && status == EXIT_SUCCESS; i++)
		status = add_file(&account, argv[i], &options);
	if (status == EXIT_SUCCESS)
		status = print_report(&account, &options, argv + optind, argc - optind);
	account_destroy(&account);
	return status;
}
