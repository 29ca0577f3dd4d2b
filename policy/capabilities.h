#pragma once
/* Giving up every capability for good, read back. */

/* Empties the permitted, effective, inheritable and ambient sets of the calling thread and proves it by
 * reading them back; the bounding set too where CAP_SETPCAP allows it (nobody else can: capabilities(7)).
 * 0, or -errno; -EPERM when the kernel said yes and the sets say otherwise. */
int capabilities_drop_all(void);
