/* The sentence and the smallest fix for every way not to profile. */

#include "ipc/failure.h"

#include <stddef.h>

/* clang-format off */
static const struct {
	const char *reason, *fix;
	enum failure_detail detail;
} sentences[FAILURE_COUNT] = {
	[FAILURE_NONE] = {"ready", ""},
	[FAILURE_OPENER_MISSING] = {
		"cannot start " DDPROF_LIBEXECDIR "/ddprof-perf-open",
		"install ddprof-launch again with the prefix it was built for, or join the group that may execute it"},
	[FAILURE_OPENER_DIED] = {
		"the opener ended without an answer",
		"look for a limit on memory, stack or CPU time (ulimit -a), and for ddprof-perf-open in the kernel log "
		"(dmesg, ausearch -m SECCOMP)"},
	[FAILURE_NO_ANSWER] = {
		"the worker did not get ready in time",
		"try again when the machine is less busy"},
	[FAILURE_SETUP] = {
		"cannot set up the profiler",
		"look for a limit or a filter that causes it (ulimit -a)"},
	[FAILURE_OUTPUT] = {
		"cannot write to the output folder",
		"name a writable folder with --output"},
	[FAILURE_SANDBOX] = {
		"the kernel refuses our sandbox (seccomp filter)",
		"use a kernel with CONFIG_SECCOMP_FILTER"},
	[FAILURE_REQUEST] = {
		"the opener refused the request as out of its limits",
		"lower the frequency or the stack size"},
	[FAILURE_WORKER_MISSING] = {
		"cannot start " DDPROF_LIBEXECDIR "/ddprof-worker",
		"install ddprof-launch again with the prefix it was built for"},
	[FAILURE_WORKER_DIED] = {
		"the worker ended while it was starting",
		"look for a limit on memory, stack or CPU time (ulimit -a), and for ddprof-worker in the kernel log "
		"(dmesg, ausearch -m SECCOMP)"},
	[FAILURE_EVENTS_REFUSED] = {
		"the kernel refuses perf_event_open without a privilege",
		"give " DDPROF_LIBEXECDIR "/ddprof-perf-open the file capability that 'ddprof-launch --check' names, "
		"or lower kernel.perf_event_paranoid to 2"},
	[FAILURE_EVENTS_UNSUPPORTED] = {
		"the kernel has no task-clock events",
		"use a kernel with CONFIG_PERF_EVENTS"},
	[FAILURE_TOO_MANY_FILES] = {
		"not enough file descriptors for two perf events per CPU",
		"raise the limits of open files (ulimit -n and -Hn)"},
	[FAILURE_TOO_MANY_PROCESSES] = {
		"not enough processes for the opener and the worker",
		"raise the limit of processes (ulimit -u, TasksMax= of the unit, pids.max of the container)"},
	[FAILURE_TOO_LITTLE_MEMORY] = {
		"not enough memory",
		"raise the limits of memory (ulimit -v and -d, or the control group's)"},
	[FAILURE_FILE_SIZE] = {
		"not enough room for the configuration in a file in memory",
		"raise the limit of file size (ulimit -f)"},
	[FAILURE_LOCKED_MEMORY] = {
		"not enough lockable memory for the perf rings",
		"raise ulimit -l or kernel.perf_event_mlock_kb, or end other profilers of this user"},
	[FAILURE_PRIVILEGES] = {
		"the opener could not give up its privileges",
		"report this; it then refuses to go on"},
	[FAILURE_PARENT] = {
		"the calling process is not a plain process of the same user",
		"run ddprof-launch as the user who owns it, without set-uid or unreadable programs"},
	[FAILURE_IDENTITY] = {
		"the caller's real and effective user or group differ",
		"run ddprof-launch from a process that is one user only, not from a set-uid or set-gid program"},
	[FAILURE_SUID_DUMPABLE] = {
		"fs.suid_dumpable is not known to be safe: at 1 the kernel would let set-uid programs be sampled",
		"set it to 0 or 2 (sysctl fs.suid_dumpable=2), and let /proc/sys be readable"},
	[FAILURE_NO_NEW_PRIVS] = {
		"the caller runs with no_new_privs, so the opener got no privilege",
		"give the capability to the service itself (AmbientCapabilities=) or allow new privileges for it"},
	[FAILURE_EVENTS_BLOCKED] = {
		"a seccomp filter, security module or user namespace blocks perf_event_open",
		"allow the system call in the container's or unit's seccomp profile, and use the host's user namespace"},
	[FAILURE_PERFMON_REFUSED] = {
		"the kernel refuses perf_event_open even with CAP_PERFMON, as Debian's and Ubuntu's do when closed",
		"use CAP_SYS_ADMIN instead: setcap cap_sys_admin=p " DDPROF_LIBEXECDIR "/ddprof-perf-open"},
	[FAILURE_WORKER_MODE] = {
		DDPROF_LIBEXECDIR "/ddprof-worker could be read or changed by its users, so a privileged opener "
		"does not trust it",
		"make it and its folder root:root, and it mode 0711, as the installation does"},
	[FAILURE_WORKER_USER] = {
		"the policy's worker_user cannot be taken on",
		"install the opener set-uid root, or remove worker_user from the policy"},
	[FAILURE_POLICY_FILE] = {
		"the policy /etc/ddprof/policy.conf cannot be used",
		"it and its folders must be root's, not writable by others, no symbolic link, and readable by its users"},
	[FAILURE_POLICY_LINE] = {
		"the policy /etc/ddprof/policy.conf is not understood",
		"an administrator must correct it; 'ddprof-launch --print-policy' says what is wrong", FAILURE_DETAIL_LINE},
	[FAILURE_POLICY_GROUP] = {
		"the policy lets only some groups profile",
		"ask the administrator to add you to one that 'groups' in /etc/ddprof/policy.conf names"},
	[FAILURE_POLICY_EVENT] = {
		"the policy does not allow this event",
		"name one that 'events' in /etc/ddprof/policy.conf lists"},
	[FAILURE_POLICY_FREQUENCY] = {
		"the policy does not allow this frequency",
		"ask for no more than that (-e 'sCPU freq=...')", FAILURE_DETAIL_HERTZ},
	[FAILURE_POLICY_STACK] = {
		"the policy does not allow this stack size",
		"ask for no more than that (--stack_sample_size)", FAILURE_DETAIL_BYTES},
};
/* clang-format on */

const char *
failure_reason(unsigned failure)
{
	return failure < FAILURE_COUNT ? sentences[failure].reason : "unknown failure";
}

const char *
failure_fix(unsigned failure)
{
	return failure < FAILURE_COUNT ? sentences[failure].fix : "report this";
}

enum failure_detail
failure_detail(unsigned failure)
{
	return failure < FAILURE_COUNT ? sentences[failure].detail : FAILURE_DETAIL_ERRNO;
}
