/* Comments put behind a profile of ours are comments to every reader; what is no profile stays alone. */

#include "worker/export/self_comments.h"

#include "ipc/fd.h"
#include "worker/base/memory_file.h"
#include "worker/export/self_report.h"
#include "worker/profile/decode.h"
#include "worker/profile/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static const struct self_metrics two = {
	.count = 3,
	.metric = {{"queue.depth", 7, true}, {"not.said", 1, false}, {"some.average", -1, true}},
};

static bool
describe(void *context, uint32_t mapping, struct profile_mapping *ret)
{
	(void)context;
	(void)mapping;
	*ret = (struct profile_mapping){
		.memory_start = 0x1000, .memory_limit = 0x3000, .path = "/p", .build_id = ""};
	return true;
}

static int
make_profile(const char *const *comments)
{
	struct profile *profile = profile_new(1 << 20);
	const struct profile_frame frame = {1, 0x1234};
	const struct profile_sample sample = {.frames = &frame,
					      .frame_count = 1,
					      .pid = 1,
					      .tid = 1,
					      .process_name = "p",
					      .cpu_time_ns = 5,
					      .count = 1};
	const struct profile_header header = {
		.time_ns = 1, .duration_ns = 2, .period_ns = 3, .comments = comments};
	int fd = memfd_create("profile", MFD_CLOEXEC);

	assert_int_equal(profile_add(profile, &sample), 0);
	assert_int_equal(profile_write(profile, &header, describe, NULL, fd), 0);
	profile_free(profile);
	return fd;
}

/* The comments as protobuf-c reads them, one a line. */
static char *
comments_of(const uint8_t *bytes, size_t size, size_t *ret_samples)
{
	struct arena arena = {.limit = 1 << 20};
	Perftools__Profiles__Profile *message;
	char *text = calloc(1, 1 << 16);

	assert_int_equal(pprof_decode(bytes, size, &arena, &message), 0);
	for (size_t i = 0; i < message->n_comment; i++) {
		strcat(text, pprof_string(message, message->comment[i]));
		strcat(text, "\n");
	}
	*ret_samples = message->n_sample;
	arena_destroy(&arena);
	return text;
}

static uint8_t *
with_comments(const uint8_t *bytes, size_t size, const struct self_metrics *metrics, size_t *ret_size)
{
	static uint8_t comments[SELF_COMMENTS_MAX];
	size_t comments_size;

	assert_int_equal(self_comments_make(bytes, size, metrics, comments, &comments_size), 0);
	uint8_t *both = malloc(size + comments_size);
	memcpy(both, bytes, size);
	memcpy(both + size, comments, comments_size);
	*ret_size = size + comments_size;
	return both;
}

static void
test_appended(void **state)
{
	static const char *const own[] = {"ddprof.samples=1", "free text", NULL};
	OWNED_FD fd = make_profile(own), without = make_profile(NULL);
	uint8_t *bytes, *both, *again;
	size_t size, both_size, again_size, samples;

	(void)state;
	assert_int_equal(memory_file_read(fd, &bytes, &size), 0);
	both = with_comments(bytes, size, &two, &both_size);
	char *text = comments_of(both, both_size, &samples);
	assert_string_equal(text,
			    "ddprof.samples=1\nfree text\nddprof.queue.depth=7\nddprof.some.average=-1\n");
	assert_int_equal(samples, 1);
	free(text);

	again = with_comments(both, both_size, &two, &again_size); /* behind what was put behind */
	text = comments_of(again, again_size, &samples);
	assert_string_equal(text,
			    "ddprof.samples=1\nfree text\nddprof.queue.depth=7\nddprof.some.average=-1\n"
			    "ddprof.queue.depth=7\nddprof.some.average=-1\n");
	free(text);
	free(again);
	free(both);
	free(bytes);

	assert_int_equal(memory_file_read(without, &bytes, &size), 0);
	both = with_comments(bytes, size, &two, &both_size);
	text = comments_of(both, both_size, &samples);
	assert_string_equal(text, "ddprof.queue.depth=7\nddprof.some.average=-1\n");
	free(text);
	free(both);
	free(bytes);
}

/* As many, as long as there can be. */
static void
test_room(void **state)
{
	static struct self_metrics full = {.count = SELF_METRICS_MAX};
	OWNED_FD fd = make_profile(NULL);
	uint8_t *bytes, *both;
	size_t size, both_size, samples;

	(void)state;
	for (size_t i = 0; i < SELF_METRICS_MAX; i++) {
		memset(full.metric[i].name, 'n', sizeof(full.metric[i].name) - 1);
		full.metric[i].value = INT64_MIN;
		full.metric[i].is_comment = true;
	}
	assert_int_equal(memory_file_read(fd, &bytes, &size), 0);
	both = with_comments(bytes, size, &full, &both_size);
	assert_true(both_size - size <= SELF_COMMENTS_MAX);
	char *text = comments_of(both, both_size, &samples);
	assert_int_equal(strlen(text), SELF_METRICS_MAX * (7 + 47 + 1 + 20 + 1));
	free(text);
	free(both);
	free(bytes);
}

static void
run_on(const uint8_t *bytes, size_t size, const char *command, const char *wanted)
{
	char path[] = "/tmp/ddprof-test-XXXXXX", *line, out[8192] = "";
	OWNED_FD fd = mkstemp(path);

	assert_int_equal(memory_file_write(fd, bytes, size), 0);
	assert_true(asprintf(&line, "HOME=/tmp; export HOME; %s %s 2>/dev/null", command, path) > 0);
	FILE *pipe = popen(line, "r");
	(void)!fread(out, 1, sizeof(out) - 1, pipe);
	int status = pclose(pipe);
	unlink(path);
	free(line);
	assert_int_equal(status, 0);
	if (!strstr(out, wanted))
		fail_msg("%s says: %s", command, out);
}

/* Readers that are not ours. */
static void
test_others_read_it(void **state)
{
	static const char *const own[] = {"first", NULL};
	OWNED_FD fd = make_profile(own);
	uint8_t *bytes, *both;
	size_t size, both_size;

	(void)state;
	if (!GO[0] || !PROTOC[0])
		skip();
	assert_int_equal(memory_file_read(fd, &bytes, &size), 0);
	both = with_comments(bytes, size, &two, &both_size);
	run_on(both, both_size, GO " tool pprof -comments",
	       "first\nddprof.queue.depth=7\nddprof.some.average=-1\n");
	run_on(both, both_size,
	       PROTOC " --proto_path=" PROFILE_PROTO_FOLDER
		      " --decode=perftools.profiles.Profile profile.proto <",
	       "string_table: \"ddprof.some.average=-1\"");
	free(both);
	free(bytes);
}

static void
test_hostile(void **state)
{
#define CASE(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		CASE(""),
		CASE("first profile"), /* no message at all */
		CASE("\x08\x01"),      /* without strings */
		CASE("\x32\x00\x32"),  /* cut in a key's value */
		CASE("\x32\x05"
		     "abcd"),                                                     /* cut in a string */
		CASE("\x32\x00\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),     /* longer than memory */
		CASE("\x32\x00\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* an overlong number */
		CASE("\x32\x00\x30\x01"),     /* a string that is a number */
		CASE("\x32\x00\x0b\x0c"),     /* a group */
		CASE("\x32\x00\x0e"),         /* no wire type */
		CASE("\x32\x00\x09\x01\x02"), /* cut in 8 bytes */
		CASE("\x32\x00\x0d\x01\x02"), /* cut in 4 bytes */
	};
	static uint8_t comments[SELF_COMMENTS_MAX];
	size_t size = 4711;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *copy = malloc(cases[i].size + 1); /* its end is the end of what may be read */

		memcpy(copy + 1, cases[i].bytes, cases[i].size);
		int result = self_comments_make(copy + 1, cases[i].size, &two, comments, &size);
		if (result != -EBADMSG || size != 4711)
			fail_msg("case %zu: %d", i, result);
		free(copy);
	}
}

/* Cut anywhere: refused, or still one message with what is put behind it. */
static void
test_cut(void **state)
{
	static uint8_t comments[SELF_COMMENTS_MAX];
	static const char *const own[] = {"first", NULL};
	OWNED_FD fd = make_profile(own);
	uint8_t *bytes;
	size_t size, comments_size, refused = 0;

	(void)state;
	assert_int_equal(memory_file_read(fd, &bytes, &size), 0);
	for (size_t cut = 0; cut < size; cut++) {
		struct arena arena = {.limit = 1 << 20};
		Perftools__Profiles__Profile *message;
		uint8_t *copy = malloc(cut + SELF_COMMENTS_MAX);

		memcpy(copy, bytes, cut);
		if (self_comments_make(copy, cut, &two, comments, &comments_size) < 0) {
			refused++;
		} else {
			memcpy(copy + cut, comments, comments_size);
			int result = pprof_decode(copy, cut + comments_size, &arena, &message);
			if (result == 0)
				assert_string_equal(
					pprof_string(message, message->comment[message->n_comment - 1]),
					"ddprof.some.average=-1");
		}
		arena_destroy(&arena);
		free(copy);
	}
	assert_true(refused > size / 2);
	free(bytes);
}

static size_t
report_nothing(void *context, const struct self_metrics *metrics)
{
	(void)context;
	return metrics->count;
}

/* All of it: what comes out is the profile with its account, and what is none is left alone. */
static void
test_report(void **state)
{
	static const struct profile_message head = {.ledger = {.samples = 1}, .self = {.wall_ns = 1}};
	static const struct network network = {.report = report_nothing};
	struct queue_report queue = {.retries = 42};
	OWNED_FD fd = make_profile(NULL);
	uint8_t *bytes;
	size_t size, samples;

	(void)state;
	OWNED_FD reported = self_report_add(fd, &head, &queue, NULL);
	assert_true(reported >= 0);
	assert_int_equal(memory_file_read(reported, &bytes, &size), 0);
	char *text = comments_of(bytes, size, &samples);
	assert_int_equal(samples, 1);
	assert_non_null(strstr(text, "ddprof.upload.retries=42\n"));
	assert_non_null(strstr(text, "ddprof.role.exporter.cpu_ns=0\n"));
	assert_int_equal(queue.statsd_failures, 0);
	free(text);
	free(bytes);

	OWNED_FD other = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(memory_file_write(other, (const uint8_t *)"text", 4), 0);
	assert_int_equal(self_report_add(other, &head, &queue, &network), -EBADMSG);
	assert_true(queue.statsd_failures > 30);
	assert_int_equal(self_report_add(-1, &head, &queue, NULL), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appended),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_others_read_it),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
