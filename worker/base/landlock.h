#pragma once
/* Takes the file system, the network and other processes away from a role, as far as the kernel's Landlock
 * can: it holds even where the role's system call filter has a hole. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest version handled; a newer kernel is used as if it were this one. */
#define LANDLOCK_NEWEST_ABI 10

/* Layout of the kernel's struct landlock_ruleset_attr (landlock(7)); what a kernel does not know is 0. */
struct landlock_rights {
	uint64_t fs, net, scoped;
};

/* Everything Landlock can deny at a version of its ABI, 0 (none) and beyond the newest included. */
struct landlock_rights landlock_rights_at(int abi);

/* What is needed to keep files in a folder: create, write, truncate, rename, remove, read, list. */
uint64_t landlock_writer_rights_at(int abi);

/* What stays open to a process that Landlock confines. All borrowed. */
struct landlock_exceptions {
	const int *folders; /* open ones: files below may be written, read, listed, renamed, removed */
	size_t folder_count;
	/* Paths, NULL-terminated, or NULL: none. Each is the one file that is there now, whatever comes to
	 * its place later; what does not exist is passed over. */
	const char *const *files;        /* may be read */
	const char *const *unix_sockets; /* may be connected to; kernels before ABI 9 restrict none */
	const uint16_t *ports;           /* of any host may be connected to over TCP; all are before ABI 4 */
	size_t port_count;
	bool has_dns; /* port 53 as well, also over UDP, which kernels before ABI 10 do not restrict */
};

/* Denies the calling (single-threaded) process everything that Landlock handles, with these exceptions (NULL:
 * none). Needs no_new_privs. The version in force, 0 when the kernel has no Landlock, or -errno. */
int landlock_confine(const struct landlock_exceptions *exceptions);

/* The same with one folder as exception, and every file may be read. */
int landlock_confine_to_reading(int folder);
