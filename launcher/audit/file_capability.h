#pragma once
/* The file capability of the opener, as it is on disk, and what it comes to in a caller's hands. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct file_capability {
	uint64_t permitted, inheritable;
	bool effective; /* "e": in effect from the first instruction, and the exec fails where it cannot be */
	uid_t root_uid; /* of the user namespace it is for; 0: of the machine */
};

/* Decodes a security.capability extended attribute (linux/capability.h). 0, or -EBADMSG. */
int file_capability_decode(const void *attribute, size_t size, struct file_capability *ret);

/* As setcap(8) writes it: "cap_sys_admin=p". */
struct file_capability_text {
	char text[320];
};
struct file_capability_text file_capability_text(const struct file_capability *capability);

/* Everything that decides what the opener will hold (capabilities(7), "Transformation of capabilities during
 * execve"). */
struct opener_origin {
	bool is_root;                                       /* the caller's user is 0 */
	uint64_t inheritable, permitted, bounding, ambient; /* the caller's */
	bool no_new_privs, is_nosuid, is_foreign_namespace; /* the last: not the machine's user namespace */
	bool is_set_uid_root;
	bool has_file_capability;
	struct file_capability file;
};
uint64_t opener_capabilities(const struct opener_origin *origin);

/* Whether the kernel refuses to execute the opener at all (EPERM). */
bool opener_exec_fails(const struct opener_origin *origin);
