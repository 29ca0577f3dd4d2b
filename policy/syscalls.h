#pragma once
/* One const table of system calls per process of ours, and one for the target under --drop_caps: the call,
 * its arguments, the verdict and the reason. The build turns each into a BPF filter and into the page that
 * documents it; nothing else grants a call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum role {
	ROLE_OPENER, /* the outer fence: everything below it, started by it, inherits this filter too */
	ROLE_SUPERVISOR,
	ROLE_UNWINDER,
	ROLE_SYMBOLIZER,
	ROLE_EXPORTER,
	ROLE_UPLOADER, /* the exporter, when one of its destinations is on the network */
	ROLE_TARGET,   /* somebody else's program: the only list of what is refused */
	ROLE_COUNT,
};

enum verdict {
	VERDICT_KILL, /* the process: what is forgotten is forbidden */
	VERDICT_ALLOW,
	VERDICT_EACCES, /* libraries probe it and cope with the refusal */
	VERDICT_EPERM,  /* what the kernel says to those who lack the right */
};

/* (argument[index] & mask) == value; a rule with mask 0 is no condition. */
struct argument_rule {
	unsigned index;
	uint64_t mask, value;
};

#define RULE_MAX_ARGUMENTS 3
struct syscall_rule {
	const char *name; /* as in libseccomp; skipped on architectures that do not have it */
	enum verdict verdict;
	const char *reason;
	struct argument_rule
		argument[RULE_MAX_ARGUMENTS]; /* all must hold; several rules for one call are alternatives */
};

struct syscall_table {
	const char *title;
	const struct syscall_rule *rules;
	size_t count;
};

#define ROLE_MAX_TABLES 9
struct role_policy {
	const char *name;
	const char *purpose;
	const struct syscall_table
		*tables[ROLE_MAX_TABLES]; /* NULL-terminated; the union is the role's right */
	enum verdict otherwise;           /* of a call in no table: VERDICT_KILL, or VERDICT_ALLOW */
};

/* Whether the role's tables list what is refused, instead of what is allowed. */
bool role_is_deny_list(const struct role_policy *policy);

const struct role_policy *role_policy(enum role role);
