#pragma once
/* What every process of the worker does before it looks at anything: give up everything it does not need,
 * for good, and prove it.
 *
 * Some of it depends on the kernel. What holds is said in argv[2], which `ps` and /proc/PID/cmdline show:
 * the process is started with SANDBOX_REPORT_BYTES bytes there and overwrites them in place, to the same
 * length (trailing spaces), with
 *
 *     landlock=<version|none> mdwe=<on|none> keyring=<own|caller>
 *
 * landlock  version of the ABI in force (worker/base/landlock.h); always none for the supervisor
 * mdwe      PR_SET_MDWE: memory cannot become executable (Linux 6.3)
 * keyring   a session keyring of our own, or still the caller's
 *
 * It is the process's own word: an auditor believes it as long as the process is not taken over. */

#include "policy/filter.h"
#include "worker/base/landlock.h"

#include <stdbool.h>

/* Not dumpable, no core, private umask, no_new_privs, no capability, no memory that becomes executable, root
 * folder as working directory. `report` is argv[2]. 0 or -errno. */
int harden_process(char *report);

/* Whether the kernel started us dumpable: until harden_process() every process of our user could attach. */
bool harden_was_dumpable(void);

/* Leaves the caller's session keyring for an empty one, where the kernel lets us. */
void harden_leave_keyring(void);

/* Signals as a fresh process has them (the opener blocked all), and death together with the supervisor. */
int harden_role_start(void);

/* The role's sandbox: limits, Landlock with these exceptions (NULL: none; the supervisor is in no Landlock
 * domain) and, last, its filter, after which nothing can be opened that the table does not list. 0 or -errno.
 */
int harden_confine(enum role role, const struct landlock_exceptions *exceptions);

/* What holds now, for argv[2] of a process that inherits it. */
const char *harden_report(void);
