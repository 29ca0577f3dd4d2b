/* Raises one capability at a time, gives everything up, and proves it is gone.
 *
 *   none needed    nothing is raised
 *   inherited      root, ambient capabilities, a container: permitted as it is in the caller
 *   file capability  exactly what the file gives ("=p": permitted, not in effect)
 *   set-uid root   made to look like a file capability: the caller's user again, two capabilities permitted
 *
 * Every change is read back: a filter of somebody else may answer with success and do nothing. */

#include "launcher/opener.h"

#include "policy/capabilities.h"

#include <errno.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launcher/forbidden.h"

struct identity {
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;
};

static struct identity
who_are_we(void)
{
	struct identity us;

	if (getresuid(&us.real, &us.effective, &us.saved) < 0 ||
	    getresgid(&us.real_group, &us.effective_group, &us.saved_group) < 0)
		die(FAILURE_PRIVILEGES, errno);
	return us;
}

static bool
is_one_user(const struct identity *us)
{
	return us->real == us->effective && us->real == us->saved;
}

static cap_t
current_sets(void)
{
	cap_t sets = cap_get_proc();

	if (!sets)
		die(FAILURE_PRIVILEGES, errno);
	return sets;
}

static void
apply(cap_t wanted)
{
	if (cap_set_proc(wanted) < 0)
		die(FAILURE_PRIVILEGES, errno);
	cap_t now = current_sets();
	if (cap_compare(now, wanted) != 0)
		die(FAILURE_PRIVILEGES, EPERM);
	cap_free(now);
	cap_free(wanted);
}

bool
may_raise(int capability)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t sets = current_sets();

	cap_get_flag(sets, capability, CAP_PERMITTED, &value); /* unknown to this kernel: not permitted */
	cap_free(sets);
	return value == CAP_SET;
}

void
raise_only(int capability)
{
	cap_t sets = current_sets();
	cap_value_t wanted = capability;

	cap_clear_flag(sets, CAP_EFFECTIVE);
	if (capability != NO_CAPABILITY && cap_set_flag(sets, CAP_EFFECTIVE, 1, &wanted, CAP_SET) < 0)
		die(FAILURE_PRIVILEGES, errno);
	apply(sets);
}

/* Set-uid root gave us everything; a file capability would have given one. */
static void
keep_only_openers(const struct admin_policy *policy)
{
	static const cap_value_t openers[] = {CAP_PERFMON, CAP_SYS_ADMIN, CAP_SETGID, CAP_SETUID};
	size_t count = policy->has_worker_user ? 4 : 2;
	cap_t sets = cap_init();

	for (size_t i = 0; sets && i < count; i++)
		if (may_raise(openers[i]) && cap_set_flag(sets, CAP_PERMITTED, 1, &openers[i], CAP_SET) < 0)
			die(FAILURE_PRIVILEGES, errno);
	if (!sets)
		die(FAILURE_PRIVILEGES, ENOMEM);
	apply(sets);
}

/* The only identity besides a plain one that we know what to do with is "a user started this set-uid root
 * file". A caller that is two users at once is up to something, or is itself set-uid. */
void
become_caller(const struct opening *opening)
{
	struct identity us = who_are_we();
	bool is_set_uid_root = us.real != 0 && us.effective == 0 && us.saved == 0;

	if (us.real_group != us.effective_group || us.real_group != us.saved_group ||
	    !(is_one_user(&us) || is_set_uid_root))
		die(FAILURE_IDENTITY, 0);
	if (is_one_user(&us))
		return;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(us.real, us.real, us.real) < 0 ||
	    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		die(FAILURE_PRIVILEGES, errno);
	us = who_are_we();
	if (!is_one_user(&us))
		die(FAILURE_PRIVILEGES, EPERM);
	keep_only_openers(&opening->policy);
}

/* In the supervisor's process, before it gives up everything. Needs CAP_SETUID and CAP_SETGID, which a root
 * caller or a set-uid opener has. */
void
become_worker_user(const struct admin_policy *policy)
{
	static const cap_value_t wanted[] = {CAP_SETGID, CAP_SETUID};

	if (!policy->has_worker_user || policy->worker_uid == getuid())
		return;
	if (!may_raise(CAP_SETUID) || !may_raise(CAP_SETGID))
		die(FAILURE_WORKER_USER, EPERM);
	cap_t sets = current_sets();
	if (cap_set_flag(sets, CAP_EFFECTIVE, 2, wanted, CAP_SET) < 0)
		die(FAILURE_PRIVILEGES, errno);
	apply(sets);
	if (setgroups(0, NULL) < 0 ||
	    setresgid(policy->worker_gid, policy->worker_gid, policy->worker_gid) < 0 ||
	    setresuid(policy->worker_uid, policy->worker_uid, policy->worker_uid) < 0)
		die(FAILURE_WORKER_USER, errno);
	struct identity us = who_are_we();
	if (!is_one_user(&us) || us.real != policy->worker_uid || us.saved_group != policy->worker_gid)
		die(FAILURE_PRIVILEGES, EPERM);
}

void
drop_all_privileges(void)
{
	if (may_raise(CAP_SETPCAP))
		raise_only(CAP_SETPCAP); /* else the bounding set stays, which no_new_privs makes harmless */
	int result = capabilities_drop_all();

	if (result < 0)
		die(FAILURE_PRIVILEGES, -result);
}
