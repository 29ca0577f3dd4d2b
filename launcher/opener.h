#pragma once
/* The phases of ddprof-perf-open, in the order main() calls them. Each either succeeds or ends the
 * process through die(), which writes the audit line and tells the launcher why. */

#include "ipc/failure.h"
#include "ipc/rings.h"
#include "policy/admin_policy.h"

#include <sys/types.h>

#define NO_CAPABILITY (-1)

struct opening {
	struct launch_request request; /* its levels: those that are left */
	struct admin_policy policy;
	int launcher_fd[LAUNCH_FD_COUNT]; /* passed on unread; -1: not attached */
	pid_t parent;
	bool caller_has_no_new_privs; /* then exec gave us no privilege */
	int capability;               /* the one that opened the events, or NO_CAPABILITY */
	int supervisor;               /* hand-over channel */
	struct ring_set rings;
	struct perf_event_attr sampling; /* of the sample event that was opened last */
};

_Noreturn void die(enum failure failure, int error);

void make_process_sane(struct opening *opening);
void open_audit_trail(const struct opening *opening);
void install_fence(void);
void load_policy(struct opening *opening);
void become_caller(const struct opening *opening);
void require_safe_host(void);
void receive_request(struct opening *opening);
void start_supervisor(struct opening *opening);
void open_events(struct opening *opening);
void map_rings(struct opening *opening);
void open_other_levels(struct opening *opening);
void drop_all_privileges(void);
void require_own_parent(const struct opening *opening);
void write_audit_line(enum failure failure, int error);
void hand_over(struct opening *opening);

/* privileges.c: between phases no capability is in effect. */
bool may_raise(int capability);
void raise_only(int capability); /* NO_CAPABILITY: lower all */
void become_worker_user(const struct admin_policy *policy);

/* open_audit.c: a forked child has no word in the audit trail. */
void leave_audit_trail(void);
