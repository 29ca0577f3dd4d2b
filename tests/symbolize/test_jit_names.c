/* Profiles with code that processes made, as the unwinder hands them over: every name is of the right
 * process, and nothing is left that says where the code was. */

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/symbolize/dump_builder.h"
#include "worker/profile/decode.h"
#include "worker/profile/jit_mapping.h"
#include "worker/profile/profile.h"
#include "worker/symbolize/name_cache.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CODE 0x7f0011112000u

enum {
	FILE_MAPPING = 1,
	JIT_OF_10,
	JIT_OF_20,
	JIT_OF_KERNEL,
};

#define KERNEL_CODE 0xffffffff81000000u
#define KERNEL_OFFSET (CODE - KERNEL_CODE)

/* What the processes wrote; NULL: nothing. */
static struct {
	const char *map_of_10, *map_of_20;
	const struct dump_builder *dump_of_10;
	const char *kallsyms;
	int asked, asked_for_module, asked_for_kallsyms;
} world;

static int
open_jit(void *context, uint32_t pid, enum jit_file file)
{
	const char *map = pid == 10 ? world.map_of_10 : pid == 20 ? world.map_of_20 : NULL;

	(void)context;
	world.asked++;
	if (file == JIT_DUMP)
		return pid == 10 && world.dump_of_10 ? dump_file(world.dump_of_10) : -ENOENT;
	return map ? file_with(map) : -ENOENT;
}

static int
open_module(void *context, const char *path, const char *build_id)
{
	(void)context;
	(void)build_id;
	world.asked_for_module++;
	assert_string_equal(path, "/usr/bin/thing");
	return -ENOENT;
}

static int
open_kallsyms(void *context, uint64_t *ret_offset)
{
	(void)context;
	world.asked_for_kallsyms++;
	*ret_offset = KERNEL_OFFSET;
	return world.kallsyms ? file_with(world.kallsyms) : -ENOENT;
}

static bool
describe(void *context, uint32_t mapping, struct profile_mapping *ret)
{
	static const uint32_t pids[] = {10, 20, JIT_PID_OF_KERNEL};
	static char names[3][JIT_MAPPING_NAME_BYTES];

	(void)context;
	*ret = (struct profile_mapping){.memory_limit = 1 << 20, .path = "/usr/bin/thing", .build_id = ""};
	if (mapping == FILE_MAPPING)
		return true;
	jit_mapping_format(names[mapping - JIT_OF_10], pids[mapping - JIT_OF_10]);
	*ret = (struct profile_mapping){.memory_start = CODE,
					.memory_limit = CODE + 0x10000,
					.path = names[mapping - JIT_OF_10],
					.build_id = ""};
	return true;
}

/* ---- a profile in, one out ---- */

static struct profile *profile;

struct result {
	Perftools__Profiles__Profile *profile;
	struct arena arena;
	uint8_t *bytes;
	size_t size;
};

static void
add_sample(uint32_t mapping, uint64_t address)
{
	const struct profile_frame frames[] = {{mapping, address},
					       {FILE_MAPPING, 0x1000},
					       {0, profile_pseudo_frame(profile, "thing", "/usr/bin/thing")}};
	const struct profile_sample sample = {
		.frames = frames, .frame_count = 3, .pid = 10, .tid = 10, .cpu_time_ns = 5, .count = 1};

	assert_int_equal(profile_add(profile, &sample), 0);
}

static struct result
finish_with(const struct file_finder *finder, struct name_cache *cache)
{
	static const struct profile_header header = {.time_ns = 1, .duration_ns = 2, .period_ns = 3};
	const struct symbolize_options options = {.inlined_functions = true, .cache = cache};
	struct result result = {.arena.limit = 1 << 26};
	OWNED_FD fd = file_with("");
	struct stat status;

	assert_int_equal(profile_write(profile, &header, describe, NULL, fd), 0);
	profile_free(profile);
	profile = profile_new(1 << 24);
	assert_int_equal(fstat(fd, &status), 0);
	uint8_t *in = malloc((size_t)status.st_size);
	assert_int_equal(pread(fd, in, (size_t)status.st_size, 0), status.st_size);
	assert_int_equal(
		symbolize_profile(in, (size_t)status.st_size, finder, &options, &result.bytes, &result.size),
		0);
	assert_int_equal(pprof_decode(result.bytes, result.size, &result.arena, &result.profile), 0);
	free(in);
	return result;
}

static const struct file_finder finder = {
	.open_module = open_module, .open_jit = open_jit, .open_kallsyms = open_kallsyms};

static struct result
finish(void)
{
	return finish_with(&finder, NULL);
}

static void
forget(struct result *result)
{
	arena_destroy(&result->arena);
	free(result->bytes);
}

static const Perftools__Profiles__Location *
leaf_of(const struct result *result, size_t sample)
{
	for (size_t i = 0; i < result->profile->n_location; i++)
		if (result->profile->location[i]->id == result->profile->sample[sample]->location_id[0])
			return result->profile->location[i];
	fail_msg("sample %zu has a location that is not there", sample);
	return NULL;
}

static void
expect_leaf(const struct result *result, size_t sample, const char *name, const char *file, int64_t line)
{
	const Perftools__Profiles__Location *leaf = leaf_of(result, sample);
	const Perftools__Profiles__Function *function = NULL;

	assert_int_equal(leaf->n_line, 1);
	for (size_t i = 0; i < result->profile->n_function; i++)
		if (result->profile->function[i]->id == leaf->line[0]->function_id)
			function = result->profile->function[i];
	assert_non_null(function);
	assert_string_equal(pprof_string(result->profile, function->name), name);
	assert_string_equal(pprof_string(result->profile, function->filename), file);
	assert_int_equal(leaf->line[0]->line, line);
	assert_int_equal(leaf->address, 0);
	assert_int_equal(leaf->mapping_id, 0);
}

static void
expect_only_file_mapping(const struct result *result)
{
	assert_int_equal(result->profile->n_mapping, 1);
	assert_string_equal(pprof_string(result->profile, result->profile->mapping[0]->filename), "thing");
	for (size_t i = 0; i < result->profile->n_location; i++)
		assert_true(result->profile->location[i]->address < 1 << 20);
	assert_null(memmem(result->bytes, result->size, "[jit:", 5));
}

static int
start(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	profile = profile_new(1 << 24);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	profile_free(profile);
	return 0;
}

/* ---- tests ---- */

static void
test_each_process_has_its_own(void **state)
{
	(void)state;
	world.map_of_10 = "7f0011112000 40 ten\n7f0011113000 40 LazyCompile:~foo@1 /a b.js:12\n";
	world.map_of_20 = "7f0011112000 40 _ZN6twenty4mainEv\n";
	add_sample(JIT_OF_10, CODE);
	add_sample(JIT_OF_20, CODE);
	add_sample(JIT_OF_10, CODE + 0x1010);
	add_sample(JIT_OF_20, CODE + 0x1010);
	struct result result = finish();
	expect_leaf(&result, 0, "ten", "jit", 0);
	expect_leaf(&result, 1, "twenty::main()", "jit", 0);
	expect_leaf(&result, 2, "LazyCompile:~foo@1 /a b.js:12", "jit", 0);
	expect_leaf(&result, 3, "[anonymous]", "Anonymous", 0);
	expect_only_file_mapping(&result);
	assert_int_equal(world.asked, 4); /* two files of each */
	forget(&result);
}

/* One location for each line, whichever process and address; samples follow. */
static void
test_equal_locations_become_one(void **state)
{
	(void)state;
	world.map_of_10 = "7f0011112000 40 same\n7f0011113000 40 other\n";
	world.map_of_20 = "7f0011115000 40 same\n";
	for (uint64_t i = 0; i < 0x40; i++) {
		add_sample(JIT_OF_10, CODE + i);
		add_sample(JIT_OF_20, CODE + 0x3000 + i);
		add_sample(JIT_OF_10, CODE + 0x1000 + i);
		add_sample(JIT_OF_20, CODE + 0x8000 + i);
	}
	struct result result = finish();
	assert_int_equal(result.profile->n_sample, 256);
	assert_int_equal(result.profile->n_location, 5); /* with the file's and the root */
	for (size_t i = 0; i < 256; i += 4) {
		expect_leaf(&result, i, "same", "jit", 0);
		expect_leaf(&result, i + 1, "same", "jit", 0);
		expect_leaf(&result, i + 2, "other", "jit", 0);
		expect_leaf(&result, i + 3, "[anonymous]", "Anonymous", 0);
	}
	expect_only_file_mapping(&result);
	forget(&result);
}

static void
test_lines(void **state)
{
	static struct dump_builder dump;

	(void)state;
	dump_begin(&dump, 0);
	dump_lines(&dump, CODE);
	dump_line(&dump, CODE, "/src/a\tb.js", 7); /* no path: it has a control character */
	dump_load(&dump, CODE, 0x40, 1, "f");
	dump_lines(&dump, CODE + 0x40);
	dump_line(&dump, CODE + 0x40, "/src/a.js", 7);
	dump_line(&dump, CODE + 0x50, "/src/a.js", 8);
	dump_load(&dump, CODE + 0x40, 0x40, 2, "g");
	world.dump_of_10 = &dump;
	world.map_of_10 = "7f0011112000 40 of the map\n";
	add_sample(JIT_OF_10, CODE);
	add_sample(JIT_OF_10, CODE + 0x40);
	add_sample(JIT_OF_10, CODE + 0x50);
	add_sample(JIT_OF_10, CODE + 0x58);
	struct result result = finish();
	expect_leaf(&result, 0, "f", "jit", 0);
	expect_leaf(&result, 1, "g", "/src/a.js", 7);
	expect_leaf(&result, 2, "g", "/src/a.js", 8);
	expect_leaf(&result, 3, "g", "/src/a.js", 8);
	assert_int_equal(result.profile->n_location, 5);
	forget(&result);
}

/* The same address a minute later: code moves, so nothing of it is remembered. */
static void
test_nothing_is_kept(void **state)
{
	struct name_cache *cache = name_cache_new(1 << 20);

	(void)state;
	for (int round = 0; round < 2; round++) {
		world.map_of_10 = round ? "7f0011112000 40 second\n" : "7f0011112000 40 first\n";
		add_sample(JIT_OF_10, CODE);
		struct result result = finish_with(&finder, cache);
		expect_leaf(&result, 0, round ? "second" : "first", "jit", 0);
		forget(&result);
	}
	name_cache_free(cache);
}

/* Names are bytes of the target's: nothing in them reaches a terminal or a reader as it is. */
static void
test_names_are_escaped_and_cut(void **state)
{
	static char map[20000];

	(void)state;
	strcpy(map, "7f0011112000 40 a\033[31m\xff z\n7f0011113000 40 ");
	memset(map + strlen(map), 'n', 10000);
	strcat(map, "\n");
	world.map_of_10 = map;
	add_sample(JIT_OF_10, CODE);
	add_sample(JIT_OF_10, CODE + 0x1000);
	struct result result = finish();
	expect_leaf(&result, 0, "a\\x1b[31m\\xff z", "jit", 0);
	const char *longest = "";
	for (size_t i = 0; i < result.profile->n_string_table; i++)
		if (strlen(result.profile->string_table[i]) > strlen(longest))
			longest = result.profile->string_table[i];
	assert_in_range(strlen(longest), 1000, 1023);
	forget(&result);
}

/* Names without addresses; a module is where a file would be. What it is once it is for the whole boot. */
static void
test_kernel(void **state)
{
	struct name_cache *cache = name_cache_new(1 << 20);

	(void)state;
	world.map_of_10 = "7f0011112000 40 not the kernel\n";
	world.kallsyms = "ffffffff81000010 T first\n"
			 "ffffffff81000040 t _RNvC6kernel4main\n"
			 "ffffffff81001000 t ext4_read\t[ext4]\n";
	for (int round = 0; round < 2; round++) {
		add_sample(JIT_OF_10, CODE);
		add_sample(JIT_OF_KERNEL, CODE + 0x10);
		add_sample(JIT_OF_KERNEL, CODE + 0x3f);
		add_sample(JIT_OF_KERNEL, CODE + 0x40);
		add_sample(JIT_OF_KERNEL, CODE + 0x1000);
		add_sample(JIT_OF_KERNEL, CODE + 0xf);
		struct result result = finish_with(&finder, cache);
		expect_leaf(&result, 0, "not the kernel", "jit", 0);
		expect_leaf(&result, 1, "first", "[kernel]", 0);
		expect_leaf(&result, 2, "first", "[kernel]", 0);
		expect_leaf(&result, 3, "kernel::main", "[kernel]", 0);
		expect_leaf(&result, 4, "ext4_read", "[ext4]", 0);
		expect_leaf(&result, 5, "[kernel]", "[kernel]", 0);
		assert_int_equal(result.profile->n_location, 7); /* with the file's and the root */
		expect_only_file_mapping(&result);
		forget(&result);
		assert_int_equal(world.asked_for_kallsyms,
				 round + 1); /* the one without a name is asked again */
		world.kallsyms = "ffffffff81000010 T other\nffffffff81001000 t another\n";
	}
	add_sample(JIT_OF_KERNEL, CODE + 0x10);
	struct result result = finish_with(&finder, cache);
	expect_leaf(&result, 0, "first", "[kernel]", 0);
	assert_int_equal(world.asked_for_kallsyms, 2);
	forget(&result);
	name_cache_free(cache);
}

static void
test_kernel_without_symbols(void **state)
{
	const struct file_finder blind = {.open_module = open_module};

	(void)state;
	for (int round = 0; round < 2; round++) {
		add_sample(JIT_OF_KERNEL, CODE);
		add_sample(JIT_OF_KERNEL, CODE + 0x1000);
		struct result result = finish_with(round ? &finder : &blind, NULL);
		expect_leaf(&result, 0, "[kernel]", "[kernel]", 0);
		expect_leaf(&result, 1, "[kernel]", "[kernel]", 0);
		expect_only_file_mapping(&result);
		forget(&result);
	}
}

static void
test_nobody_to_ask(void **state)
{
	const struct file_finder blind = {.open_module = open_module};

	(void)state;
	add_sample(JIT_OF_10, CODE);
	add_sample(JIT_OF_20, CODE);
	struct result result = finish_with(&blind, NULL);
	expect_leaf(&result, 0, "[anonymous]", "Anonymous", 0);
	expect_leaf(&result, 1, "[anonymous]", "Anonymous", 0);
	expect_only_file_mapping(&result);
	forget(&result);
}

/* A map that cannot be read within the budget is counted. */
static void
test_too_much_to_read(void **state)
{
	const size_t size = 300 << 20;
	char *map = malloc(size + 1);

	(void)state;
	assert_non_null(map);
	memset(map, '\n', size);
	map[size] = 0;
	memcpy(map, "7f0011112000 40 first\n", 22);
	memcpy(map + size - 22, "7f0011113000 40 last.\n", 22);
	world.map_of_10 = map;
	add_sample(JIT_OF_10, CODE);
	add_sample(JIT_OF_10, CODE + 0x1000);
	struct result result = finish();
	free(map);
	expect_leaf(&result, 0, "[anonymous]", "Anonymous", 0);
	expect_leaf(&result, 1, "last.", "jit", 0);
	assert_int_equal(result.profile->n_comment, 1);
	assert_string_equal(pprof_string(result.profile, result.profile->comment[0]),
			    "ddprof.jit.over_budget=1");
	forget(&result);
}

static void
test_mapping_names(void **state)
{
	static const char *const others[] = {"",         "[jit:]",   "[jit:1",   "[jit:1]x",
					     "[jit:01]", "[jit:-1]", "[jit: 1]", "[jit:4294967296]",
					     "/[jit:1]", "[jit:1x]", "[vdso]",   "[jit:99999999999999999999]",
					     "jit",      "[JIT:1]"};
	static const uint32_t pids[] = {0, 1, 77, 4194304, UINT32_MAX};
	char name[JIT_MAPPING_NAME_BYTES];
	uint32_t pid;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(jit_mapping_parse(others[i], &pid));
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		jit_mapping_format(name, pids[i]);
		assert_true(jit_mapping_parse(name, &pid));
		assert_int_equal(pid, pids[i]);
	}
}

#define NAMES_TEST(test) cmocka_unit_test_setup_teardown(test, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NAMES_TEST(test_each_process_has_its_own),
		NAMES_TEST(test_equal_locations_become_one),
		NAMES_TEST(test_lines),
		NAMES_TEST(test_nothing_is_kept),
		NAMES_TEST(test_names_are_escaped_and_cut),
		NAMES_TEST(test_kernel),
		NAMES_TEST(test_kernel_without_symbols),
		NAMES_TEST(test_nobody_to_ask),
		NAMES_TEST(test_too_much_to_read),
		NAMES_TEST(test_mapping_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
