#pragma once
/* The constant BPF programs made from policy/syscalls.c at build time, and how to put one on. */

#include "policy/syscalls.h"

#include <linux/filter.h>

struct filter_program {
	const struct sock_filter *code;
	unsigned short length; /* instructions */
};

extern const struct filter_program filter_programs[ROLE_COUNT];

/* Confines the calling (single-threaded) process for the rest of its life and that of what it starts.
 * Needs no_new_privs. 0 or -errno. */
int filter_install(enum role role);
