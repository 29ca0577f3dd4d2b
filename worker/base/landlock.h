#pragma once
/* Takes the file system, the network and other processes away from a role, as far as the kernel's Landlock
 * can: it holds even where the role's system call filter has a hole. */

#include <stdint.h>

/* The newest version handled; a newer kernel is used as if it were this one. */
#define LANDLOCK_NEWEST_ABI 10

/* Layout of the kernel's struct landlock_ruleset_attr (landlock(7)); what a kernel does not know is 0. */
struct landlock_rights {
	uint64_t fs, net, scoped;
};

/* Everything Landlock can deny at a version of its ABI, 0 (none) and beyond the newest included. */
struct landlock_rights landlock_rights_at(int abi);

/* What is needed to write files into a folder: create, write, truncate, rename, remove, read. */
uint64_t landlock_writer_rights_at(int abi);

/* Denies the calling (single-threaded) process everything that Landlock handles, except writing below
 * `folder` (-1: no exception). Needs no_new_privs. The version in force, 0 when the kernel has no Landlock,
 * or -errno. */
int landlock_confine(int folder);

/* The same, but every file may be read. */
int landlock_confine_to_reading(int folder);
