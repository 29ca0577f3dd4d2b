/* Installs a role's constant filter; there is no way to install half of it. */

#include "policy/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

int
filter_install(enum role role)
{
	struct sock_fprog program = {
		.len = filter_programs[role].length,
		.filter = (struct sock_filter *)(uintptr_t)filter_programs[role].code,
	};

	/* SPEC_ALLOW: from 4.17 to 5.15 a filter otherwise switches speculative store bypass off and the
	 * process slows down (seccomp(2)); what we sandbox is our own code, not a foreign one. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0)
		return 0;
	if (errno == EINVAL && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
		return 0;
	return -errno;
}
