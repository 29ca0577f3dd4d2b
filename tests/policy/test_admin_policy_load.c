/* A policy is believed only where nobody but its owner can have put or changed it: each step of the way is
 * made wrong in each way, and loading must fail with the reason, never with the defaults. */

#include "policy/admin_policy.h"

#include "policy/limits.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define POLICY "etc/ddprof/policy.conf"
#define TEXT "groups = profilers\nmax_frequency = 50\n"

static struct test_folder root;

static int
make_root(void **state)
{
	(void)state;
	umask(022);
	test_folder_make(&root);
	test_folder_put(&root, "etc/group", "profilers:x:1001:\n");
	test_folder_put(&root, POLICY, TEXT);
	return 0;
}

static int
remove_root(void **state)
{
	(void)state;
	test_folder_remove(&root);
	return 0;
}

static int
load(int fd, struct admin_policy *ret, struct admin_policy_problem *ret_problem)
{
	return admin_policy_load(fd, geteuid(), ret, ret_problem);
}

static void
expect_loaded(void)
{
	struct admin_policy policy;
	struct admin_policy_problem problem;

	assert_int_equal(load(root.fd, &policy, &problem), 0);
	assert_int_equal(policy.max_frequency_hz, 50);
	assert_int_equal(policy.group_count, 1);
	assert_int_equal(policy.group[0], 1001);
}

static void
expect_default(void)
{
	struct admin_policy policy;
	struct admin_policy_problem problem;

	assert_int_equal(load(root.fd, &policy, &problem), 0);
	assert_int_equal(policy.max_frequency_hz, FREQUENCY_POLICY_HZ);
	assert_int_equal(policy.group_count, 0);
}

static void
expect_refused_on(unsigned line, int error)
{
	struct admin_policy policy, before;
	struct admin_policy_problem problem = {0};

	memset(&policy, 0xa5, sizeof(policy));
	before = policy;
	assert_int_equal(load(root.fd, &policy, &problem), line ? -EINVAL : -error);
	assert_int_equal(problem.line, line);
	assert_int_equal(problem.error, error);
	assert_memory_equal(&policy, &before, sizeof(policy));
}

static void
expect_refused(int error)
{
	expect_refused_on(0, error);
}

static void
test_loads(void **state)
{
	(void)state;
	expect_loaded();
	/* a descriptor one cannot read by is enough */
	int fd = open(root.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct admin_policy policy;
	struct admin_policy_problem problem;
	assert_int_equal(load(fd, &policy, &problem), 0);
	assert_int_equal(policy.max_frequency_hz, 50);
	close(fd);
}

static void
test_absent_is_the_defaults(void **state)
{
	static const char *const absent[] = {POLICY, "etc/ddprof", "etc"};

	(void)state;
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		assert_int_equal(renameat(root.fd, absent[i], root.fd, "away"), 0);
		expect_default();
		assert_int_equal(renameat(root.fd, "away", root.fd, absent[i]), 0);
	}
	expect_loaded();
}

static void
test_symbolic_links(void **state)
{
	static const char *const linked[] = {POLICY, "etc/ddprof", "etc"};

	(void)state;
	for (size_t i = 0; i < sizeof(linked) / sizeof(linked[0]); i++) {
		char target[128];

		assert_int_equal(renameat(root.fd, linked[i], root.fd, "away"), 0);
		snprintf(target, sizeof(target), "%s/away", root.path);
		assert_int_equal(symlinkat(target, root.fd, linked[i]), 0);
		expect_refused(ELOOP);
		assert_int_equal(unlinkat(root.fd, linked[i], 0), 0);
		assert_int_equal(symlinkat("nowhere", root.fd, linked[i]), 0); /* dangling is not absent */
		expect_refused(ELOOP);
		assert_int_equal(unlinkat(root.fd, linked[i], 0), 0);
		assert_int_equal(renameat(root.fd, "away", root.fd, linked[i]), 0);
	}
	assert_int_equal(renameat(root.fd, "etc/group", root.fd, "etc/away"), 0);
	assert_int_equal(symlinkat("away", root.fd, "etc/group"), 0);
	expect_refused_on(1, ELOOP);
	assert_int_equal(renameat(root.fd, "etc/away", root.fd, "etc/group"), 0);
	expect_loaded();
}

static void
test_other_kinds_of_files(void **state)
{
	(void)state;
	assert_int_equal(renameat(root.fd, POLICY, root.fd, "away"), 0);
	assert_int_equal(mkfifoat(root.fd, POLICY, 0644), 0);
	expect_refused(EINVAL); /* and not after a writer came */
	assert_int_equal(unlinkat(root.fd, POLICY, 0), 0);
	assert_int_equal(mkdirat(root.fd, POLICY, 0755), 0);
	expect_refused(EINVAL);
	assert_int_equal(unlinkat(root.fd, POLICY, AT_REMOVEDIR), 0);
	assert_int_equal(renameat(root.fd, "away", root.fd, POLICY), 0);

	assert_int_equal(renameat(root.fd, "etc/ddprof", root.fd, "away"), 0);
	test_folder_put(&root, "etc/ddprof", "a file\n");
	expect_refused(EINVAL);
	assert_int_equal(unlinkat(root.fd, "etc/ddprof", 0), 0);
	assert_int_equal(renameat(root.fd, "away", root.fd, "etc/ddprof"), 0);

	assert_int_equal(renameat(root.fd, "etc/group", root.fd, "away"), 0);
	assert_int_equal(mkfifoat(root.fd, "etc/group", 0644), 0);
	expect_refused_on(1, EINVAL);
	assert_int_equal(renameat(root.fd, "away", root.fd, "etc/group"), 0);
	expect_loaded();
}

static const struct {
	const char *path;
	mode_t mode;
	unsigned line; /* where it is only needed for a name */
} steps[] = {
	{".", 0700, 0}, {"etc", 0755, 0}, {"etc/ddprof", 0755, 0}, {POLICY, 0644, 0}, {"etc/group", 0644, 1},
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static void
test_writable_by_others(void **state)
{
	static const mode_t bad[] = {S_IWGRP, S_IWOTH, S_IWOTH | S_ISVTX, S_IWGRP | S_IWOTH};

	(void)state;
	for (size_t i = 0; i < STEP_COUNT; i++) {
		for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			assert_int_equal(fchmodat(root.fd, steps[i].path, steps[i].mode | bad[j], 0), 0);
			expect_refused_on(steps[i].line, EPERM);
		}
		assert_int_equal(fchmodat(root.fd, steps[i].path, steps[i].mode, 0), 0);
		expect_loaded();
	}
}

static void
test_wrong_owner(void **state)
{
	struct admin_policy policy;
	struct admin_policy_problem problem;

	(void)state;
	assert_int_equal(admin_policy_load(root.fd, geteuid() + 1, &policy, &problem), -EPERM);
	assert_int_equal(problem.line, 0);
	if (geteuid() != 0)
		skip(); /* the single steps need chown(2) */
	for (size_t i = 0; i < STEP_COUNT; i++) {
		assert_int_equal(fchownat(root.fd, steps[i].path, 65534, 0, 0), 0);
		expect_refused_on(steps[i].line, EPERM);
		assert_int_equal(fchownat(root.fd, steps[i].path, 0, 65534, 0), 0); /* a group may read */
		expect_loaded();
		assert_int_equal(fchownat(root.fd, steps[i].path, 0, 0, 0), 0);
	}
}

static void
test_size(void **state)
{
	static char text[ADMIN_POLICY_MAX_BYTES + 2];

	(void)state;
	memset(text, '#', sizeof(text) - 1);
	memcpy(text, TEXT, strlen(TEXT));
	assert_int_equal(renameat(root.fd, POLICY, root.fd, "away"), 0);
	test_folder_put(&root, POLICY, text); /* one byte too many */
	expect_refused(EFBIG);
	assert_int_equal(unlinkat(root.fd, POLICY, 0), 0);
	text[ADMIN_POLICY_MAX_BYTES] = 0;
	test_folder_put(&root, POLICY, text);
	expect_loaded();
	assert_int_equal(unlinkat(root.fd, POLICY, 0), 0);
	test_folder_put(&root, POLICY, "");
	expect_default();
	assert_int_equal(truncate(strcat(strcpy(text, root.path), "/" POLICY), 1ll << 40), 0); /* a hole */
	expect_refused(EFBIG);
	assert_int_equal(renameat(root.fd, "away", root.fd, POLICY), 0);
	expect_loaded();
}

static int
load_as_ordinary_user(void)
{
	uid_t owner = geteuid();
	struct admin_policy policy;
	struct admin_policy_problem problem = {0};

	if (owner == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		return 254;
	int result = admin_policy_load(root.fd, owner, &policy, &problem);
	return problem.line ? 255 : result ? problem.error : 0;
}

/* Whoever cannot read the policy is refused: it may be about them. Its folders only need to be passed. */
static void
test_unreadable(void **state)
{
	static const struct {
		const char *path;
		mode_t mode, good;
		int error;
	} unreadable[] = {
		{POLICY, 0200, 0644, EACCES},  {"etc/ddprof", 0, 0755, EACCES}, {"etc", 0, 0755, EACCES},
		{"etc/ddprof", 0311, 0755, 0}, {"etc", 0311, 0755, 0},          {POLICY, 0444, 0644, 0},
	};

	(void)state;
	assert_int_equal(fchmod(root.fd, 0755), 0);
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++) {
		int status;

		assert_int_equal(fchmodat(root.fd, unreadable[i].path, unreadable[i].mode, 0), 0);
		pid_t pid = fork();
		if (pid == 0)
			_exit(load_as_ordinary_user());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(fchmodat(root.fd, unreadable[i].path, unreadable[i].good, 0), 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), unreadable[i].error);
	}
	assert_int_equal(fchmod(root.fd, 0700), 0);
}

static void
test_a_line_is_named(void **state)
{
	(void)state;
	assert_int_equal(renameat(root.fd, POLICY, root.fd, "away"), 0);
	test_folder_put(&root, POLICY, "# one\ngroups = nosuchgroup\n");
	expect_refused_on(2, ENOENT);
	assert_int_equal(unlinkat(root.fd, POLICY, 0), 0);
	test_folder_put(&root, POLICY, "\n\nkernel_frames = perhaps\n");
	expect_refused_on(3, EINVAL);
	assert_int_equal(renameat(root.fd, "away", root.fd, POLICY), 0);
}

static void
test_nothing_stays_open(void **state)
{
	(void)state;
	size_t before = count_descriptors();
	expect_loaded();
	assert_int_equal(fchmodat(root.fd, POLICY, 0666, 0), 0);
	expect_refused(EPERM);
	assert_int_equal(fchmodat(root.fd, POLICY, 0644, 0), 0);
	assert_int_equal(count_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_absent_is_the_defaults),
		cmocka_unit_test(test_symbolic_links),
		cmocka_unit_test(test_other_kinds_of_files),
		cmocka_unit_test(test_writable_by_others),
		cmocka_unit_test(test_wrong_owner),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_a_line_is_named),
		cmocka_unit_test(test_nothing_stays_open),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
