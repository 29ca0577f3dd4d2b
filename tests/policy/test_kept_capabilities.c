/* With capabilities_keep_only() exactly what was asked for is left, whoever the caller is, and a kernel that
 * only says so is found out. In children: there is no way back. */

#include "policy/kept_capabilities.h"

#include "tests/policy/capability_sets.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define KEPT (CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_NET_BIND_SERVICE))

static int
look_for(unsigned long long bounding, unsigned long long ambient)
{
	if (read_set("CapPrm:") != KEPT || read_set("CapEff:") != KEPT || read_set("CapInh:") != KEPT)
		return 20;
	if (read_set("CapBnd:") != bounding)
		return 21;
	return read_set("CapAmb:") == ambient ? 0 : 22;
}

static int
keep_some(void)
{
	return capabilities_limit_bounding(KEPT) == 0 && capabilities_keep_only(KEPT) == 0 ? 0 : 30;
}

static int
keep_as_root(void)
{
	int result = keep_some();

	return result ? result : look_for(KEPT, 0);
}

/* Changes one flag of one capability in the calling process. */
static bool
change(cap_flag_t flag, cap_value_t capability, cap_flag_value_t value)
{
	cap_t caps = cap_get_proc();
	bool done = caps && cap_set_flag(caps, flag, 1, &capability, value) == 0 && cap_set_proc(caps) == 0;

	cap_free(caps);
	return done;
}

static int
keep_with_the_right_merely_permitted(void)
{
	return change(CAP_EFFECTIVE, CAP_SETPCAP, CAP_CLEAR) ? keep_as_root() : 10;
}

static int
keep_without_the_right_to_the_bounding_set(void)
{
	unsigned long long bounding = read_set("CapBnd:");

	if (!change(CAP_EFFECTIVE, CAP_SETPCAP, CAP_CLEAR) || !change(CAP_PERMITTED, CAP_SETPCAP, CAP_CLEAR))
		return 10;
	int result = keep_some();
	return result ? result : look_for(bounding, 0);
}

/* exec then treats uid 0 like any other. */
static int
keep_as_a_root_that_is_none(void)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT, 0, 0, 0) < 0)
		return 10;
	int result = keep_some();
	return result ? result : look_for(KEPT, KEPT);
}

static bool
become_nobody_with(cap_value_t first, cap_value_t second)
{
	const cap_value_t both[] = {first, second};

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return false;
	cap_t caps = cap_init();
	for (cap_flag_t flag = CAP_EFFECTIVE; flag <= CAP_INHERITABLE; flag++)
		cap_set_flag(caps, flag, 2, both, CAP_SET);
	bool done = cap_set_proc(caps) == 0;
	cap_free(caps);
	for (size_t i = 0; i < 2; i++)
		done = done && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, both[i], 0, 0) == 0;
	return done;
}

/* A service with ambient capabilities, as systemd starts it. */
static int
keep_as_nobody(void)
{
	unsigned long long bounding = read_set("CapBnd:");

	if (!become_nobody_with(CAP_CHOWN, CAP_NET_BIND_SERVICE))
		return 10;
	int result = keep_some();
	return result ? result : look_for(bounding, KEPT);
}

static int
keep_what_is_not_there(void)
{
	if (!become_nobody_with(CAP_CHOWN, CAP_KILL))
		return 10;
	if (capabilities_permitted() != (CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_KILL)))
		return 11;
	return capabilities_keep_only(KEPT) == -EPERM ? 0 : 12;
}

static int
keep_what_may_not_become_ambient(void)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_CAP_AMBIENT_RAISE, 0, 0, 0) < 0)
		return 10;
	return capabilities_keep_only(KEPT) == -EPERM ? 0 : 11;
}

/* prctl(option) does nothing and says it did. */
static bool
lie_about(uint32_t option)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, option, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 6, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static int
limit_under_a_lying_filter(void)
{
	return !lie_about(PR_CAPBSET_DROP) ? 10 : capabilities_limit_bounding(KEPT) == -EPERM ? 0 : 11;
}

static int
keep_under_a_lying_filter(void)
{
	if (!become_nobody_with(CAP_CHOWN, CAP_NET_BIND_SERVICE) || !lie_about(PR_CAP_AMBIENT))
		return 10;
	return capabilities_keep_only(KEPT) == -EPERM ? 0 : 11;
}

static void
test_keeping(void **state)
{
	static const struct {
		const char *what;
		int (*run)(void);
	} cases[] = {
		{"root", keep_as_root},
		{"root, CAP_SETPCAP permitted but not in effect", keep_with_the_right_merely_permitted},
		{"root without CAP_SETPCAP", keep_without_the_right_to_the_bounding_set},
		{"root with securebits noroot", keep_as_a_root_that_is_none},
		{"a user with ambient capabilities", keep_as_nobody},
		{"not permitted", keep_what_is_not_there},
		{"ambient locked by securebits", keep_what_may_not_become_ambient},
		{"a lie about the bounding set", limit_under_a_lying_filter},
		{"a lie about the ambient set", keep_under_a_lying_filter},
	};

	(void)state;
	if (geteuid() != 0 || (read_set("CapPrm:") & KEPT) != KEPT)
		skip();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = run_in_child(cases[i].run);

		if (result != 0)
			fail_msg("%s: %d", cases[i].what, result);
	}
}

static void
test_names(void **state)
{
	static const struct {
		const char *text;
		int capability;
	} rows[] = {
		{"cap_chown", CAP_CHOWN},
		{"CAP_CHOWN", CAP_CHOWN},
		{"Chown", CAP_CHOWN},
		{"net_bind_service", CAP_NET_BIND_SERVICE},
		{"cap_bpf", CAP_BPF},
		{"", -EINVAL},
		{"cap_", -EINVAL},
		{"0", -EINVAL},
		{"cap_0", -EINVAL},
		{"all", -EINVAL},
		{"cap_chown,cap_kill", -EINVAL},
		{"cap_chown ", -EINVAL},
		{" cap_chown", -EINVAL},
		{"cap_cap_chown", -EINVAL},
		{"cap_chown+ep", -EINVAL},
		{"cap_chown_cap_chown_cap_chown_cap_chown_cap_chown_cap_chown_cap_chown", -EINVAL},
	};
	char name[CAPABILITY_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (capability_from_name(rows[i].text) != rows[i].capability)
			fail_msg("'%s' is %d", rows[i].text, capability_from_name(rows[i].text));
	capability_name(CAP_NET_BIND_SERVICE, name);
	assert_string_equal(name, "cap_net_bind_service");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeping),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
