#pragma once
/* What every process of the worker does before it looks at anything: give up everything it does not need,
 * for good, and prove it. */

#include "policy/filter.h"

/* Not dumpable, no core, private umask, no_new_privs, no capability, root folder as working directory.
 * 0 or -errno. */
int harden_process(void);

/* Signals as a fresh process has them (the opener blocked all), and death together with the supervisor. */
int harden_role_start(void);

/* The role's filter: the last step, after which nothing can be opened that the table does not list. */
int harden_confine(enum role role);
