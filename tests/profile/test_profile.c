/* What we write, read back by protoc and by Go's pprof; aggregation, limits and broken descriptors. */
#include "worker/profile/decode.h"
#include "worker/profile/profile.h"

#include "ipc/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define FRAMES(...)                                            \
	.frames = (const struct profile_frame[]){__VA_ARGS__}, \
	.frame_count = sizeof((const struct profile_frame[]){__VA_ARGS__}) / sizeof(struct profile_frame)

static const struct profile_mapping mappings[] = {
	[0] = {.memory_start = 0x1000,
	       .memory_limit = 0x3000,
	       .file_offset = 0x1000,
	       .path = "/usr/bin/service",
	       .build_id = "00aabb"},
	[1] = {.memory_start = 0x26000,
	       .memory_limit = 0x17b000,
	       .file_offset = 0x26000,
	       .path = "/usr/lib/libc.so.6",
	       .build_id = ""},
};

/* Numbers are sparse; 99 is one the caller forgot. */
static bool
describe(void *context, uint32_t mapping, struct profile_mapping *ret)
{
	int *asked = context;

	if (asked)
		(*asked)++;
	if (mapping != 7 && mapping != 1000000)
		return false;
	*ret = mappings[mapping == 7 ? 0 : 1];
	return true;
}

static const char *const comments[] = {"ticks unwound: 9", "ticks lost: 1", NULL};

static const struct profile_header header = {
	.time_ns = 1700000000123456789,
	.duration_ns = 60000000000,
	.period_ns = 10101010,
	.container_id = "none",
	.comments = comments,
};

static void
add(struct profile *profile, const struct profile_sample *sample)
{
	assert_int_equal(profile_add(profile, sample), 0);
}

static void
fill(struct profile *profile)
{
	uint64_t root = profile_pseudo_frame(profile, "service", "/usr/bin/service");
	uint64_t cut = profile_pseudo_frame(profile, "[incomplete]", "");
	const struct profile_sample worker = {FRAMES({1000000, 0x26010}, {7, 0x2fff}, {0, root}),
					      .pid = 42,
					      .tid = 43,
					      .process_name = "service",
					      .thread_name = "worker",
					      .cpu_time_ns = 10101010,
					      .count = 1};
	const struct profile_sample strange = {
		FRAMES({7, 0x3000} /* the first byte after */, {99, 0xdead}, {0, cut}, {0, root}),
		.pid = 42,
		.tid = 42,
		.process_name = "service",
		.thread_name = "caf\xc3\xa9\n\xff",
		.cpu_time_ns = 5,
		.count = 1};

	add(profile, &worker);
	add(profile, &strange);
	add(profile, &worker);
}

static int
written(struct profile *profile)
{
	int fd = memfd_create("profile", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(profile_write(profile, &header, describe, NULL, fd), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* What a command prints when `fd` is its standard input. */
static char *
run(const char *command, int fd)
{
	char *line, *out = calloc(1, 1 << 20);
	size_t size;
	FILE *pipe;

	assert_true(asprintf(&line, "exec <&%d; %s", fd, command) > 0);
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	size = fread(out, 1, (1 << 20) - 1, pipe);
	out[size] = '\0';
	assert_int_equal(pclose(pipe), 0);
	free(line);
	return out;
}

/* The whole message, field by field, as another implementation reads it. */
static char *
golden_text(void)
{
	char *text = calloc(1, 1 << 16);
	FILE *file = fopen("profile.golden", "r"); /* in the folder ctest starts us in */

	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
	fclose(file);
	return text;
}

static void
test_protoc_reads_it(void **state)
{
	struct profile *profile = profile_new(1 << 20);
	OWNED_FD fd = -1;
	char *text, *golden;

	(void)state;
	if (!PROTOC[0])
		skip();
	fill(profile);
	fd = written(profile);
	text = run(PROTOC " --proto_path=" PROFILE_PROTO_FOLDER
			  " --decode=perftools.profiles.Profile profile.proto",
		   fd);
	golden = golden_text();
	assert_string_equal(text, golden);
	free(golden);
	free(text);
	profile_free(profile);
}

static void
test_go_reads_it(void **state)
{
	struct profile *profile = profile_new(1 << 20);
	OWNED_FD fd = -1;
	char *text;

	(void)state;
	if (!GO[0])
		skip();
	fill(profile);
	fd = written(profile);
	text = run("export HOME=/tmp; f=$(mktemp); gzip >$f; " GO
		   " tool pprof -top -nodefraction=0 -symbolize=none $f 2>&1; rm $f",
		   fd);
	assert_non_null(strstr(text, "Type: cpu-time"));
	assert_non_null(strstr(text, "Duration: 60s, Total samples = 20202025ns"));
	assert_non_null(strstr(text, "20202025ns   100%  service"));
	assert_non_null(strstr(text, "service+0x3000"));
	free(text);
	profile_free(profile);
}

static Perftools__Profiles__Profile *
decode(struct profile *profile, struct arena *arena)
{
	Perftools__Profiles__Profile *message = NULL;
	OWNED_FD fd = written(profile);
	struct stat status;
	void *bytes;

	assert_int_equal(fstat(fd, &status), 0);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(bytes != MAP_FAILED);
	*arena = (struct arena){.limit = 1 << 28};
	assert_int_equal(pprof_decode(bytes, (size_t)status.st_size, arena, &message), 0);
	munmap(bytes, (size_t)status.st_size);
	return message;
}

/* Every number a message points with exists, ids are dense, addresses lie in their mappings. */
static void
check_consistency(const Perftools__Profiles__Profile *message)
{
	for (size_t i = 0; i < message->n_mapping; i++)
		assert_int_equal(message->mapping[i]->id, i + 1);
	for (size_t i = 0; i < message->n_function; i++) {
		assert_int_equal(message->function[i]->id, i + 1);
		assert_in_range(message->function[i]->name, 0, message->n_string_table - 1);
	}
	for (size_t i = 0; i < message->n_location; i++) {
		const Perftools__Profiles__Location *location = message->location[i];

		assert_int_equal(location->id, i + 1);
		assert_in_range(location->mapping_id, 0, message->n_mapping);
		for (size_t line = 0; line < location->n_line; line++)
			assert_in_range(location->line[line]->function_id, 1, message->n_function);
		if (location->mapping_id) {
			const Perftools__Profiles__Mapping *mapping =
				message->mapping[location->mapping_id - 1];

			assert_true(location->address >= mapping->memory_start);
			assert_true(location->address < mapping->memory_limit);
		}
		for (size_t other = 0; other < i && i < 2000; other++)
			assert_false(location->mapping_id &&
				     location->address == message->location[other]->address &&
				     location->mapping_id == message->location[other]->mapping_id);
	}
	for (size_t i = 0; i < message->n_sample; i++) {
		assert_int_equal(message->sample[i]->n_value, message->n_sample_type);
		for (size_t frame = 0; frame < message->sample[i]->n_location_id; frame++)
			assert_in_range(message->sample[i]->location_id[frame], 1, message->n_location);
	}
}

/* Thousands of random stacks against the plainest possible account: total per leaf address. */
static void
test_random_stacks(void **state)
{
	enum { ADDRESSES = 300 };
	struct profile *profile = profile_new(64 << 20);
	Perftools__Profiles__Profile *message;
	struct arena arena;
	int64_t expected[ADDRESSES] = {0}, found[ADDRESSES] = {0}, total = 0;
	uint32_t random = 12345;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct profile_frame frames[40];
		struct profile_sample sample = {.frames = frames, .pid = 1, .process_name = "p", .count = 1};

		sample.frame_count = 1 + (random = random * 1664525 + 1013904223) % 40;
		sample.tid = random >> 30;
		for (size_t frame = 0; frame < sample.frame_count; frame++) {
			random = random * 1664525 + 1013904223;
			frames[frame] = (struct profile_frame){7, 0x1000 + (random >> 8) % ADDRESSES};
		}
		sample.cpu_time_ns = i;
		expected[frames[0].address - 0x1000] += i;
		add(profile, &sample);
	}
	assert_int_equal(profile_sample_count(profile), 20000);
	message = decode(profile, &arena);
	check_consistency(message);
	for (size_t i = 0; i < message->n_sample; i++) {
		const Perftools__Profiles__Sample *sample = message->sample[i];

		found[message->location[sample->location_id[0] - 1]->address - 0x1000] += sample->value[0];
		total += sample->value[1];
	}
	assert_memory_equal(found, expected, sizeof(found));
	assert_int_equal(total, 20000);
	arena_destroy(&arena);
	profile_free(profile);
}

/* One thing differs at a time: each must be its own sample; the same again must not. */
static void
test_what_makes_samples_equal(void **state)
{
	const struct profile_sample variants[] = {
		{FRAMES({7, 0x1000}, {7, 0x1001}), .pid = 1, .tid = 2, .process_name = "a",
		 .thread_name = "b"},
		{FRAMES({7, 0x1001}, {7, 0x1000}), .pid = 1, .tid = 2, .process_name = "a",
		 .thread_name = "b"},
		{FRAMES({7, 0x1000}), .pid = 1, .tid = 2, .process_name = "a", .thread_name = "b"},
		{FRAMES({8, 0x1000}, {7, 0x1001}), .pid = 1, .tid = 2, .process_name = "a",
		 .thread_name = "b"},
		{FRAMES({7, 0x1000}, {7, 0x1001}), .pid = 2, .tid = 2, .process_name = "a",
		 .thread_name = "b"},
		{FRAMES({7, 0x1000}, {7, 0x1001}), .pid = 1, .tid = 1, .process_name = "a",
		 .thread_name = "b"},
		{FRAMES({7, 0x1000}, {7, 0x1001}), .pid = 1, .tid = 2, .process_name = "b",
		 .thread_name = "b"},
		{FRAMES({7, 0x1000}, {7, 0x1001}), .pid = 1, .tid = 2, .process_name = "a",
		 .thread_name = "a"},
		{.frame_count = 0, .pid = 1, .tid = 2, .process_name = "a", .thread_name = "b"},
	};
	enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };
	struct profile *profile = profile_new(1 << 20);
	Perftools__Profiles__Profile *message;
	struct arena arena;

	(void)state;
	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < VARIANTS; i++) {
			struct profile_sample sample = variants[i];

			sample.count = 1;
			sample.cpu_time_ns = INT64_MAX / 2;
			add(profile, &sample);
		}
	message = decode(profile, &arena);
	assert_int_equal(message->n_sample, VARIANTS);
	for (size_t i = 0; i < VARIANTS; i++) {
		assert_int_equal(message->sample[i]->value[1], 3);
		assert_true(message->sample[i]->value[0] == INT64_MAX); /* saturated */
		assert_int_equal(message->sample[i]->n_location_id, variants[i].frame_count);
	}
	check_consistency(message);
	arena_destroy(&arena);
	profile_free(profile);
}

static void
test_pseudo_frames_survive_clear(void **state)
{
	struct profile *profile = profile_new(1 << 20);
	uint64_t root = profile_pseudo_frame(profile, "service", "/usr/bin/service");
	uint64_t other = profile_pseudo_frame(profile, "service", "/opt/service");
	const struct profile_sample sample = {FRAMES({0, 0} /* left out */, {0, 999}, {0, root}), .count = 4};
	Perftools__Profiles__Profile *message;
	struct arena arena;

	(void)state;
	assert_int_not_equal(root, 0);
	assert_int_not_equal(root, other);
	fill(profile);
	profile_clear(profile);
	assert_int_equal(profile_sample_count(profile), 0);
	assert_int_equal(profile_pseudo_frame(profile, "service", "/usr/bin/service"), root);
	add(profile, &sample);
	message = decode(profile, &arena);
	assert_int_equal(message->n_sample, 1);
	assert_int_equal(message->n_mapping, 0);
	assert_int_equal(message->sample[0]->n_location_id, 1);
	assert_int_equal(message->sample[0]->n_label, 3); /* no names: no such labels */
	assert_string_equal(pprof_string(message, message->function[0]->name), "service");
	arena_destroy(&arena);
	profile_free(profile);
}

static void
test_mappings_are_asked_for_once(void **state)
{
	struct profile *profile = profile_new(1 << 20);
	OWNED_FD fd = memfd_create("profile", MFD_CLOEXEC);
	int asked = 0;

	(void)state;
	fill(profile);
	assert_int_equal(profile_write(profile, &header, describe, &asked, fd), 0);
	assert_int_equal(asked, 3);
	profile_free(profile);
}

/* At any limit: never wrong, and what was accepted can be written. */
static void
test_memory_limit(void **state)
{
	(void)state;
	for (size_t limit = 100; limit < 200000; limit = limit * 5 / 4) {
		struct profile *profile = profile_new(limit);
		Perftools__Profiles__Profile *message;
		struct arena arena;
		int64_t total = 0;
		size_t accepted = 0;
		int error = 0;

		for (uint64_t i = 0; !error; i++) {
			const struct profile_sample sample = {
				FRAMES({7, 0x1000 + i % 0x1000}, {7, 0x1000 + i / 7 % 100}),
				.tid = (uint32_t)i, .thread_name = "t", .count = 1};

			error = profile_add(profile, &sample);
			accepted += !error;
		}
		assert_int_equal(error, -ENOSPC);
		assert_int_equal(profile_sample_count(profile), accepted);
		message = decode(profile, &arena);
		check_consistency(message);
		for (size_t i = 0; i < message->n_sample; i++)
			total += message->sample[i]->value[1];
		assert_int_equal(total, accepted);
		arena_destroy(&arena);
		profile_clear(profile); /* and there is room again */
		if (accepted > 0)
			add(profile, &(struct profile_sample){.count = 1});
		profile_free(profile);
	}
}

static void
test_empty_profile(void **state)
{
	struct profile *profile = profile_new(0);
	Perftools__Profiles__Profile *message;
	struct arena arena;

	(void)state;
	assert_int_equal(profile_pseudo_frame(profile, "f", ""), 0);
	message = decode(profile, &arena);
	check_consistency(message);
	assert_int_equal(message->n_sample, 0);
	assert_string_equal(pprof_string(message, message->period_type->type), "cpu-time");
	arena_destroy(&arena);
	profile_free(profile);
}

static void
test_write_errors(void **state)
{
	struct profile *profile = profile_new(1 << 20);
	OWNED_FD sealed = memfd_create("profile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	OWNED_FD full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	fill(profile);
	assert_int_equal(profile_write(profile, &header, describe, NULL, -1), -EBADF);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(profile_write(profile, &header, describe, NULL, sealed), -EPERM);
	assert_int_equal(profile_write(profile, &header, describe, NULL, full), -ENOSPC);
	profile_free(profile);
}

/* Linked in place of write(2), see CMakeLists.txt: every second call is interrupted, the others write less
 * than they were asked to. */
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
static bool is_write_troubled;
static unsigned write_calls;

ssize_t
__wrap_write(int fd, const void *bytes, size_t size)
{
	if (!is_write_troubled)
		return __real_write(fd, bytes, size);
	if (write_calls++ % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	return __real_write(fd, bytes, size > 7 ? size / 2 : size);
}

static void
test_short_writes(void **state)
{
	struct profile *profile = profile_new(64 << 20);
	Perftools__Profiles__Profile *message;
	struct arena arena;

	(void)state;
	for (uint32_t i = 0; i < 30000; i++)
		add(profile,
		    &(struct profile_sample){FRAMES({7, 0x1000 + i % 0x1000}), .tid = i, .count = 1});
	is_write_troubled = true;
	message = decode(profile, &arena);
	is_write_troubled = false;
	assert_true(write_calls > 20);
	assert_int_equal(message->n_sample, 30000);
	check_consistency(message);
	arena_destroy(&arena);
	profile_free(profile);
}

/* Indexes of a stranger's message may point anywhere. */
static void
test_strings_out_of_range(void **state)
{
	char first[] = "", last[] = "last", *strings[] = {first, last};
	Perftools__Profiles__Profile message = PERFTOOLS__PROFILES__PROFILE__INIT;

	(void)state;
	message.string_table = strings;
	message.n_string_table = 2;
	assert_string_equal(pprof_string(&message, 1), "last");
	assert_string_equal(pprof_string(&message, 2), "");
	assert_string_equal(pprof_string(&message, -1), "");
	assert_string_equal(pprof_string(&message, INT64_MIN), "");
	assert_string_equal(pprof_basename("/usr/lib/libc.so.6"), "libc.so.6");
	assert_string_equal(pprof_basename("[vdso]"), "[vdso]");
	assert_string_equal(pprof_basename("/strange/"), "/strange/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protoc_reads_it),
		cmocka_unit_test(test_go_reads_it),
		cmocka_unit_test(test_random_stacks),
		cmocka_unit_test(test_what_makes_samples_equal),
		cmocka_unit_test(test_pseudo_frames_survive_clear),
		cmocka_unit_test(test_mappings_are_asked_for_once),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_empty_profile),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_strings_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
