#pragma once
/* What the administrator allows, from one root-owned file. An absent file means the defaults; anything wrong
 * with it means no profiling at all, because half a policy is not the policy somebody wrote.
 *
 * Used by the opener: no heap, no stdio, no environment, nothing of a caller's choice. */

#include "policy/events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ADMIN_POLICY_FILE "/etc/ddprof/policy.conf"
#define ADMIN_POLICY_MAX_BYTES 16384
#define ADMIN_POLICY_MAX_GROUPS 16

/* Who may use a way to profile that this version does not offer yet, or offers to root only. */
enum admin_policy_scope {
	SCOPE_NOBODY,
	SCOPE_ROOT,
};
_Static_assert(sizeof(enum admin_policy_scope) == sizeof(uint32_t) && SCOPE_ROOT == 1, "parsed as a choice");

struct admin_policy {
	uint32_t group_count; /* 0: everybody who can execute the opener */
	gid_t group[ADMIN_POLICY_MAX_GROUPS];
	uint32_t events; /* bit i: a request may name enum event_id i */
	uint32_t max_frequency_hz;
	uint32_t max_stack_bytes;
	uint32_t max_ring_bytes; /* of one sample ring */
	uint32_t kernel_frames;  /* 1: samples may be taken in the kernel, see event_include_kernel() */
	enum admin_policy_scope attach, system_wide;
	bool has_worker_user; /* otherwise the worker runs as the caller */
	uid_t worker_uid;
	gid_t worker_gid;
};

/* What is wrong: a line (from 1), or 0 for the file as a whole; and why, as an errno. Of a line: EINVAL it is
 * not understood, ERANGE a number is out of its limits, EEXIST the key was given before, E2BIG too many
 * groups, ENOENT no such group or user, EPERM a worker with root's ids; anything else is about etc/group or
 * etc/passwd, as for the file itself. */
struct admin_policy_problem {
	unsigned line;
	int error;
};

extern const struct admin_policy admin_policy_defaults;

/* Parses `size` bytes at `text`; group and user names are looked up below `root` (a directory descriptor:
 * etc/group and etc/passwd, which must belong to `owner` like the policy). 0, or -EINVAL with *ret_problem.
 * *ret is complete or untouched. */
int admin_policy_parse(const char *text, size_t size, int root, uid_t owner, struct admin_policy *ret,
		       struct admin_policy_problem *ret_problem);

/* Reads ADMIN_POLICY_FILE below `root` (a descriptor of "/"; tests pass another folder): `root`, every folder
 * on the way and the file must belong to `owner` (0 but in tests), must not be writable by group or others,
 * and no symbolic link is followed (O_NOFOLLOW at each step). 0, with the defaults when there is no such file
 * or folder; or -errno with *ret_problem and *ret untouched: ELOOP a symbolic link, EPERM wrong owner or
 * mode, EINVAL not a regular file or a line that is not understood, EFBIG more than ADMIN_POLICY_MAX_BYTES,
 * else the error of the kernel (EACCES, ENOSYS).
 *
 * System calls of both: openat, fstat or newfstatat (with AT_EMPTY_PATH), read, close. */
int admin_policy_load(int root, uid_t owner, struct admin_policy *ret,
		      struct admin_policy_problem *ret_problem);

/* Whether the policy lets a user with these groups (the primary one among them) profile. The user 0 always
 * may. */
bool admin_policy_allows_user(const struct admin_policy *policy, uid_t uid, const gid_t *groups,
			      size_t group_count);
