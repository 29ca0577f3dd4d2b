#pragma once
/* One role as the supervisor sees it: a process that can die at any moment and is started again. */

#include "policy/syscalls.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct role_process {
	enum role role;
	bool has_network; /* the exporter's: it is the program that can send */
	pid_t pid;        /* 0: not running */
	int control;      /* -1: not running */
	int broker;       /* -1: this role opens nothing, or not running */
	bool is_ready;
	bool is_given_up;      /* not wanted, or died too often: work goes on without it */
	unsigned deaths;       /* the exporter's: since it last was well for a minute */
	int64_t started_ms;    /* CLOCK_MONOTONIC; 0: not running */
	int64_t next_start_ms; /* ... when to try again */
	int64_t deadline_ms;   /* by when it must answer what it was asked; 0: nothing asked */
};

/* How often a role may die before the session goes on without it. Not the exporter: finished profiles wait
 * for it, and what ended it may pass. */
#define ROLE_MAX_DEATHS 4

/* The exporter's folders, at FD_OUTPUT and the numbers after it; -1: /dev/null takes its place, so that
 * nothing that is opened later does. */
#define ROLE_FOLDERS 3

/* Forks and executes the role with its channels at their fixed numbers; `folders` (borrowed) are the
 * exporter's, ignored for others. 0 or -errno. */
int role_process_start(struct role_process *process, const int folders[ROLE_FOLDERS], int64_t now_ms);

/* Books a death: closes the channels, decides when to start again or to give up. */
void role_process_buried(struct role_process *process, int64_t now_ms);

/* Books an end that was in order (the exporter wants to begin anew): started again at once, but not more than
 * once a second. */
void role_process_left(struct role_process *process, int64_t now_ms);

void role_process_kill(struct role_process *process);

const char *role_process_name(const struct role_process *process);
