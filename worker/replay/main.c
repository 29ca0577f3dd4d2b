/* ddprof-replay perf.data: a recording made with perf, here or elsewhere, becomes a pprof file through our
 * own unwinder and symbolizer. */

#include "ipc/fd.h"
#include "ipc/text.h"
#include "worker/export/file.h"
#include "worker/replay/confine.h"
#include "worker/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

#define RESERVED_FILES 16 /* standard streams, recording, folder, what a profile is made in */

struct options {
	const char *input, *output, *root;
};

static const char usage[] =
	"Usage: ddprof-replay [OPTION]... FILE\n"
	"Turns a recording of perf into a pprof profile with function names. Record with\n"
	"\n"
	"  perf record -F 99 -e cpu-clock:u --call-graph dwarf,32768 -- command\n"
	"\n"
	"FILE is perf.data, or - for standard input (perf record -o - writes to a pipe).\n"
	"\n"
	"  -o, --output FILE  the profile (default: the recording's name and .pprof)\n"
	"      --root DIR     where the files of the recorded machine are (default: /)\n"
	"      --help         this text\n"
	"      --version\n"
	"\n"
	"Programs and libraries are read again: they must be those that were recorded, which is told by "
	"build id.\n";

/* Paths are the user's, reasons ours; names out of the recording are never printed. */
static int
fail(int status, const char *what, const char *reason)
{
	char printable[4096];

	text_escape(printable, sizeof(printable), what, strlen(what));
	fprintf(stderr, "ddprof-replay: %s: %s\n", printable, reason);
	return status;
}

/* 0: go on; else an exit code plus 1. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{"output", required_argument, NULL, 'o'},
		{"root", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};

	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":o:", long_options, NULL)) != -1;) {
		switch (option) {
		case 'o':
			options->output = optarg;
			break;
		case 'r':
			options->root = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1 + EXIT_SUCCESS;
		case 'v':
			puts("ddprof-replay " DDPROF_VERSION);
			return 1 + EXIT_SUCCESS;
		case ':':
			return 1 +
			       fail(EXIT_USAGE, argv[optind - 1], "wants a value; see ddprof-replay --help");
		default:
			return 1 +
			       fail(EXIT_USAGE, argv[optind - 1], "unknown option; see ddprof-replay --help");
		}
	}
	if (optind + 1 != argc)
		return 1 + fail(EXIT_USAGE, "one recording is wanted", "see ddprof-replay --help");
	options->input = argv[optind];
	return 0;
}

/* A pipe cannot be read in the order of time: what comes out of it is kept in memory. */
static int
spool(int from)
{
	static uint8_t buffer[1 << 16];
	OWNED_FD memory = memfd_create("ddprof-recording", MFD_CLOEXEC);

	if (memory < 0)
		return -errno;
	for (;;) {
		ssize_t got = read(from, buffer, sizeof(buffer));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : take_fd(&memory);
		for (ssize_t done = 0; done < got;) {
			ssize_t written = write(memory, buffer + done, (size_t)(got - done));

			if (written < 0)
				return -errno;
			done += written;
		}
	}
}

static int
open_input(const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	OWNED_FD fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return lseek(fd, 0, SEEK_END) < 0 ? spool(fd) : take_fd(&fd);
}

/* "perf.data.pprof" beside the recording, or what was asked for. */
static int
open_output(const struct options *options, char *path, size_t capacity, const char **ret_name)
{
	static char folder[4096];
	const char *input = strcmp(options->input, "-") == 0 ? "perf.data" : options->input;
	int length = options->output ? snprintf(path, capacity, "%s", options->output)
				     : snprintf(path, capacity, "%s.pprof", input);
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	if (length < 0 || (size_t)length >= capacity || !**ret_name)
		return -EINVAL;
	memcpy(folder, path, (size_t)length + 1);
	int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Every file of the recording is kept open until all its stacks are walked. */
static size_t
raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= RESERVED_FILES)
		return 0;
	return limit.rlim_cur - RESERVED_FILES;
}

/* When the recording ended: nobody writes to it afterwards. */
static int64_t
end_of(int input)
{
	struct stat status;

	if (fstat(input, &status) < 0)
		return 0;
	return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

static void
print_summary(const struct replay_result *result, const char *path)
{
	const struct ledger *ledger = &result->ledger;
	uint64_t unreadable = ledger->ending[END_UNREADABLE];
	double root =
		ledger->samples ? 100.0 * (double)ledger->ending[END_ROOT] / (double)ledger->samples : 100;

	fprintf(stderr,
		"ddprof-replay: %" PRIu64 " samples, %" PRIu64
		" lost, %.1f%% of stacks reached the root; profile: %s\n",
		ledger->samples, ledger->lost, root, path);
	if (unreadable > 0)
		fprintf(stderr,
			"ddprof-replay: %" PRIu64
			" stacks end in files that are not here, or not as they were "
			"recorded; --root names a folder that has them\n",
			unreadable);
	if (ledger->malformed > 0)
		fprintf(stderr, "ddprof-replay: %" PRIu64 " records are damaged and were left out\n",
			ledger->malformed);
	if (ledger->unstored > 0)
		fprintf(stderr,
			"ddprof-replay: %" PRIu64 " samples were left out: too many different stacks\n",
			ledger->unstored);
	if (result->other_samples > 0)
		fprintf(stderr,
			"ddprof-replay: %" PRIu64
			" samples of other events were left out: the first is counted\n",
			result->other_samples);
	if (result->is_cut)
		fprintf(stderr, "ddprof-replay: the recording is cut short; what is there was read\n");
	if (!result->counts_time)
		fprintf(stderr, "ddprof-replay: its event does not count time: look at cpu-samples "
				"(ddprof-report --sample-type cpu-samples)\n");
}

static int
run(const struct options *options, int input, int folder, const char *path, const char *name)
{
	struct replay_files files = {.root = options->root, .max_open = raise_open_files()};
	struct replay_result result;
	struct recording *recording = NULL;
	const char *reason = NULL;
	uint64_t written;
	OWNED_FD profile = -1;

	int error = replay_confine(folder);
	if (error < 0)
		return fail(EXIT_FAILURE, "cannot give up its rights", strerror(-error));
	error = recording_open(input, &recording, &reason);
	if (error < 0)
		return fail(EXIT_FAILURE, options->input, reason);
	error = replay_recording(recording, &files, end_of(input), &result, &profile);
	recording_free(recording);
	if (error < 0)
		return fail(EXIT_FAILURE, options->input, strerror(-error));
	error = export_file(folder, name, profile, &written);
	if (error < 0)
		return fail(EXIT_FAILURE, path, strerror(-error));
	print_summary(&result, path);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	static char path[4096];
	struct options options = {.root = ""};
	const char *name;
	int status = parse_options(argc, argv, &options);

	if (status)
		return status - 1;
	OWNED_FD input = open_input(options.input);
	if (input < 0)
		return fail(EXIT_FAILURE, options.input, strerror(-input));
	OWNED_FD folder = open_output(&options, path, sizeof(path), &name);
	if (folder < 0)
		return fail(EXIT_FAILURE, path, strerror(-folder));
	return run(&options, input, folder, path, name);
}
