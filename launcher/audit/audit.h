#pragma once
/* The auditor's commands. Each prints to standard output, changes nothing, and returns the exit status. */

#define AUDIT_EXIT_USAGE 2

int print_policy_main(const char *role); /* NULL: what is common to all roles. 1: unusable, or no such role */
int attest_main(const char *pid);        /* NULL: every session. 1: something does not hold, 2: no session */
int check_main(const char *format);      /* NULL or "--json". 1: profiling does not work */
