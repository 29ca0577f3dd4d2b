#pragma once
/* The running sessions as /proc shows them: a supervisor, its children, and for root whom it profiles. */

#include "launcher/audit/attest_judge.h"

#define SESSION_MAX_PROCESSES 16
#define SESSIONS_MAX 256

struct session_process {
	pid_t pid;
	bool is_known; /* false: a child of the supervisor that is none of ours */
	enum role role;
	char self_report[96];
};

struct session {
	pid_t target; /* 0: not known */
	size_t count;
	struct session_process process[SESSION_MAX_PROCESSES]; /* the supervisor first */
};

struct session_list {
	size_t count;
	struct session session[SESSIONS_MAX];
};

void sessions_find(struct session_list *ret);
bool session_has(const struct session *session, pid_t pid); /* as one of its processes or its target */
bool session_has_role(const struct session *session, enum role role);

/* Reads what is to be judged of one process; strings live until the next call. 0 or -errno (it is gone). */
int session_process_read(const struct session_process *process, struct attested *ret);
