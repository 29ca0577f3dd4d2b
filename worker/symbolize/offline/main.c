/* ddprof-symbolizer in.pprof > out.pprof: what the role of that name does in a session, for a profile that
 * was made without names (--disable_symbolization), here or on another machine. */

#include "ipc/fd.h"
#include "ipc/text.h"
#include "worker/replay/confine.h"
#include "worker/replay/files.h"
#include "worker/report/load.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { EXIT_USAGE = 2 };

struct options {
	const char *input, *root;
	bool inlined_functions;
};

static const char usage[] =
	"Usage: ddprof-symbolizer [OPTION]... FILE > OUT\n"
	"Gives names to the addresses of a pprof profile, such as ddprof-launch writes with\n"
	"--disable_symbolization. FILE is the profile, or - for standard input; it may be compressed with\n"
	"gzip or zstd, and what is written is compressed as it was.\n"
	"\n"
	"      --root DIR                where the files of the profiled machine are (default: /)\n"
	"  -I, --inlined_functions BOOL  whether to show inlined functions, source files and lines, where\n"
	"                                there is debug information (default: true)\n"
	"      --help                    this text\n"
	"      --version\n"
	"\n"
	"A file that is not the one that was profiled, by its build id, or without one by size and time, "
	"names\n"
	"nothing: its addresses become FILE+0xADDRESS.\n";

/* Paths are the user's, reasons ours. */
static int
fail(int status, const char *what, const char *reason)
{
	char printable[4096];

	text_escape(printable, sizeof(printable), what, strlen(what));
	fprintf(stderr, "ddprof-symbolizer: %s: %s\n", printable, reason);
	return status;
}

static bool
parse_boolean(const char *text, bool *ret)
{
	static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};

	for (size_t i = 0; i < 8; i++)
		if (strcasecmp(text, words[i % 2][i / 2]) == 0) {
			*ret = i % 2;
			return true;
		}
	return false;
}

/* 0: go on; else an exit code plus 1. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{"root", required_argument, NULL, 'r'},
		{"inlined_functions", required_argument, NULL, 'I'},
		{"inlined-functions", required_argument, NULL, 'I'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};

	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":I:", long_options, NULL)) != -1;) {
		switch (option) {
		case 'r':
			options->root = optarg;
			break;
		case 'I':
			if (!parse_boolean(optarg, &options->inlined_functions))
				return 1 + fail(EXIT_USAGE, optarg, "is neither true nor false");
			break;
		case 'h':
			fputs(usage, stdout);
			return 1 + EXIT_SUCCESS;
		case 'v':
			puts("ddprof-symbolizer " DDPROF_VERSION);
			return 1 + EXIT_SUCCESS;
		case ':':
			return 1 + fail(EXIT_USAGE, argv[optind - 1],
					"wants a value; see ddprof-symbolizer --help");
		default:
			return 1 + fail(EXIT_USAGE, argv[optind - 1],
					"unknown option; see ddprof-symbolizer --help");
		}
	}
	if (optind + 1 != argc)
		return 1 + fail(EXIT_USAGE, "one profile is wanted", "see ddprof-symbolizer --help");
	options->input = argv[optind];
	return 0;
}

static int
write_all(const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(STDOUT_FILENO, bytes, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		bytes += written > 0 ? written : 0;
		size -= written > 0 ? (size_t)written : 0;
	}
	return 0;
}

static int
write_gzip(const uint8_t *bytes, size_t size)
{
	errno = 0; /* for what zlib has no error of the system for */
	gzFile out = gzdopen(STDOUT_FILENO, "wb");
	bool is_written = out && size <= INT_MAX && gzwrite(out, bytes, (unsigned)size) == (int)size;

	if (out && gzclose(out) == Z_OK && is_written)
		return 0;
	return errno ? -errno : -EIO;
}

static int
write_zstd(const uint8_t *bytes, size_t size)
{
	size_t capacity = ZSTD_compressBound(size);
	uint8_t *packed = malloc(capacity);
	size_t packed_size = packed ? ZSTD_compress(packed, capacity, bytes, size, ZSTD_CLEVEL_DEFAULT) : 0;
	int result = !packed || ZSTD_isError(packed_size) ? -ENOMEM : write_all(packed, packed_size);

	free(packed);
	return result;
}

static int (*const write_as[])(const uint8_t *bytes, size_t size) = {
	[LOAD_PLAIN] = write_all,
	[LOAD_GZIP] = write_gzip,
	[LOAD_ZSTD] = write_zstd,
};

static int
symbolise(const struct options *options, const uint8_t *in, size_t in_size, enum load_format format)
{
	struct replay_files files = {.root = options->root};
	const struct file_finder finder = {.open_module = replay_files_open_module,
					   .open_debug = replay_files_open_debug,
					   .context = &files};
	const struct symbolize_options how = {.inlined_functions = options->inlined_functions};
	uint8_t *out = NULL;
	size_t out_size;
	int error = symbolize_profile(in, in_size, &finder, &how, &out, &out_size);

	if (error)
		return fail(EXIT_FAILURE, options->input,
			    error == -EBADMSG ? "is not a pprof profile" : strerror(-error));
	error = write_as[format](out, out_size);
	free(out);
	return error ? fail(EXIT_FAILURE, "standard output", strerror(-error)) : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct options options = {.root = "", .inlined_functions = true};
	enum load_format format;
	const char *reason;
	uint8_t *in;
	size_t in_size;
	int status = parse_options(argc, argv, &options);

	if (status)
		return status - 1;
	if (isatty(STDOUT_FILENO))
		return fail(EXIT_USAGE, "standard output",
			    "is a terminal; ddprof-symbolizer in.pprof > out.pprof");
	bool is_stdin = strcmp(options.input, "-") == 0;
	OWNED_FD fd = is_stdin ? dup(STDIN_FILENO) : open(options.input, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail(EXIT_FAILURE, options.input, strerror(errno));
	int error = replay_confine(/* folder= */ -1); /* before a byte of the profile is looked at */
	if (error < 0)
		return fail(EXIT_FAILURE, "cannot give up its rights", strerror(-error));
	if (load_descriptor(fd, LOAD_SIZE_MAX, &in, &in_size, &format, &reason) < 0)
		return fail(EXIT_FAILURE, options.input, reason);
	status = symbolise(&options, in, in_size, format);
	free(in);
	return status;
}
