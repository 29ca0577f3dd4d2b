/* After capabilities_drop_all() the kernel shows five empty sets, and what they allowed is refused. In
 * children: there is no way back. */

#include "policy/capabilities.h"

#include "tests/policy/capability_sets.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int
drop_and_look(void)
{
	unsigned long long bounding =
		prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0) == 0 ? 0 : read_set("CapBnd:");

	if (capabilities_drop_all() != 0)
		return 1;
	if (read_set("CapInh:") || read_set("CapPrm:") || read_set("CapEff:") || read_set("CapAmb:"))
		return 2;
	if (read_set("CapBnd:") != bounding) /* emptied by who may, as it was for others */
		return 3;
	if (capabilities_drop_all() != 0) /* again: nothing to drop is no error */
		return 4;
	return 0;
}

static void
test_as_caller(void **state)
{
	(void)state;
	assert_int_equal(run_in_child(drop_and_look), 0);
}

/* Everything a root process can have, ambient and inheritable sets included. */
static int
drop_everything(void)
{
	static const cap_value_t some[] = {CAP_CHOWN, CAP_NET_RAW, CAP_SYS_PTRACE};
	cap_t all = cap_get_proc();

	if (!all || cap_set_flag(all, CAP_INHERITABLE, 3, some, CAP_SET) < 0 || cap_set_proc(all) < 0)
		return 10;
	cap_free(all);
	for (size_t i = 0; i < 3; i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, some[i], 0, 0) < 0)
			return 11;
	if (!read_set("CapAmb:") || !read_set("CapInh:"))
		return 12;
	int result = drop_and_look();
	if (result)
		return result;
	/* uid 0 alone gives nothing back: not by capset, not by an ambient raise */
	all = cap_get_proc();
	if (!all || cap_set_flag(all, CAP_PERMITTED, 1, some, CAP_SET) < 0 || cap_set_proc(all) == 0)
		return 13;
	cap_free(all);
	return chroot("/") < 0 && errno == EPERM ? 0 : 14;
}

static void
test_as_root_with_ambient(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(run_in_child(drop_everything), 0);
}

static int
drop_as_nobody(void)
{
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 10;
	return drop_and_look();
}

static void
test_as_nobody(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* test_as_caller was that */
	assert_int_equal(run_in_child(drop_as_nobody), 0);
}

/* Somebody's filter says yes to capset(2) and does nothing (CVE-2000-0506): only the read-back shows it. */
static int
drop_under_a_lie_about(unsigned call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return 100;
	alarm(20); /* a drop that never ends is an end, too */
	return -capabilities_drop_all();
}

static int
drop_under_a_lie_about_capset(void)
{
	return drop_under_a_lie_about(SYS_capset);
}

/* The bounding set seems to have no end then. */
static int
drop_under_a_lie_about_prctl(void)
{
	return drop_under_a_lie_about(SYS_prctl);
}

static void
test_a_lying_kernel_is_found_out(void **state)
{
	(void)state;
	if (read_set("CapEff:") == 0)
		skip(); /* nothing to lose, so nothing to lie about */
	assert_int_equal(run_in_child(drop_under_a_lie_about_capset), EPERM);
	assert_int_equal(run_in_child(drop_under_a_lie_about_prctl), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_caller),
		cmocka_unit_test(test_as_root_with_ambient),
		cmocka_unit_test(test_as_nobody),
		cmocka_unit_test(test_a_lying_kernel_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
