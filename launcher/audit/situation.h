#pragma once
/* What --check knows before it says anything, and the checks that turn it into findings. Nobody else's. */

#include "launcher/audit/file_capability.h"
#include "launcher/audit/findings.h"
#include "launcher/audit/process_status.h"

#define OPENER DDPROF_LIBEXECDIR "/ddprof-perf-open"

struct situation {
	struct process_status self;
	bool has_paranoid; /* the file can be read */
	long paranoid;
	int reach, plain, perfmon, own; /* answers of probe.h: without any capability, with CAP_PERFMON alone
					   (PROBE_FAILED: not ours to try), with the caller's own */
	bool needs_privilege;           /* the kernel refuses, and a capability would change that */
	uint64_t useful;                /* any of these would */
	bool is_opener_there;
	int file_capability_error; /* 0, or -EBADMSG: there is one nobody understands */
	struct opener_origin origin;
	bool is_privileged; /* the opener would hold a useful one */
};

/* Asks the kernel and looks at the opener. */
void situation_read(struct situation *ret);

/* The capability to recommend here, "cap_sys_admin". */
const char *situation_capability(const struct situation *situation);

/* The opener has on its file what this kernel wants, and still does not get it. */
bool situation_is_withheld(const struct situation *situation);

/* One finding each, in check_kernel.c and check_install.c. */
void check_paranoid(const struct situation *situation, struct findings *findings);
void check_perf_event_open(const struct situation *situation, struct findings *findings);
void check_seccomp(const struct situation *situation, struct findings *findings);
void check_security_modules(const struct situation *situation, struct findings *findings);
void check_user_namespace(const struct situation *situation, struct findings *findings);
void check_suid_dumpable(const struct situation *situation, struct findings *findings);
void check_open_files(const struct situation *situation, struct findings *findings);
void check_locked_memory(const struct situation *situation, struct findings *findings);
void check_proc(const struct situation *situation, struct findings *findings);

void check_opener(const struct situation *situation, struct findings *findings);
void check_privilege(const struct situation *situation, struct findings *findings);
void check_mount(const struct situation *situation, struct findings *findings);
void check_no_new_privs(const struct situation *situation, struct findings *findings);
void check_bounding_set(const struct situation *situation, struct findings *findings);
void check_identity(const struct situation *situation, struct findings *findings);
void check_own_capabilities(const struct situation *situation, struct findings *findings);
void check_worker_files(const struct situation *situation, struct findings *findings);
void check_policy(const struct situation *situation, struct findings *findings);
void check_output(const struct situation *situation, struct findings *findings);
void check_environment(const struct situation *situation, struct findings *findings);
