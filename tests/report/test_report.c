/* The program as it is run: golden outputs at several widths, every compression, every refusal. */
#include "worker/profile/profile.h"
#include "worker/report/load.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_report_XXXXXX";

struct file {
	uint8_t bytes[1 << 16];
	size_t size;
};

/* A profile of pseudo-frames: names without an ELF file. */
static struct file
make_profile(void)
{
	struct profile *profile = profile_new(1 << 20);
	const struct profile_header header = {
		.time_ns = 1700000000000000000, .duration_ns = 60000000000, .period_ns = 10000000};
	uint64_t root = profile_pseudo_frame(profile, "main", "/usr/bin/shop");
	uint64_t fib = profile_pseudo_frame(profile, "fib(int)", "shop");
	uint64_t longest = profile_pseudo_frame(
		profile,
		"std::map<std::string, std::vector<caf\xc3\xa9::Item> >::operator[](std::string const&)",
		"shop");
	uint64_t evil = profile_pseudo_frame(profile, "evil\x1b[2J", "shop");
	const struct {
		uint64_t stack[5];
		size_t depth;
		int64_t milliseconds;
	} samples[] = {
		{{fib, fib, fib, fib, root}, 5, 1500},
		{{fib, root}, 2, 500},
		{{longest, fib, root}, 3, 740},
		{{evil, root}, 2, 60},
		{{root}, 1, 1},
	};
	FILE *temporary = tmpfile();
	struct file file;

	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct profile_frame frames[5];
		const struct profile_sample sample = {.frames = frames,
						      .frame_count = samples[i].depth,
						      .pid = 1,
						      .tid = 1,
						      .cpu_time_ns = samples[i].milliseconds * 1000000,
						      .count = samples[i].milliseconds / 10 + 1};

		for (size_t f = 0; f < 5; f++)
			frames[f] = (struct profile_frame){0, samples[i].stack[f]};
		assert_int_equal(profile_add(profile, &sample), 0);
	}
	assert_int_equal(profile_write(profile, &header, NULL, NULL, fileno(temporary)), 0);
	profile_free(profile);
	rewind(temporary);
	file.size = fread(file.bytes, 1, sizeof(file.bytes), temporary);
	assert_true(file.size > 0 && file.size < sizeof(file.bytes));
	fclose(temporary);
	return file;
}

static void
save(const char *name, const void *bytes, size_t size)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static int
set_up(void **state)
{
	struct file file = make_profile();
	static uint8_t packed[1 << 16], bomb[8 << 20];
	uLongf size = sizeof(packed);
	z_stream stream = {.next_in = file.bytes,
			   .avail_in = (uInt)file.size,
			   .next_out = packed,
			   .avail_out = sizeof(packed)};

	(void)state;
	assert_non_null(mkdtemp(folder));
	save("plain", file.bytes, file.size);
	save("cut", file.bytes, file.size / 2);
	save("empty", "", 0);
	save("text", "hello\n", 6);
	deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	size = sizeof(packed) - stream.avail_out;
	save("gzip", packed, size);
	save("gzip-cut", packed, size - 9);
	packed[size / 2] ^= 0x55;
	save("gzip-bad", packed, size);
	size = ZSTD_compress(packed, sizeof(packed), file.bytes, file.size, 3);
	save("zstd", packed, size);
	save("zstd-cut", packed, size - 1);
	/* two frames, as `cat` makes them: protobuf adds the messages up */
	memcpy(packed + size, packed, size);
	save("zstd-twice", packed, 2 * size);
	size = ZSTD_compress(packed, sizeof(packed), bomb, sizeof(bomb), 3);
	save("zstd-bomb", packed, size);
	stream = (z_stream){
		.next_in = bomb, .avail_in = sizeof(bomb), .next_out = packed, .avail_out = sizeof(packed)};
	deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	save("gzip-bomb", packed, sizeof(packed) - stream.avail_out);
	return chdir(folder);
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* Runs `prefix` ddprof-report `arguments`; output and errors come back together. */
static char *
run(const char *prefix, const char *arguments, int status)
{
	char command[1024], *out = calloc(1, 1 << 16);
	FILE *pipe;
	int result;

	snprintf(command, sizeof(command), "TZ=UTC0 LC_ALL=C %s " REPORT " %s 2>&1", prefix, arguments);
	pipe = popen(command, "r");
	assert_true(fread(out, 1, (1 << 16) - 1, pipe) < 1 << 16);
	result = pclose(pipe);
	if (!WIFEXITED(result) || WEXITSTATUS(result) != status)
		fail_msg("%s: status %#x, not %d: %s", arguments, result, status, out);
	return out;
}

static void
expect(const char *prefix, const char *arguments, int status, const char *expected)
{
	char *out = run(prefix, arguments, status);

	assert_string_equal(out, expected);
	free(out);
}

#define HEADER                                  \
	"File      plain\n"                     \
	"Time      2023-11-14 22:13:20 +0000\n" \
	"Duration  60.0s\n"                     \
	"Samples   285\n"                       \
	"Total     2.80s (4.67% of the duration)\n"

static void
test_golden_80(void **state)
{
	(void)state;
	/* fib recurses: its cum is 2.74s, not more */
	expect("COLUMNS=80", "plain", 0,
	       HEADER "\nTop 4 of 4 functions by flat (in the function itself)\n"
		      "  flat flat%    cum  cum%  function\n"
		      " 2.00s 71.4%  2.74s 97.8%  fib(int)\n"
		      " 740ms 26.4%  740ms 26.4%  std::map<std::string, std:\xe2\x80\xa6"
		      "ator[](std::string const&)\n"
		      "60.0ms 2.14% 60.0ms 2.14%  evil\\x1b[2J\n"
		      "1.00ms 0.04%  2.80s  100%  main\n"
		      "\nTop 4 of 4 functions by cum (with what it calls)\n"
		      "  flat flat%    cum  cum%  function\n"
		      "1.00ms 0.04%  2.80s  100%  main\n"
		      " 2.00s 71.4%  2.74s 97.8%  fib(int)\n"
		      " 740ms 26.4%  740ms 26.4%  std::map<std::string, std:\xe2\x80\xa6"
		      "ator[](std::string const&)\n"
		      "60.0ms 2.14% 60.0ms 2.14%  evil\\x1b[2J\n");
}

static void
test_golden_40(void **state)
{
	(void)state;
	expect("COLUMNS=40", "-n 2 --sort flat plain", 0,
	       HEADER "\nTop 2 of 4 functions by flat (in the function itself)\n"
		      " flat flat%   cum  cum%  function\n"
		      "2.00s 71.4% 2.74s 97.8%  fib(int)\n"
		      "740ms 26.4% 740ms 26.4%  std::ma\xe2\x80\xa6"
		      "const&)\n");
}

static void
test_pipe_keeps_names(void **state)
{
	char *out = run("unset COLUMNS;", "-s flat plain", 0);

	(void)state;
	assert_non_null(strstr(out, "  std::map<std::string, std::vector<caf\xc3\xa9::Item> "
				    ">::operator[](std::string const&)\n"));
	free(out);
}

static void
test_sample_types(void **state)
{
	char *out = run("", "--sample-type=cpu-samples -s flat plain", 0);

	(void)state;
	assert_non_null(strstr(out, "Total     285\n"));
	assert_non_null(strstr(out, " 202 70.9% 277 97.2%  fib(int)\n"));
	free(out);
	expect("", "--sample-type wall plain", 1,
	       "ddprof-report: plain: no sample type wall; choose one of: cpu-time cpu-samples\n");
}

static void
test_formats(void **state)
{
	static const char *const names[] = {"gzip", "zstd"};
	char *plain = run("", "plain", 0);

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *out = run("", names[i], 0);

		assert_string_equal(strchr(out, '\n'), strchr(plain, '\n'));
		free(out);
	}
	free(plain);
}

static void
test_several(void **state)
{
	char *out = run("", "-s flat plain gzip zstd", 0);

	(void)state;
	assert_non_null(strstr(out, "File      3 files, added up\n"));
	assert_non_null(strstr(out, "Duration  180s\n"));
	assert_non_null(strstr(out, "Samples   855\n"));
	assert_non_null(strstr(out, "6.00s 71.4% 8.22s 97.8%  fib(int)\n"));
	free(out);
}

static const struct {
	const char *arguments;
	int status;
	const char *output;
} refusals[] = {
	{"missing", 1, "ddprof-report: missing: no such file; check the name\n"},
	{".", 1, "ddprof-report: .: is a folder; name the profiles in it\n"},
	{"empty", 1, "ddprof-report: empty: is not a pprof profile; name a file that ddprof-launch wrote\n"},
	{"text", 1, "ddprof-report: text: is not a pprof profile; name a file that ddprof-launch wrote\n"},
	{"cut", 1, "ddprof-report: cut: is not a pprof profile; name a file that ddprof-launch wrote\n"},
	{"gzip-cut", 1,
	 "ddprof-report: gzip-cut: compressed data is damaged or cut short; copy or profile it again\n"},
	{"gzip-bad", 1,
	 "ddprof-report: gzip-bad: compressed data is damaged or cut short; copy or profile it again\n"},
	{"zstd-cut", 1,
	 "ddprof-report: zstd-cut: compressed data is damaged or cut short; copy or profile it again\n"},
	{"plain missing", 1, "ddprof-report: missing: no such file; check the name\n"},
	{"$(printf 'a\\033[2J')", 1, "ddprof-report: a\\x1b[2J: no such file; check the name\n"},
	{"", 2, "ddprof-report: no profile given; see ddprof-report --help\n"},
	{"--nonsense plain", 2, "ddprof-report: unknown option --nonsense; see ddprof-report --help\n"},
	{"-n", 2, "ddprof-report: missing value after -n; see ddprof-report --help\n"},
	{"-n 0 plain", 2, "ddprof-report: --top wants a number above 0, not 0; see ddprof-report --help\n"},
	{"-n -3 plain", 2, "ddprof-report: --top wants a number above 0, not -3; see ddprof-report --help\n"},
	{"-n 5x plain", 2, "ddprof-report: --top wants a number above 0, not 5x; see ddprof-report --help\n"},
	{"-s up plain", 2, "ddprof-report: --sort wants flat or cum, not up; see ddprof-report --help\n"},
	{"--version", 0, "ddprof-report " DDPROF_VERSION "\n"},
};

static void
test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect("", refusals[i].arguments, refusals[i].status, refusals[i].output);
}

static void
test_bombs(void **state)
{
	static const char *const names[] = {"gzip-bomb", "zstd-bomb"};
	const char *reason;
	uint8_t *bytes;
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(load_file(names[i], 1 << 20, &bytes, &size, &reason), -EFBIG);
		assert_non_null(strstr(reason, "when decompressed"));
		assert_int_equal(load_file(names[i], 16 << 20, &bytes, &size, &reason), 0);
		assert_int_equal(size, 8 << 20);
		free(bytes);
	}
	assert_int_equal(load_file("plain", 100, &bytes, &size, &reason), -EFBIG);
	assert_int_equal(load_file("zstd-twice", 1 << 20, &bytes, &size, &reason), 0);
	free(bytes);
}

static void
test_broken_pipe(void **state)
{
	char *out = run("", "plain | head -1", 0);

	(void)state;
	assert_string_equal(out, "File      plain\n");
	free(out);
	/* The reader is gone before the first byte: somebody else has met the broken pipe already. */
	assert_int_equal(system("((trap '' PIPE; while echo; do :; done) 2>/dev/null; exec " REPORT
				" plain 2>errors) | true"),
			 0);
	assert_int_equal(system("test -f errors -a ! -s errors"), 0);
	expect("", "plain 2>&1 >/dev/full #", 1,
	       "ddprof-report: output: cannot be written; check the disk or the pipe\n");
}

/* On a terminal its width counts, not COLUMNS. */
static void
test_terminal(void **state)
{
	const struct winsize window = {.ws_row = 24, .ws_col = 60};
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char command[1024], out[8192] = "";
	size_t size = 0, widest = 0;

	(void)state;
	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal), 0);
	assert_int_equal(unlockpt(terminal), 0);
	assert_int_equal(ioctl(terminal, TIOCSWINSZ, &window), 0);
	OWNED_FD slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);

	snprintf(command, sizeof(command), "COLUMNS=200 " REPORT " -s flat plain >%s", ptsname(terminal));
	assert_int_equal(system(command), 0);
	close_fd(&slave);
	for (ssize_t got; (got = read(terminal, out + size, sizeof(out) - size - 1)) > 0; size += (size_t)got)
		;
	close(terminal);
	for (char *line = strtok(out, "\r\n"); line; line = strtok(NULL, "\r\n")) {
		size_t columns = 0;

		for (const char *at = line; *at; at++)
			columns += ((unsigned char)*at & 0xc0) != 0x80;
		widest = columns > widest ? columns : widest;
	}
	assert_int_equal(widest, 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_80),        cmocka_unit_test(test_golden_40),
		cmocka_unit_test(test_pipe_keeps_names), cmocka_unit_test(test_sample_types),
		cmocka_unit_test(test_formats),          cmocka_unit_test(test_several),
		cmocka_unit_test(test_refusals),         cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_broken_pipe),      cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
