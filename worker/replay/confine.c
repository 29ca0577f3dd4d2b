/* A list of the system calls a reader of files needs; every other one fails with EPERM. So there is no
 * network, no other process and no other program, whatever a recording makes of us. Which files may be
 * written is for Landlock to say: a filter does not see paths. */

#include "worker/replay/confine.h"

#include "worker/base/landlock.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static const unsigned short allowed[] = {
	/* files: reading, and what a profile is written with */
	SYS_read,
	SYS_readv,
	SYS_pread64,
	SYS_write,
	SYS_writev,
	SYS_openat,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_lseek,
	SYS_ftruncate,
	SYS_renameat,
	SYS_unlinkat,
	SYS_fcntl,
	SYS_memfd_create,
	/* memory */
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_mprotect,
	/* itself */
	SYS_exit,
	SYS_exit_group,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_futex,
	SYS_clock_gettime,
	SYS_getrandom,
#ifdef SYS_open
	SYS_open,
	SYS_rename,
	SYS_unlink,
	SYS_stat,
	SYS_lstat,
#endif
};
#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

static int
install_filter(void)
{
	struct sock_filter code[6 + 2 * ALLOWED];
	unsigned short length = 0;
	const unsigned deny = SECCOMP_RET_ERRNO | EPERM;

	code[length++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[length++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ALLOWED; i++) {
		code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
		code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);

	struct sock_fprog program = {.len = length, .filter = code};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

int
replay_confine(int folder)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	int abi = landlock_confine_to_reading(folder);
	return abi < 0 ? abi : install_filter();
}
