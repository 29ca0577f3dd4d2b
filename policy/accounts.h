#pragma once
/* The ids of a group or user by its name or number, from etc/group and etc/passwd below a folder and from
 * nowhere else: no NSS, so no plug-in, socket or network of somebody else's choice. */

#include "policy/span.h"

#include <sys/types.h>

/* 0 or -errno: ENOENT no such entry, ERANGE a number no id can be, else why owned_open() or read(2) failed.
 * A group's number needs no entry. A user's does, because the entry tells its group; of several it is the
 * first. What consists of digits is a number, whatever the files call it. */
int accounts_find_group(int root, uid_t owner, struct span name, gid_t *ret_gid);
int accounts_find_user(int root, uid_t owner, struct span name, uid_t *ret_uid, gid_t *ret_gid);
