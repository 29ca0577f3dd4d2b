/* The system calls of every process of ours, as data: read a table top to bottom and you have read the
 * rights. A process that makes any other call is killed (SECCOMP_RET_KILL_PROCESS). The target under
 * --drop_caps is somebody else's program: its table lists what is refused, and the rest is allowed. */

#include "policy/syscalls.h"

#include "ipc/protocol.h"

#include <linux/fcntl.h>
#include <linux/keyctl.h>
#include <linux/memfd.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define TABLE(rules, title)                                      \
	{                                                        \
		title, rules, sizeof(rules) / sizeof((rules)[0]) \
	}
#define ARGUMENT(index, mask, value)       \
	{                                  \
		{                          \
			index, mask, value \
		}                          \
	}
#define ALL_BITS 0xffffffffull
/* Of openat's flags, what makes a file writable, new or empty. */
#define OPEN_TO_WRITE ((uint64_t)(O_ACCMODE | O_CREAT | O_TRUNC | __O_TMPFILE))

static const struct syscall_rule everyone[] = {
	/* live and die */
	{"exit_group", VERDICT_ALLOW, "end of the process"},
	{"exit", VERDICT_ALLOW, "end of the process"},
	{"rt_sigreturn", VERDICT_ALLOW, "return from a signal handler"},
	{"restart_syscall", VERDICT_ALLOW, "the kernel restarts an interrupted poll"},
	{"rt_sigprocmask", VERDICT_ALLOW, "abort() after a failed assertion"},
	{"getpid", VERDICT_ALLOW, "abort()"},
	{"gettid", VERDICT_ALLOW, "abort()"},
	{"tgkill", VERDICT_ALLOW, "abort()"},
	/* memory, never executable */
	{"mmap", VERDICT_ALLOW, "memory without PROT_EXEC", ARGUMENT(2, PROT_EXEC, 0)},
	{"mprotect", VERDICT_ALLOW, "malloc grows an arena; never PROT_EXEC", ARGUMENT(2, PROT_EXEC, 0)},
	{"munmap", VERDICT_ALLOW, "free"},
	{"mremap", VERDICT_ALLOW, "realloc"},
	{"madvise", VERDICT_ALLOW, "free gives pages back"},
	{"brk", VERDICT_ALLOW, "malloc"},
	{"futex", VERDICT_ALLOW, "locks inside libc"},
	{"getrandom", VERDICT_ALLOW, "malloc's and hash tables' seeds"},
	/* descriptors it was given */
	{"read", VERDICT_ALLOW, "descriptors it holds"},
	{"write", VERDICT_ALLOW, "descriptors it holds"},
	{"close", VERDICT_ALLOW, "descriptors it holds"},
	{"poll", VERDICT_ALLOW, "wait for a message"},
	{"ppoll", VERDICT_ALLOW, "wait for a message (arm64 has no poll)"},
	{"recvmsg", VERDICT_ALLOW, "messages with descriptors"},
	{"sendmsg", VERDICT_ALLOW, "messages with descriptors"},
	{"clock_gettime", VERDICT_ALLOW, "time, when the vdso cannot answer"},
};

static const struct syscall_rule files[] = {
	{"pread64", VERDICT_ALLOW, "ELF files, in bounds"},
	{"lseek", VERDICT_ALLOW, "size of a file it was given"},
	{"fstat", VERDICT_ALLOW, "size of a file it was given"},
	{"newfstatat", VERDICT_ALLOW, "fstat() of glibc 2.33 and later",
	 ARGUMENT(3, ALL_BITS, AT_EMPTY_PATH)},
	{"fcntl", VERDICT_ALLOW, "seal a finished memfd", ARGUMENT(1, ALL_BITS, F_ADD_SEALS)},
	{"fcntl", VERDICT_ALLOW, "is a memfd it was given sealed", ARGUMENT(1, ALL_BITS, F_GET_SEALS)},
	{"fcntl", VERDICT_ALLOW, "libelf checks that its descriptor is open", ARGUMENT(1, ALL_BITS, F_GETFD)},
	{"memfd_create", VERDICT_ALLOW, "the finished profile"},
};

static const struct syscall_rule unwinder[] = {
	{"ioctl", VERDICT_ALLOW, "stop sampling", ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_DISABLE)},
	{"ioctl", VERDICT_ALLOW, "resume sampling", ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_ENABLE)},
	{"ioctl", VERDICT_ALLOW, "which event is this", ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_ID)},
	{"ftruncate", VERDICT_ALLOW, "the journal's unfinished last record; a new journal"},
};

#define NEW_FILE ((uint64_t)(O_CREAT | O_EXCL))
#define IN_FOLDER(folder, index, mask, value) \
	{                                     \
		{0, ALL_BITS, folder},        \
		{                             \
			index, mask, value    \
		}                             \
	}
#define WITHIN_FOLDER(folder) IN_FOLDER(folder, 2, ALL_BITS, folder)

static const struct syscall_rule exporter[] = {
	/* output and prefix: new files only, which appear whole under their name */
	{"openat", VERDICT_ALLOW, "a new file below the output folder, never one that exists",
	 IN_FOLDER(FD_OUTPUT, 2, OPEN_TO_WRITE | NEW_FILE, O_WRONLY | NEW_FILE)},
	{"renameat", VERDICT_ALLOW, "a finished profile appears whole", WITHIN_FOLDER(FD_OUTPUT)},
	{"renameat2", VERDICT_ALLOW, "a finished profile appears whole (arm64)", WITHIN_FOLDER(FD_OUTPUT)},
	{"unlinkat", VERDICT_ALLOW, "remove what could not be finished",
	 IN_FOLDER(FD_OUTPUT, 2, ALL_BITS, 0)},
	{"openat", VERDICT_ALLOW, "a new file below the prefix's folder, never one that exists",
	 IN_FOLDER(FD_PREFIX, 2, OPEN_TO_WRITE | NEW_FILE, O_WRONLY | NEW_FILE)},
	{"renameat", VERDICT_ALLOW, "a finished profile appears whole", WITHIN_FOLDER(FD_PREFIX)},
	{"renameat2", VERDICT_ALLOW, "a finished profile appears whole (arm64)", WITHIN_FOLDER(FD_PREFIX)},
	{"unlinkat", VERDICT_ALLOW, "remove what could not be finished",
	 IN_FOLDER(FD_PREFIX, 2, ALL_BITS, 0)},
	/* spool: profiles that wait for a destination, of this run or an earlier one */
	{"openat", VERDICT_ALLOW, "a new file below the spool folder",
	 IN_FOLDER(FD_SPOOL, 2, OPEN_TO_WRITE | NEW_FILE, O_WRONLY | NEW_FILE)},
	{"openat", VERDICT_ALLOW, "what waits in the spool, to send it and to lock it",
	 IN_FOLDER(FD_SPOOL, 2, OPEN_TO_WRITE, O_RDONLY)},
	{"renameat", VERDICT_ALLOW, "a profile appears whole in the spool", WITHIN_FOLDER(FD_SPOOL)},
	{"renameat2", VERDICT_ALLOW, "a profile appears whole in the spool (arm64)", WITHIN_FOLDER(FD_SPOOL)},
	{"unlinkat", VERDICT_ALLOW, "what was delivered leaves the spool",
	 IN_FOLDER(FD_SPOOL, 2, ALL_BITS, 0)},
	{"getdents64", VERDICT_ALLOW, "what waits in the spool"},
	{"flock", VERDICT_ALLOW, "one exporter at a time empties a spool"},
	{"fsync", VERDICT_ALLOW, "a profile in the spool survives the host"},
	{"sysinfo", VERDICT_ALLOW, "qsort asks how much memory it may use"},
};

/* A socket of one kind only: no raw one, no other protocol that the kernel would load a module for, and none
 * that Landlock's rules for TCP do not see (SCTP, MPTCP). */
#define SOCKET(family, type, protocol)                                                                  \
	{                                                                                               \
		{0, ALL_BITS, family}, {1, ALL_BITS & ~(uint64_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), type}, \
		{                                                                                       \
			2, ALL_BITS, protocol                                                           \
		}                                                                                       \
	}
#define OPTION(level, name)               \
	{                                 \
		{1, ALL_BITS, level},     \
		{                         \
			2, ALL_BITS, name \
		}                         \
	}

static const struct syscall_rule network[] = {
	/* where to: Landlock knows the ports; there is no bind, listen or accept */
	{"socket", VERDICT_ALLOW, "to a destination or a proxy", SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP)},
	{"socket", VERDICT_ALLOW, "to a destination or a proxy", SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP)},
	{"socket", VERDICT_ALLOW, "to a destination or a proxy; long answers of DNS",
	 SOCKET(AF_INET, SOCK_STREAM, 0)},
	{"socket", VERDICT_ALLOW, "to a destination or a proxy; long answers of DNS",
	 SOCKET(AF_INET6, SOCK_STREAM, 0)},
	{"socket", VERDICT_ALLOW, "DNS; which of several addresses has a route",
	 SOCKET(AF_INET, SOCK_DGRAM, 0)},
	{"socket", VERDICT_ALLOW, "DNS; which of several addresses has a route",
	 SOCKET(AF_INET6, SOCK_DGRAM, 0)},
	{"socket", VERDICT_ALLOW, "an agent's Unix socket", SOCKET(AF_UNIX, SOCK_STREAM, 0)},
	{"socket", VERDICT_ALLOW, "an agent's Unix socket for statistics", SOCKET(AF_UNIX, SOCK_DGRAM, 0)},
	{"socket", VERDICT_EACCES, "getaddrinfo asks for the interfaces' addresses, and copes without",
	 ARGUMENT(0, ALL_BITS, AF_NETLINK)},
	{"connect", VERDICT_ALLOW, "to a destination, a proxy or a name server"},
	/* an open connection */
	{"sendto", VERDICT_ALLOW, "requests"},
	{"recvfrom", VERDICT_ALLOW, "answers"},
	{"writev", VERDICT_ALLOW, "a question to a name server over TCP"},
	{"sendmmsg", VERDICT_ALLOW, "two questions to a name server at once"},
	{"getsockname", VERDICT_ALLOW, "libcurl and getaddrinfo: which address is ours"},
	{"getpeername", VERDICT_ALLOW, "libcurl: which address is theirs"},
	{"getsockopt", VERDICT_ALLOW, "did the connection come about", OPTION(SOL_SOCKET, SO_ERROR)},
	{"setsockopt", VERDICT_ALLOW, "requests go out at once", OPTION(IPPROTO_TCP, TCP_NODELAY)},
	{"setsockopt", VERDICT_ALLOW, "a name server that is not there is known at once",
	 OPTION(IPPROTO_IP, IP_RECVERR)},
	{"setsockopt", VERDICT_ALLOW, "a name server that is not there is known at once",
	 OPTION(IPPROTO_IPV6, IPV6_RECVERR)},
	{"fcntl", VERDICT_ALLOW, "a socket that does not block", ARGUMENT(1, ALL_BITS, F_GETFL)},
	{"fcntl", VERDICT_ALLOW, "a socket that does not block", ARGUMENT(1, ALL_BITS, F_SETFL)},
	{"ioctl", VERDICT_ALLOW, "a socket that does not block", ARGUMENT(1, ALL_BITS, FIONBIO)},
	{"ioctl", VERDICT_ALLOW, "size of a name server's answer", ARGUMENT(1, ALL_BITS, FIONREAD)},
	{"rt_sigaction", VERDICT_ALLOW, "libcurl ignores SIGPIPE while it closes connections",
	 ARGUMENT(0, ALL_BITS, SIGPIPE)},
	/* names of hosts: Landlock knows the files */
	{"openat",
	 VERDICT_ALLOW,
	 "resolv.conf, hosts and their like; only to read",
	 {{0, ALL_BITS, (uint32_t)AT_FDCWD}, {2, OPEN_TO_WRITE, O_RDONLY}}},
	{"newfstatat",
	 VERDICT_ALLOW,
	 "did resolv.conf or the certificates change",
	 {{0, ALL_BITS, (uint32_t)AT_FDCWD}, {3, ALL_BITS, 0}}},
	{"uname", VERDICT_ALLOW, "the domain to search, when resolv.conf changed and names none"},
	{"sysinfo", VERDICT_ALLOW, "qsort asks once how much memory there is"},
	/* everything is loaded: who comes late is told so */
	{"mmap", VERDICT_EACCES, "a library that a library would load", ARGUMENT(2, PROT_EXEC, PROT_EXEC)},
};

static const struct syscall_rule supervisor[] = {
	/* broker: the only role that opens files, read-only, as the caller */
	{"openat", VERDICT_ALLOW, "files of the target, /proc; only to read",
	 ARGUMENT(2, OPEN_TO_WRITE, O_RDONLY)},
	{"newfstatat", VERDICT_ALLOW, "which mount namespace is a process in"},
	{"faccessat", VERDICT_ALLOW, "did our installed programs lose their mode"},
	{"sendto", VERDICT_ALLOW, "one line to the syslog socket it was given"},
	{"ioctl", VERDICT_ALLOW, "stop sampling", ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_DISABLE)},
	{"ioctl", VERDICT_ALLOW, "is it a perf descriptor", ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_ID)},
	/* start, watch and end roles */
	{"socketpair", VERDICT_ALLOW, "a new role's channels"},
	{"clone", VERDICT_ALLOW, "start a role"},
	{"execve", VERDICT_ALLOW, "start a role"},
	{"wait4", VERDICT_ALLOW, "how a role ended"},
	{"kill", VERDICT_ALLOW, "end a role that hangs"},
	{"dup3", VERDICT_ALLOW, "a new role's descriptors"},
	{"dup2", VERDICT_ALLOW, "a new role's descriptors"},
	{"fcntl", VERDICT_ALLOW, "a new role's descriptors"},
	{"close_range", VERDICT_ALLOW, "nothing else reaches a role"},
	{"signalfd4", VERDICT_ALLOW, "children and SIGTERM as messages"},
};

/* Between execve and a role's own filter: the dynamic loader, libc's start and our hardening. */
static const struct syscall_rule start[] = {
	{"mmap", VERDICT_ALLOW, "the loader maps code"},
	{"mprotect", VERDICT_ALLOW, "the loader applies RELRO"},
	{"openat", VERDICT_ALLOW, "the loader opens libraries", ARGUMENT(2, OPEN_TO_WRITE, O_RDONLY)},
	{"access", VERDICT_ALLOW, "the loader looks for ld.so.preload"},
	{"faccessat", VERDICT_ALLOW, "the loader looks for ld.so.preload (arm64)"},
	{"arch_prctl", VERDICT_ALLOW, "thread pointer"},
	{"set_tid_address", VERDICT_ALLOW, "libc start"},
	{"set_robust_list", VERDICT_ALLOW, "libc start"},
	{"rseq", VERDICT_ALLOW, "libc start"},
	{"readlink", VERDICT_ALLOW, "static libc looks at /proc/self/exe"},
	{"readlinkat", VERDICT_ALLOW, "static libc looks at /proc/self/exe (arm64)"},
	{"newfstatat", VERDICT_ALLOW, "the loader looks at libraries"},
	{"sched_getaffinity", VERDICT_ALLOW, "malloc counts CPUs"},
	{"prlimit64", VERDICT_ALLOW, "stack size; core limit 0"},
	{"prctl", VERDICT_ALLOW, "not dumpable, no_new_privs, die with the parent"},
	{"capget", VERDICT_ALLOW, "are the capability sets empty"},
	{"capset", VERDICT_ALLOW, "empty them"},
	{"landlock_create_ruleset", VERDICT_ALLOW, "the role's own sandbox"},
	{"landlock_add_rule", VERDICT_ALLOW, "the exporter may write below the output folder"},
	{"landlock_restrict_self", VERDICT_ALLOW, "the role's own sandbox"},
	{"seccomp", VERDICT_ALLOW, "the role's own filter"},
	{"rt_sigaction", VERDICT_ALLOW, "signals back to their defaults"},
	{"setsid", VERDICT_ALLOW, "leave the caller's terminal"},
	{"umask", VERDICT_ALLOW, "files are the caller's alone"},
	{"chdir", VERDICT_ALLOW, "hold no folder of the caller busy"},
	{"getppid", VERDICT_ALLOW, "is the parent still there"},
	{"getuid", VERDICT_ALLOW, "the loader: not set-uid"},
	{"geteuid", VERDICT_ALLOW, "the loader: not set-uid"},
	{"getgid", VERDICT_ALLOW, "the loader: not set-uid"},
	{"getegid", VERDICT_ALLOW, "the loader: not set-uid"},
	{"uname", VERDICT_ALLOW, "older loaders look at the kernel version"},
	{"sysinfo", VERDICT_ALLOW, "the exporter's libraries ask for the size of memory"},
};

static const struct syscall_rule opener[] = {
	{"perf_event_open",
	 VERDICT_ALLOW,
	 "the events; closed on exec, never in a group",
	 {{3, ALL_BITS, 0xffffffff}, {4, ALL_BITS, PERF_FLAG_FD_CLOEXEC}}},
	{"ioctl", VERDICT_ALLOW, "a level's samples go to the ring of their CPU",
	 ARGUMENT(1, ALL_BITS, PERF_EVENT_IOC_SET_OUTPUT)},
	/* who called, and being only that */
	{"getresuid", VERDICT_ALLOW, "is the caller one user"},
	{"getresgid", VERDICT_ALLOW, "is the caller in one group"},
	{"getgroups", VERDICT_ALLOW, "is the caller in a group the policy names"},
	{"setresuid", VERDICT_ALLOW, "a set-uid opener becomes its caller; worker_user"},
	{"setresgid", VERDICT_ALLOW, "worker_user"},
	{"setgroups", VERDICT_ALLOW, "worker_user"},
	{"clock_nanosleep", VERDICT_ALLOW, "a refusal takes its time"},
	{"setitimer", VERDICT_ALLOW, "no timer of the caller may interrupt"},
	{"keyctl", VERDICT_ALLOW, "the supervisor joins a session keyring of its own",
	 ARGUMENT(0, ALL_BITS, KEYCTL_JOIN_SESSION_KEYRING)},
};

/* Constant verdicts only: the kernel then remembers them per call, and the target pays some nanoseconds
 * (seccomp bitmap, Linux 5.11). */
static const struct syscall_rule target_refused[] = {
	/* watch */
	{"perf_event_open", VERDICT_EPERM, "profiling: the events that are open already go on counting"},
	/* change the kernel */
	{"bpf", VERDICT_EPERM, "programs inside the kernel; some need no capability"},
	{"init_module", VERDICT_EPERM, "code into the kernel"},
	{"finit_module", VERDICT_EPERM, "code into the kernel"},
	{"delete_module", VERDICT_EPERM, "code out of the kernel"},
	{"kexec_load", VERDICT_EPERM, "another kernel"},
	{"kexec_file_load", VERDICT_EPERM, "another kernel"},
	{"userfaultfd", VERDICT_EPERM, "holds the kernel in the middle of a copy, as its exploits need"},
	/* change another process */
	{"process_vm_writev", VERDICT_EPERM, "writes into the memory of another process"},
};

/* Looked at and left alone, so that the next reader need not wonder. */
static const struct syscall_rule target_left[] = {
	{"ptrace", VERDICT_ALLOW,
	 "crash handlers, sanitizers and debuggers trace their own processes; "
	 "kernel.yama.ptrace_scope is the switch for other ones of the same user"},
	{"process_vm_readv", VERDICT_ALLOW, "crash handlers read stacks with it; the rights of ptrace"},
	{"pidfd_getfd", VERDICT_ALLOW, "process managers; the rights of ptrace"},
	{"io_uring_setup", VERDICT_ALLOW, "databases need it; no operation of it does what is refused above"},
	{"seccomp", VERDICT_ALLOW, "a program's own sandbox: filters only take away"},
	{"unshare", VERDICT_ALLOW,
	 "browsers' and containers' sandboxes need it, and a filter cannot read clone3's flags; "
	 "user.max_user_namespaces=0 is the switch"},
	{"keyctl", VERDICT_ALLOW, "Kerberos and file encryption keep keys there"},
	{"mount", VERDICT_ALLOW, "needs CAP_SYS_ADMIN, which is gone or was kept on purpose"},
	{"open_by_handle_at", VERDICT_ALLOW,
	 "needs CAP_DAC_READ_SEARCH, which is gone or was kept on purpose"},
};

static const struct syscall_table everyone_table = TABLE(everyone, "every process");
static const struct syscall_table files_table = TABLE(files, "reads ELF or profile bytes");
static const struct syscall_table unwinder_table = TABLE(unwinder, "unwinder");
static const struct syscall_table exporter_table = TABLE(exporter, "exporter: files");
static const struct syscall_table network_table = TABLE(network, "exporter: network");
static const struct syscall_table supervisor_table = TABLE(supervisor, "supervisor");
static const struct syscall_table start_table = TABLE(start, "start of a role");
static const struct syscall_table opener_table = TABLE(opener, "opener");

static const struct syscall_table target_refused_table = TABLE(target_refused, "refused with EPERM");
static const struct syscall_table target_left_table = TABLE(target_left, "looked at and left alone");

static const struct role_policy roles[ROLE_COUNT] = {
	[ROLE_OPENER] = {"opener",
			 "the fence around every process of ours, and the opener's own calls",
			 {&opener_table, &supervisor_table, &start_table, &exporter_table, &network_table,
			  &unwinder_table, &files_table, &everyone_table}},
	[ROLE_SUPERVISOR] = {"supervisor",
			     "broker and parent of the roles, which inherit this filter",
			     {&supervisor_table, &start_table, &exporter_table, &network_table,
			      &unwinder_table, &files_table, &everyone_table}},
	[ROLE_UNWINDER] = {"unwinder",
			   "perf rings and stack bytes in, profile out; opens nothing",
			   {&unwinder_table, &files_table, &everyone_table}},
	[ROLE_SYMBOLIZER] = {"symbolizer",
			     "profile and ELF descriptors in, profile out; opens nothing",
			     {&files_table, &everyone_table}},
	[ROLE_EXPORTER] = {"exporter",
			   "finished profiles in, files below its folders out; no network",
			   {&exporter_table, &files_table, &everyone_table}},
	[ROLE_UPLOADER] = {"uploader",
			   "the exporter with a destination on the network: it also connects there",
			   {&network_table, &exporter_table, &files_table, &everyone_table}},
	[ROLE_TARGET] = {"target",
			 "the profiled program and all it starts, with --drop_caps",
			 {&target_refused_table, &target_left_table},
			 VERDICT_ALLOW},
};

bool
role_is_deny_list(const struct role_policy *policy)
{
	return policy->otherwise == VERDICT_ALLOW;
}

const struct role_policy *
role_policy(enum role role)
{
	return (unsigned)role < ROLE_COUNT ? &roles[role] : NULL;
}
