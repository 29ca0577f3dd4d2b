/* The administrator's policy: complete and within its limits, or refused at one of its lines and untouched.
 */

#include "tests/fuzz/fuzz.h"

#include "policy/admin_policy.h"
#include "policy/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int root = -1;
static uid_t owner;

static void
open_root(void)
{
	struct stat status;

	root = open(ACCOUNTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* etc/group and etc/passwd of nobody */
	CHECK(root >= 0 && fstat(root, &status) == 0);
	owner = status.st_uid;
}

static unsigned
count_lines(const uint8_t *bytes, size_t size)
{
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += bytes[i] == '\n';
	return lines;
}

static void
check_policy(const struct admin_policy *policy)
{
	CHECK(policy->group_count <= ADMIN_POLICY_MAX_GROUPS);
	CHECK(policy->max_frequency_hz >= 1 && policy->max_frequency_hz <= FREQUENCY_MAX_HZ);
	CHECK(policy->kernel_frames <= 1 && policy->attach <= SCOPE_ROOT &&
	      policy->system_wide <= SCOPE_ROOT);
	CHECK(!policy->has_worker_user || (policy->worker_uid != 0 && policy->worker_gid != 0));
	CHECK(admin_policy_allows_user(policy, 0, NULL, 0));
	for (uint32_t i = 0; i < policy->group_count; i++)
		CHECK(admin_policy_allows_user(policy, 1, &policy->group[i], 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct admin_policy policy, again, untouched;
	struct admin_policy_problem problem = {0}, same = {0};

	if (root < 0)
		open_root();
	memset(&untouched, 0xa5, sizeof(untouched));
	policy = again = untouched;
	int result = admin_policy_parse((const char *)bytes, size, root, owner, &policy, &problem);
	CHECK(result == 0 || result == -EINVAL);
	CHECK(admin_policy_parse((const char *)bytes, size, root, owner, &again, &same) == result);
	CHECK(problem.line == same.line && problem.error == same.error);
	CHECK(memcmp(&policy, &again, sizeof(policy)) == 0);
	if (result == 0) {
		check_policy(&policy);
	} else {
		CHECK(memcmp(&policy, &untouched, sizeof(policy)) == 0);
		CHECK(problem.error > 0 && problem.line <= count_lines(bytes, size));
	}
	return 0;
}
