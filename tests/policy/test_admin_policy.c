/* The policy means exactly what is written in it, or nothing: every other file is refused with its line. */

#include "policy/admin_policy.h"

#include "policy/limits.h"
#include "tests/support/folder.h"
#include "tests/support/random.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUPS                        \
	"root:x:0:\n"                 \
	"profilers:x:1001:a,b\n"      \
	"ops:x:1002:\n"               \
	"bad::\n"                     \
	"empty:x::\n"                 \
	"toolarge:x:4294967296:\n"    \
	"nobodyatall:x:4294967295:\n" \
	"notended:x:10"
#define USERS                                         \
	"root:x:0:0:root:/root:/bin/sh\n"             \
	"toor:x:0:5:root:/root:/bin/sh\n"             \
	"operator:x:11:0:operator:/root:/bin/sh\n"    \
	"ddprof:x:901:902::/nonexistent:/bin/false\n" \
	"other:x:901:999::/nonexistent:/bin/false\n"  \
	"1234:x:77:78::/:/bin/false\n"                \
	"short:x:12:34\n"                             \
	"nogroup:x:12::\n"                            \
	"last:x:1000:1000::/:/bin/sh"

static struct test_folder root;

static int
make_root(void **state)
{
	(void)state;
	test_folder_make(&root);
	test_folder_put(&root, "etc/group", GROUPS);
	test_folder_put(&root, "etc/passwd", USERS);
	return 0;
}

static int
remove_root(void **state)
{
	(void)state;
	test_folder_remove(&root);
	return 0;
}

/* From memory of exactly that size, so that a sanitizer sees a byte read beyond it. */
static int
parse(const char *text, size_t size, struct admin_policy *ret, struct admin_policy_problem *ret_problem)
{
	char *copy = malloc(size + !size);

	assert_non_null(copy);
	memcpy(copy, text, size);
	int result = admin_policy_parse(copy, size, root.fd, geteuid(), ret, ret_problem);
	free(copy);
	return result;
}

static struct admin_policy
parse_good(const char *text)
{
	struct admin_policy policy;
	struct admin_policy_problem problem = {0};

	if (parse(text, strlen(text), &policy, &problem) != 0)
		fail_msg("line %u (%s) of: %s", problem.line, strerror(problem.error), text);
	return policy;
}

static bool
is_untouched(const struct admin_policy *policy)
{
	for (size_t i = 0; i < sizeof(*policy); i++)
		if (((const unsigned char *)policy)[i] != 0xa5)
			return false;
	return true;
}

static void
expect_refused(const char *text, size_t size, unsigned line, int error)
{
	struct admin_policy policy;
	struct admin_policy_problem problem = {0};

	memset(&policy, 0xa5, sizeof(policy));
	int result = parse(text, size, &policy, &problem);
	if (result != -EINVAL || problem.line != line || problem.error != error)
		fail_msg("%d, line %u, %s; not line %u, %s: %s", result, problem.line,
			 strerror(problem.error), line, strerror(error), text);
	assert_true(is_untouched(&policy));
}

static void
expect_defaults(const struct admin_policy *policy)
{
	assert_int_equal(policy->group_count, 0);
	assert_int_equal(policy->events, 1u << EVENT_SCPU);
	assert_int_equal(policy->max_frequency_hz, FREQUENCY_POLICY_HZ);
	assert_int_equal(policy->max_stack_bytes, STACK_MAX_BYTES);
	assert_int_equal(policy->max_ring_bytes, SAMPLE_RING_MAX_BYTES);
	assert_false(policy->kernel_frames);
	assert_int_equal(policy->attach, SCOPE_NOBODY);
	assert_int_equal(policy->system_wide, SCOPE_NOBODY);
	assert_false(policy->has_worker_user);
}

static void
test_what_says_nothing_is_the_defaults(void **state)
{
	static const char *const texts[] = {
		"",      "\n",          "\n\n\n", "# only a comment", "# only a comment\n", "   \t \n",
		"\t# x", "#groups=a\n", "##\n#",  "# t\xc3\xa9st",
	};

	(void)state;
	expect_defaults(&admin_policy_defaults);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct admin_policy policy = parse_good(texts[i]);
		expect_defaults(&policy);
	}
}

static void
test_every_key(void **state)
{
	struct admin_policy policy = parse_good("groups = profilers, 7,ops\t,\t4294967294\n"
						"\n"
						"events=sCPU, sCPU\n"
						"  max_frequency =\t250   # less\n"
						"max_stack=1024\n"
						"max_ring = 131072\n"
						"kernel_frames = yes\n"
						"attach = root\n"
						"system_wide = root\n"
						"worker_user = ddprof");

	(void)state;
	assert_int_equal(policy.group_count, 4);
	assert_int_equal(policy.group[0], 1001);
	assert_int_equal(policy.group[1], 7);
	assert_int_equal(policy.group[2], 1002);
	assert_int_equal(policy.group[3], 4294967294u);
	assert_int_equal(policy.events, 1u << EVENT_SCPU);
	assert_int_equal(policy.max_frequency_hz, 250);
	assert_int_equal(policy.max_stack_bytes, 1024);
	assert_int_equal(policy.max_ring_bytes, 131072);
	assert_int_equal(policy.kernel_frames, 1);
	assert_int_equal(policy.attach, SCOPE_ROOT);
	assert_int_equal(policy.system_wide, SCOPE_ROOT);
	assert_true(policy.has_worker_user);
	assert_int_equal(policy.worker_uid, 901);
	assert_int_equal(policy.worker_gid, 902);
}

static void
test_values(void **state)
{
	(void)state;
	assert_int_equal(parse_good("attach = nobody\nsystem_wide = root").attach, SCOPE_NOBODY);
	assert_int_equal(parse_good("attach = nobody\nsystem_wide = root").system_wide, SCOPE_ROOT);
	assert_int_equal(parse_good("attach = root\nsystem_wide = nobody").attach, SCOPE_ROOT);
	assert_int_equal(parse_good("attach = root\nsystem_wide = nobody").system_wide, SCOPE_NOBODY);
	assert_int_equal(parse_good("max_frequency = 1").max_frequency_hz, 1);
	assert_int_equal(parse_good("max_frequency = 5000").max_frequency_hz, 5000);
	assert_int_equal(parse_good("max_stack = 65528").max_stack_bytes, 65528);
	assert_int_equal(parse_good("max_ring = 262144").max_ring_bytes, 262144);
	assert_false(parse_good("worker_user = caller").has_worker_user);
	/* the first of two entries; a number is never a name; a last entry without a newline */
	assert_int_equal(parse_good("worker_user = 901").worker_gid, 902);
	assert_int_equal(parse_good("worker_user = other").worker_gid, 999);
	assert_int_equal(parse_good("worker_user = last").worker_uid, 1000);
	assert_int_equal(parse_good("groups = 0").group[0], 0);
	assert_int_equal(parse_good("groups = root").group[0], 0);
	assert_int_equal(parse_good("groups = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16").group_count,
			 ADMIN_POLICY_MAX_GROUPS);
}

static void
test_refused_lines(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		int error;
	} refused[] = {
		/* the line */
		{"max_freq = 1", 1, EINVAL},
		{"max_frequency2 = 1", 1, EINVAL},
		{"Max_frequency = 1", 1, EINVAL},
		{"max frequency = 1", 1, EINVAL},
		{"\n# two\n\nnonsense\n", 4, EINVAL},
		{"max_frequency", 1, EINVAL},
		{"max_frequency 10", 1, EINVAL},
		{"max_frequency: 10", 1, EINVAL},
		{"= 10", 1, EINVAL},
		{"=", 1, EINVAL},
		{"max_frequency =", 1, EINVAL},
		{"\nmax_frequency = \t \n", 2, EINVAL},
		{"max_frequency = # 10", 1, EINVAL},
		{"max_frequency == 10", 1, EINVAL},
		{"max_frequency = 10\r\n", 1, EINVAL},
		{"# a comment\r\n", 1, EINVAL},
		{"# a bell \a", 1, EINVAL},
		{"# \033[8m hidden", 1, EINVAL},
		{"# \x7f", 1, EINVAL},
		{"\xef\xbb\xbfmax_frequency = 10", 1, EINVAL},
		{"max_frequency = 10\nattach = root\nmax_frequency = 10\n", 3, EEXIST},
		{"groups = 1\ngroups = 2", 2, EEXIST},
		{"events = sCPU\nevents = sCPU", 2, EEXIST},
		{"worker_user = caller\n\nworker_user = caller", 3, EEXIST},
		/* the first of two problems */
		{"max_frequency = 0\nmax_stack = 0", 1, ERANGE},
		/* numbers */
		{"max_frequency = 0", 1, ERANGE},
		{"max_frequency = 5001", 1, ERANGE},
		{"max_frequency = 4294967296", 1, ERANGE},
		{"max_frequency = 4294967297", 1, ERANGE},
		{"max_frequency = 18446744073709551617", 1, ERANGE},
		{"max_frequency = 184467440737095516170000000000000001", 1, ERANGE},
		{"max_frequency = -1", 1, EINVAL},
		{"max_frequency = +1", 1, EINVAL},
		{"max_frequency = 1 0", 1, EINVAL},
		{"max_frequency = 10Hz", 1, EINVAL},
		{"max_frequency = 0x10", 1, EINVAL},
		{"max_frequency = 1e2", 1, EINVAL},
		{"max_frequency = 99.0", 1, EINVAL},
		{"max_frequency = no", 1, EINVAL},
		{"max_stack = 1016", 1, ERANGE},
		{"max_stack = 1028", 1, ERANGE},
		{"max_stack = 65536", 1, ERANGE},
		{"max_stack = 32k", 1, EINVAL},
		{"max_ring = 65536", 1, ERANGE},
		{"max_ring = 131073", 1, ERANGE},
		{"max_ring = 196608", 1, ERANGE},
		{"max_ring = 4194304", 1, ERANGE},
		/* words */
		{"events = sideband", 1, EINVAL},
		{"events = sCPU, sideband", 1, EINVAL},
		{"events = scpu", 1, EINVAL},
		{"events = sCPU,", 1, EINVAL},
		{"events = ,sCPU", 1, EINVAL},
		{"events = sCPU sCPU", 1, EINVAL},
		{"kernel_frames = Yes", 1, EINVAL},
		{"kernel_frames = root", 1, EINVAL},
		{"kernel_frames = no\nkernel_frames = yes", 2, EEXIST},
		{"kernel_frames = nope", 1, EINVAL},
		{"kernel_frames = n", 1, EINVAL},
		{"kernel_frames = 0", 1, EINVAL},
		{"attach = everybody", 1, EINVAL},
		{"attach = Root", 1, EINVAL},
		{"attach = nobody, root", 1, EINVAL},
		{"system_wide = caller", 1, EINVAL},
		{"system_wide = no", 1, EINVAL},
		/* groups */
		{"# one\ngroups = profilers, unknown", 2, ENOENT},
		{"groups = profiler", 1, ENOENT},
		{"groups = profilerss", 1, ENOENT},
		{"groups = ops:x", 1, ENOENT},
		{"groups = profilers ops", 1, ENOENT},
		{"groups = bad", 1, ENOENT},
		{"groups = empty", 1, ENOENT},
		{"groups = toolarge", 1, ENOENT},
		{"groups = nobodyatall", 1, ENOENT},
		{"groups = notended", 1, ENOENT},
		{"groups = 4294967295", 1, ERANGE},
		{"groups = 4294967296", 1, ERANGE},
		{"groups = -1", 1, ENOENT},
		{"groups = ,", 1, EINVAL},
		{"groups = ops,", 1, EINVAL},
		{"groups = ops,,profilers", 1, EINVAL},
		{"groups = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 1, E2BIG},
		/* worker */
		{"worker_user = root", 1, EPERM},
		{"worker_user = 0", 1, EPERM},
		{"worker_user = 00", 1, EPERM},
		{"worker_user = toor", 1, EPERM},
		{"worker_user = operator", 1, EPERM},
		{"worker_user = 1234", 1, ENOENT},
		{"worker_user = short", 1, ENOENT},
		{"worker_user = nogroup", 1, ENOENT},
		{"worker_user = nosuchuser", 1, ENOENT},
		{"worker_user = ddprof, other", 1, ENOENT},
		{"worker_user = 4294967295", 1, ERANGE},
		{"worker_user = Caller", 1, ENOENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		expect_refused(refused[i].text, strlen(refused[i].text), refused[i].line, refused[i].error);
	expect_refused("\n\nattach = root\0", 16, 3, EINVAL);
	expect_refused("attach = nobody\n# x\0y\n", 22, 2, EINVAL);
	expect_refused("\0", 1, 1, EINVAL);
}

/* What is written in the shipped file as a default is the default; groups has none. */
static void
test_shipped_file(void **state)
{
	char text[ADMIN_POLICY_MAX_BYTES], enabled[ADMIN_POLICY_MAX_BYTES] = "";
	FILE *file = fopen(SHIPPED_POLICY, "re");
	unsigned settings = 0;

	(void)state;
	assert_non_null(file);
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = 0;
	struct admin_policy policy = parse_good(text);
	expect_defaults(&policy);

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (line[0] == '#' && islower((unsigned char)line[1])) {
			settings++;
			if (strncmp(line, "#groups = ", 10) != 0)
				strcat(strcat(enabled, line + 1), "\n");
		}
	assert_int_equal(settings, 9); /* all keys are shown */
	policy = parse_good(enabled);
	expect_defaults(&policy);
	/* and were really given: the same lines once more are refused */
	char *copy = strdup(enabled);
	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
		char twice[ADMIN_POLICY_MAX_BYTES + 256];
		int length = snprintf(twice, sizeof(twice), "%s%s\n", enabled, line);
		expect_refused(twice, (size_t)length, settings, EEXIST);
	}
	free(copy);
}

/* Names stand at a line's beginning; however long it is, and wherever a read(2) ends. */
static void
test_long_files(void **state)
{
	struct test_folder folder;
	size_t capacity = 1 << 20, size;
	char *text = malloc(capacity);
	struct admin_policy policy;
	struct admin_policy_problem problem;

	(void)state;
	assert_non_null(text);
	for (size_t filler = 4000; filler < 4140; filler++) {
		/* the entry's bytes fall on both sides of 4096 */
		size = (size_t)snprintf(text, capacity, "first:x:1:%0*d\nwanted:x:54321:m\n", (int)filler, 0);
		for (unsigned i = 0; i < 1000; i++)
			size += (size_t)snprintf(text + size, capacity - size, "member%u,", i);
		size += (size_t)snprintf(text + size, capacity - size, "wanted:x:666:\nhuge:x:7:");
		for (unsigned i = 0; i < 10000; i++)
			size += (size_t)snprintf(text + size, capacity - size, "member%u,", i);
		snprintf(text + size, capacity - size, "\nafter:x:8:last");
		test_folder_make(&folder);
		test_folder_put(&folder, "etc/group", text);
		const char *line = "groups = after, huge, wanted, first";
		assert_int_equal(
			admin_policy_parse(line, strlen(line), folder.fd, geteuid(), &policy, &problem), 0);
		assert_int_equal(policy.group[0], 8);
		assert_int_equal(policy.group[1], 7);
		assert_int_equal(policy.group[2], 54321);
		assert_int_equal(policy.group[3], 1);
		test_folder_remove(&folder);
	}

	/* an id that is cut off where a line is no longer kept is no id: every length of what is before it */
	for (size_t filler = 1; filler < 1100; filler++) {
		snprintf(text, capacity, "wanted:%0*d:12345678:\n", (int)filler, 0);
		test_folder_make(&folder);
		test_folder_put(&folder, "etc/group", text);
		int result =
			admin_policy_parse("groups = wanted", 15, folder.fd, geteuid(), &policy, &problem);
		assert_true(result == 0 || (result == -EINVAL && problem.error == ENOENT));
		assert_true(filler >= 256 || result == 0);
		if (result == 0)
			assert_int_equal(policy.group[0], 12345678);
		test_folder_remove(&folder);
	}
	free(text);
}

static bool
is_complete(const struct admin_policy *policy)
{
	return policy->group_count <= ADMIN_POLICY_MAX_GROUPS && policy->events == 1u << EVENT_SCPU &&
	       policy->max_frequency_hz >= 1 && policy->max_frequency_hz <= FREQUENCY_MAX_HZ &&
	       policy->max_stack_bytes >= STACK_MIN_BYTES && policy->max_stack_bytes <= STACK_MAX_BYTES &&
	       policy->max_stack_bytes % 8 == 0 && policy->max_ring_bytes >= SAMPLE_RING_MIN_BYTES &&
	       policy->max_ring_bytes <= SAMPLE_RING_MAX_BYTES && policy->kernel_frames <= 1 &&
	       (policy->attach == SCOPE_NOBODY || policy->attach == SCOPE_ROOT) &&
	       (policy->system_wide == SCOPE_NOBODY || policy->system_wide == SCOPE_ROOT) &&
	       (!policy->has_worker_user || (policy->worker_uid && policy->worker_gid));
}

static unsigned
count_lines(const char *text, size_t size)
{
	unsigned count = 1;

	for (size_t i = 0; i < size; i++)
		count += text[i] == '\n';
	return count;
}

static void
test_mutations(void **state)
{
	static const char good[] =
		"# a policy\ngroups = profilers, ops, 12\nevents = sCPU\n"
		"max_frequency = 100\nmax_stack = 32768\nmax_ring = 1048576\n"
		"kernel_frames = no\nattach = root\nsystem_wide = nobody\nworker_user = ddprof\n";
	static const char bytes[] = "\n\n\n==,,##  \t\r:0189";
	uint64_t random = 1;
	unsigned accepted = 0, rejected = 0;

	(void)state;
	for (unsigned round = 0; round < 30000; round++) {
		char text[2 * sizeof(good)];
		size_t size = sizeof(good) - 1;

		memcpy(text, good, size);
		for (uint64_t edits = 1 + random_below(&random, 4); edits; edits--) {
			size_t at = random_below(&random, size), length = random_below(&random, 20);

			switch (random_below(&random, 4)) {
			case 0:
				text[at] = (char)random_next(&random);
				break;
			case 1:
				text[at] = bytes[random_below(&random, sizeof(bytes))];
				break;
			case 2: /* cut the end off */
				size -= random_below(&random, 2) ? random_below(&random, size) : 0;
				break;
			default: /* repeat a piece elsewhere */
				length = length < size - at ? length : size - at;
				memmove(text + random_below(&random, size - length + 1), text + at, length);
			}
		}

		struct admin_policy policy;
		struct admin_policy_problem problem = {0};
		memset(&policy, 0xa5, sizeof(policy));
		int result = parse(text, size, &policy, &problem);
		if (result == 0) {
			accepted++;
			assert_true(is_complete(&policy));
		} else {
			rejected++;
			assert_int_equal(result, -EINVAL);
			assert_true(is_untouched(&policy));
			assert_in_range(problem.line, 1, count_lines(text, size));
			assert_true(problem.error > 0);
		}
	}
	assert_true(accepted > 100 && rejected > 10000); /* both ways are walked */
}

static void
test_who_may(void **state)
{
	const struct admin_policy some = {.group_count = 2, .group = {10, 20, 0, 40}};
	const gid_t in[] = {5, 20}, out[] = {5, 0, 40};

	(void)state;
	assert_true(admin_policy_allows_user(&admin_policy_defaults, 1000, NULL, 0));
	assert_true(admin_policy_allows_user(&some, 0, NULL, 0));
	assert_true(admin_policy_allows_user(&some, 0, out, 3));
	assert_true(admin_policy_allows_user(&some, 1000, in, 2));
	assert_false(admin_policy_allows_user(&some, 1000, in, 1));
	assert_false(admin_policy_allows_user(&some, 1000, out, 3)); /* beyond group_count is nothing */
	assert_false(admin_policy_allows_user(&some, 1000, NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_says_nothing_is_the_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused_lines),
		cmocka_unit_test(test_shipped_file),
		cmocka_unit_test(test_long_files),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_who_may),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
