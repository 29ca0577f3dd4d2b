/* The whole function: a profile over real files in, names out, held against nm and c++filt's own way. */
#include "ipc/fd.h"
#include "tests/symbolize/support.h"
#include "worker/base/file_identity.h"
#include "worker/profile/decode.h"
#include "worker/profile/profile.h"
#include "worker/symbolize/name_cache.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* What the tests' file_finder does and remembers. */
struct opener {
	const char *path; /* opened in place of what was asked for; NULL: what was asked for */
	int error;        /* or this answer */
	int asked;
	char last_path[512], last_build_id[128];
};

static const struct symbolize_options only_symbols; /* not the lines of the hand-written assembly */

static int
open_file(void *context, const char *path, const char *build_id)
{
	struct opener *opener = context;

	opener->asked++;
	snprintf(opener->last_path, sizeof(opener->last_path), "%s", path);
	snprintf(opener->last_build_id, sizeof(opener->last_build_id), "%s", build_id);
	if (opener->error)
		return opener->error;
	return open(opener->path ? opener->path : path, O_RDONLY | O_CLOEXEC);
}

#define FINDER(opener) ((struct file_finder){.open_module = open_file, .context = (opener)})

static struct profile_header header = {.time_ns = 1, .duration_ns = 2, .period_ns = 3};

static bool
describe(void *context, uint32_t mapping, struct profile_mapping *ret)
{
	*ret = ((const struct profile_mapping *)context)[mapping - 1];
	return true;
}

/* One sample per address, all in mapping 1 + index % mappings. */
static uint8_t *
profile_of(const uint64_t *addresses, size_t count, const struct profile_mapping *mappings,
	   size_t mapping_count, size_t *ret_size)
{
	struct profile *profile = profile_new(64 << 20);
	OWNED_FD fd = memfd_create("profile", MFD_CLOEXEC);
	uint64_t root = profile_pseudo_frame(profile, "root", "/usr/bin/root");
	struct stat status;
	uint8_t *bytes;

	for (size_t i = 0; i < count; i++) {
		const struct profile_frame frames[] = {{(uint32_t)(1 + i % mapping_count), addresses[i]},
						       {0, root}};
		const struct profile_sample sample = {
			.frames = frames, .frame_count = 2, .pid = 1, .tid = 1, .count = 1};

		assert_int_equal(profile_add(profile, &sample), 0);
	}
	assert_int_equal(profile_write(profile, &header, describe, (void *)mappings, fd), 0);
	profile_free(profile);
	assert_int_equal(fstat(fd, &status), 0);
	bytes = malloc((size_t)status.st_size);
	assert_int_equal(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
	*ret_size = (size_t)status.st_size;
	return bytes;
}

struct result {
	Perftools__Profiles__Profile *profile;
	struct arena arena;
};

static struct result
symbolize(const uint64_t *addresses, size_t count, const struct profile_mapping *mappings,
	  size_t mapping_count, struct opener *opener)
{
	struct result result = {.arena.limit = 1 << 28};
	uint8_t *out;
	size_t size, out_size;
	uint8_t *in = profile_of(addresses, count, mappings, mapping_count, &size);

	assert_int_equal(symbolize_profile(in, size, &FINDER(opener), &only_symbols, &out, &out_size), 0);
	assert_int_equal(pprof_decode(out, out_size, &result.arena, &result.profile), 0);
	free(in);
	free(out);
	return result;
}

static const Perftools__Profiles__Function *
function_at(const struct result *result, uint64_t address)
{
	for (size_t i = 0; i < result->profile->n_location; i++) {
		const Perftools__Profiles__Location *location = result->profile->location[i];

		if (location->address != address || location->mapping_id == 0)
			continue;
		assert_int_equal(location->n_line, 1);
		assert_int_equal(location->line[0]->line, 0);
		for (size_t f = 0; f < result->profile->n_function; f++)
			if (result->profile->function[f]->id == location->line[0]->function_id)
				return result->profile->function[f];
	}
	fail_msg("no location at %#lx", (unsigned long)address);
	return NULL;
}

static const char *
name_at(const struct result *result, uint64_t address)
{
	return pprof_string(result->profile, function_at(result, address)->name);
}

/* The addresses and demangled names of the fixture's functions as nm has them. */
struct truth {
	uint64_t address;
	char name[4096];
};

static size_t
read_truth(struct truth *list, size_t room)
{
	FILE *nm = popen(NM " -C -S --defined-only " FIXTURE, "r");
	char line[8192];
	size_t count = 0;

	while (count < room && fgets(line, sizeof(line), nm)) {
		unsigned long address, size;
		char kind;
		int at;

		if (sscanf(line, "%lx %lx %c %n", &address, &size, &kind, &at) != 3 || !strchr("tTwWi", kind))
			continue;
		line[strcspn(line, "\n")] = '\0';
		list[count].address = address;
		snprintf(list[count++].name, sizeof(list->name), "%s", line + at);
	}
	pclose(nm);
	return count;
}

/* Equal, or cut where we cut. */
static bool
is_same_name(const char *ours, const char *theirs)
{
	size_t length = strlen(ours);

	if (length > 1000 && strcmp(ours + length - 3, "\xe2\x80\xa6") == 0)
		return strncmp(ours, theirs, length - 3) == 0;
	return strcmp(ours, theirs) == 0;
}

static void
test_against_nm(void **state)
{
	enum { ROOM = 1000 };
	static struct truth truth[ROOM];
	static uint64_t addresses[ROOM];
	char *id = build_id_of(FIXTURE);
	const struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = id};
	struct opener opener = {0};
	struct result result;
	size_t count, rust = 0;

	(void)state;
	if (!NM[0])
		skip();
	count = read_truth(truth, ROOM);
	assert_true(count > 20);
	for (size_t i = 0; i < count; i++)
		addresses[i] = truth[i].address;
	result = symbolize(addresses, count, &mapping, 1, &opener);
	assert_int_equal(opener.asked, 1);
	assert_string_equal(opener.last_path, FIXTURE);
	assert_string_equal(opener.last_build_id, id);
	for (size_t i = 0; i < count; i++) {
		const char *name = name_at(&result, truth[i].address);
		bool found = false;

		for (size_t alias = 0; alias < count; alias++)
			found |= truth[alias].address == truth[i].address &&
				 is_same_name(name, truth[alias].name);
		if (!found)
			print_error("%#lx: we say %s, nm says %s\n", (unsigned long)truth[i].address, name,
				    truth[i].name);
		assert_true(found);
		rust += strcmp(name, "core::fmt::Formatter::pad") == 0 ||
			strcmp(name, "mycrate::foo::bar") == 0;
	}
	assert_int_equal(rust, 2);
	assert_string_equal(pprof_string(result.profile, result.profile->mapping[0]->filename),
			    "symbolize_fixture");
	assert_string_equal(pprof_string(result.profile, result.profile->mapping[0]->build_id), id);
	assert_true(result.profile->mapping[0]->has_functions);
	assert_string_equal(pprof_string(result.profile, function_at(&result, addresses[0])->filename),
			    "symbolize_fixture");
	assert_int_equal(function_at(&result, addresses[0])->system_name, 0);
	free(id);
	arena_destroy(&result.arena);
}

/* The names must not be used, and the reader must still see where the time went. */
static void
check_unnamed(const struct profile_mapping *mapping, struct opener *opener)
{
	const uint64_t address = 0x1234;
	struct result result = symbolize(&address, 1, mapping, 1, opener);

	assert_string_equal(name_at(&result, address), "symbolize_fixture+0x1234");
	assert_false(result.profile->mapping[0]->has_functions);
	assert_string_equal(pprof_string(result.profile, result.profile->mapping[0]->filename),
			    "symbolize_fixture");
	arena_destroy(&result.arena);
}

static void
test_files_that_cannot_be_had(void **state)
{
	struct profile_mapping mapping = {.memory_start = 0,
					  .memory_limit = 1 << 30,
					  .path = "/gone/symbolize_fixture",
					  .build_id = ""};

	(void)state;
	check_unnamed(&mapping, &(struct opener){.error = -ENOENT});
	check_unnamed(&mapping, &(struct opener){.error = -EPERM});
	check_unnamed(&mapping, &(struct opener){.path = "/dev/null"});
	check_unnamed(&mapping, &(struct opener){.path = "/etc/passwd"});
	mapping.path = "symbolize_fixture"; /* not a path: must not even be asked for */
	struct opener opener = {.path = FIXTURE};

	check_unnamed(&mapping, &opener);
	assert_int_equal(opener.asked, 0);
}

static void
test_replaced_file(void **state)
{
	uint64_t address = 0;
	char *id = build_id_of(FIXTURE);
	struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = id};
	struct opener opener = {0};
	static struct truth truth[2];
	struct result result;

	(void)state;
	if (!NM[0])
		skip();
	assert_true(read_truth(truth, 2) == 2);
	address = truth[1].address;
	result = symbolize(&address, 1, &mapping, 1, &opener);
	assert_null(strstr(name_at(&result, address), "+0x"));
	arena_destroy(&result.arena);

	id[0] = id[0] == 'a' ? 'b' : 'a';
	result = symbolize(&address, 1, &mapping, 1, &opener);
	assert_int_equal(opener.asked, 2);
	assert_non_null(strstr(name_at(&result, address), "symbolize_fixture+0x"));
	arena_destroy(&result.arena);
	free(id);
}

/* Two segments of a file and a second file: each opened once, mappings kept apart. */
static void
test_files_are_opened_once(void **state)
{
	char *id = build_id_of(FIXTURE);
	const struct profile_mapping mappings[] = {
		{.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = id},
		{.memory_start = 0, .memory_limit = 1 << 29, .path = "/usr/lib/other.so", .build_id = "00"},
		{.memory_start = 0, .memory_limit = 1 << 28, .path = FIXTURE, .build_id = id},
	};
	uint64_t addresses[30];
	struct opener opener = {.path = FIXTURE};
	struct result result;

	(void)state;
	for (size_t i = 0; i < 30; i++)
		addresses[i] = 0x1000 + i;
	result = symbolize(addresses, 30, mappings, 3, &opener);
	assert_int_equal(opener.asked, 2);
	assert_string_equal(name_at(&result, 0x1001), "other.so+0x1001");
	assert_int_equal(result.profile->n_mapping, 3);
	arena_destroy(&result.arena);
	free(id);
}

/* clock_gettime's place in our own vdso, found the long way round. */
static void
test_vdso(void **state)
{
	const struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 0x4000, .path = "[vdso]", .build_id = ""};
	static uint64_t addresses[0x4000];
	struct opener opener = {0};
	struct result result;
	bool found = false;

	(void)state;
	if (!getauxval(AT_SYSINFO_EHDR))
		skip();
	for (size_t i = 0; i < 0x4000; i++)
		addresses[i] = i;
	result = symbolize(addresses, 0x4000, &mapping, 1, &opener);
	assert_int_equal(opener.asked, 0);
	for (size_t i = 0; i < result.profile->n_function; i++)
		found |= strcmp(pprof_string(result.profile, result.profile->function[i]->name),
				"__vdso_clock_gettime") == 0;
	assert_true(found);
	assert_string_equal(pprof_string(result.profile, result.profile->mapping[0]->filename), "[vdso]");
	arena_destroy(&result.arena);
}

/* A second run changes nothing: the same bytes. */
static void
test_idempotent(void **state)
{
	const struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = ""};
	uint64_t addresses[500];
	struct opener opener = {0};
	uint8_t *in, *first, *second;
	size_t size, first_size, second_size;

	(void)state;
	for (size_t i = 0; i < 500; i++)
		addresses[i] = 0x1000 + i * 16;
	in = profile_of(addresses, 500, &mapping, 1, &size);
	assert_int_equal(symbolize_profile(in, size, &FINDER(&opener), &only_symbols, &first, &first_size),
			 0);
	assert_int_equal(
		symbolize_profile(first, first_size, &FINDER(&opener), &only_symbols, &second, &second_size),
		0);
	assert_int_equal(opener.asked, 1);
	assert_int_equal(first_size, second_size);
	assert_memory_equal(first, second, first_size);
	free(in);
	free(first);
	free(second);
}

/* Descriptors: as many as before, whatever happens. */
static void
test_descriptors(void **state)
{
	const struct profile_mapping good = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = ""};
	const struct profile_mapping stale = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = "0123"};
	const struct profile_mapping bad = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = "/etc/passwd", .build_id = ""};
	const uint64_t address = 0x1000;
	struct opener opener = {0};
	int before = dup(0), after;

	(void)state;
	close(before);
	for (int i = 0; i < 10; i++) {
		struct result result = symbolize(&address, 1, &good, 1, &opener);
		arena_destroy(&result.arena);
		result = symbolize(&address, 1, &stale, 1, &opener);
		arena_destroy(&result.arena);
		result = symbolize(&address, 1, &bad, 1, &opener);
		arena_destroy(&result.arena);
	}
	assert_int_equal(opener.asked, 30);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

/* Functions may come in another order. */
static void
assert_same_names(const uint8_t *one, size_t one_size, const uint8_t *other, size_t other_size,
		  const uint64_t *addresses, size_t count)
{
	struct result first = {.arena.limit = 64 << 20}, second = first;

	assert_int_equal(pprof_decode(one, one_size, &first.arena, &first.profile), 0);
	assert_int_equal(pprof_decode(other, other_size, &second.arena, &second.profile), 0);
	assert_int_equal(first.profile->n_function, second.profile->n_function);
	assert_int_equal(first.profile->mapping[0]->has_functions, second.profile->mapping[0]->has_functions);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(name_at(&first, addresses[i]), name_at(&second, addresses[i]));
		assert_string_equal(
			pprof_string(first.profile, function_at(&first, addresses[i])->filename),
			pprof_string(second.profile, function_at(&second, addresses[i])->filename));
	}
	arena_destroy(&first.arena);
	arena_destroy(&second.arena);
}

/* A second profile of the same code: the same names, from a file that is not opened any more, also when it
 * has more code than the cache can keep. */
static void
test_cache(void **state)
{
	enum { ADDRESSES = 500 };
	static const size_t limits[] = {16 << 20, 64 << 10, 0};
	static uint64_t addresses[ADDRESSES];
	char *id = build_id_of(FIXTURE);
	const struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = id};
	uint8_t *in, *plain;
	size_t size, plain_size;
	struct opener opener = {0};

	(void)state;
	for (size_t i = 0; i < ADDRESSES; i++)
		addresses[i] = 0x1000 + i * 16;
	in = profile_of(addresses, ADDRESSES, &mapping, 1, &size);
	assert_int_equal(symbolize_profile(in, size, &FINDER(&opener), &only_symbols, &plain, &plain_size),
			 0);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct symbolize_options options = {false, name_cache_new(limits[i])};

		opener.asked = 0;
		for (int round = 0; round < 3; round++) {
			uint8_t *out;
			size_t out_size;

			assert_int_equal(
				symbolize_profile(in, size, &FINDER(&opener), &options, &out, &out_size), 0);
			assert_same_names(plain, plain_size, out, out_size, addresses, ADDRESSES);
			free(out);
		}
		assert_int_equal(opener.asked, i == 0 ? 1 : 3);
		name_cache_free(options.cache);
	}
	/* without a build id nobody knows whether it is the same file */
	const struct profile_mapping nameless = {.memory_limit = 1 << 30, .path = FIXTURE, .build_id = ""};
	const struct symbolize_options options = {false, name_cache_new(limits[0])};
	opener.asked = 0;
	free(in);
	free(plain);
	in = profile_of(addresses, ADDRESSES, &nameless, 1, &size);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(symbolize_profile(in, size, &FINDER(&opener), &options, &plain, &plain_size),
				 0);
		free(plain);
	}
	assert_int_equal(opener.asked, 2);
	name_cache_free(options.cache);
	free(in);
	free(id);
}

static size_t
comments_with(const struct result *result, const char *prefix)
{
	size_t count = 0;

	for (size_t i = 0; i < result->profile->n_comment; i++)
		count += strncmp(pprof_string(result->profile, result->profile->comment[i]), prefix,
				 strlen(prefix)) == 0;
	return count;
}

/* Known by what the profile says of it, once; without that, or of another size, or two of them: no names. */
static void
test_files_without_build_id(void **state)
{
	static struct truth list[1];
	const struct profile_mapping mapping = {.memory_limit = 1 << 30, .path = FIXTURE, .build_id = ""};
	struct file_identity identity, larger;
	char right[4200], wrong[4200], elsewhere[4200];
	struct opener opener = {0};
	OWNED_FD fd = open(FIXTURE, O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(read_truth(list, 1), 1);
	assert_int_equal(file_identity_of(fd, &identity), 0);
	larger = identity;
	larger.size_bytes++;
	assert_true(file_identity_format(&identity, 1, FIXTURE, right, sizeof(right)) > 0);
	assert_true(file_identity_format(&larger, 2, FIXTURE, wrong, sizeof(wrong)) > 0);
	assert_true(file_identity_format(&larger, 3, FIXTURE ".so", elsewhere, sizeof(elsewhere)) > 0);
	const struct {
		const char *comments[5];
		bool is_named;
	} cases[] = {
		{{"kept=1", right, NULL}, true},   {{"kept=1", NULL}, false},
		{{wrong, "kept=1", NULL}, false},  {{right, "kept=1", wrong, NULL}, false},
		{{wrong, right, "kept=1"}, false}, {{elsewhere, right, "kept=1"}, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		header.comments = cases[i].comments;
		struct result result = symbolize(&list[0].address, 1, &mapping, 1, &opener);

		header.comments = NULL;
		assert_int_equal(strstr(name_at(&result, list[0].address), "+0x") == NULL, cases[i].is_named);
		assert_int_equal(comments_with(&result, "ddprof.modules_changed=1"), !cases[i].is_named);
		assert_int_equal(comments_with(&result, "kept=1"), 1);
		assert_int_equal(comments_with(&result, FILE_IDENTITY_PREFIX), 0);
		arena_destroy(&result.arena);
	}
}

static void
test_not_a_profile(void **state)
{
	struct opener opener = {0};
	uint8_t *out = NULL;
	size_t size = 0;
	static const char *const inputs[] = {"", "\x1f\x8b", "hello", "\x08\x01", "\x32\x01x"};

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		assert_int_equal(symbolize_profile((const uint8_t *)inputs[i], strlen(inputs[i]),
						   &FINDER(&opener), &only_symbols, &out, &size),
				 -EBADMSG);
	assert_null(out);
}

/* Any bytes: an answer, and if it is a profile, one that decodes. */
static void
test_mutated_profiles(void **state)
{
	const struct profile_mapping mapping = {
		.memory_start = 0, .memory_limit = 1 << 30, .path = FIXTURE, .build_id = ""};
	uint64_t addresses[40];
	struct opener opener = {0};
	uint32_t random = 7;
	uint8_t *in;
	size_t size, accepted = 0, rejected = 0;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		addresses[i] = 0x1000 + i * 64;
	in = profile_of(addresses, 40, &mapping, 1, &size);
	for (int round = 0; round < 3000; round++) {
		size_t cut = round % 5 == 0 ? (random >> 4) % size : size;
		uint8_t *copy = malloc(cut + 1), *out;
		size_t out_size;
		int error;

		memcpy(copy, in, cut);
		for (int i = 0; cut && i < 1 + round % 4; i++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % cut] = (uint8_t)(random >> 2);
		}
		error = symbolize_profile(copy, cut, &FINDER(&opener), &only_symbols, &out, &out_size);
		if (error) {
			assert_true(error == -EBADMSG || error == -ENOMEM);
			rejected++;
		} else {
			struct arena arena = {.limit = 1 << 26};
			Perftools__Profiles__Profile *profile;

			assert_int_equal(pprof_decode(out, out_size, &arena, &profile), 0);
			arena_destroy(&arena);
			free(out);
			accepted++;
		}
		free(copy);
	}
	assert_true(accepted > 100 && rejected > 100);
	free(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_nm),
		cmocka_unit_test(test_files_that_cannot_be_had),
		cmocka_unit_test(test_replaced_file),
		cmocka_unit_test(test_files_are_opened_once),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_idempotent),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_files_without_build_id),
		cmocka_unit_test(test_not_a_profile),
		cmocka_unit_test(test_mutated_profiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
