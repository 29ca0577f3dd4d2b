/* The sentence and the smallest fix for every way not to profile. */

#include "ipc/failure.h"

static const struct {
	const char *reason, *fix;
} sentences[FAILURE_COUNT] = {
	[FAILURE_NONE] = {"ready", ""},
	[FAILURE_OPENER_MISSING] = {"cannot start " DDPROF_LIBEXECDIR "/ddprof-perf-open",
				    "install ddprof-launch again with the prefix it was built for"},
	[FAILURE_OPENER_DIED] = {"the opener ended without an answer",
				 "look for ddprof-perf-open in the kernel log (dmesg, ausearch -m SECCOMP)"},
	[FAILURE_NO_ANSWER] = {"the worker did not get ready in time",
			       "try again when the machine is less busy"},
	[FAILURE_SETUP] = {"cannot set up the profiler", "raise the limit named (ulimit -a) and try again"},
	[FAILURE_OUTPUT] = {"cannot write to the output folder", "name a writable folder with --output"},
	[FAILURE_SANDBOX] = {"the kernel refuses our sandbox (seccomp filter)",
			     "use a kernel with CONFIG_SECCOMP_FILTER"},
	[FAILURE_REQUEST] = {"the opener refused the request as out of its limits",
			     "lower the frequency or the stack size"},
	[FAILURE_WORKER_MISSING] = {"cannot start " DDPROF_LIBEXECDIR "/ddprof-worker",
				    "install ddprof-launch again with the prefix it was built for"},
	[FAILURE_WORKER_DIED] = {"the worker ended while it was starting",
				 "look for ddprof-worker in the kernel log (dmesg, ausearch -m SECCOMP)"},
	[FAILURE_EVENTS_REFUSED] = {"the kernel refuses perf_event_open",
				    "lower kernel.perf_event_paranoid to 2, or allow the system call in the "
				    "container's seccomp profile"},
	[FAILURE_EVENTS_UNSUPPORTED] = {"the kernel has no task-clock events",
					"use a kernel with CONFIG_PERF_EVENTS"},
	[FAILURE_TOO_MANY_FILES] = {"not enough file descriptors for two perf events per CPU",
				    "raise the hard limit of open files (ulimit -Hn)"},
	[FAILURE_LOCKED_MEMORY] =
		{"not enough lockable memory for the perf rings",
		 "raise ulimit -l or kernel.perf_event_mlock_kb, or end other profilers of this user"},
	[FAILURE_PRIVILEGES] = {"the opener could not give up its privileges",
				"report this; it then refuses to go on"},
	[FAILURE_PARENT] =
		{"the calling process is not a plain process of the same user",
		 "run ddprof-launch as the user who owns it, without set-uid or unreadable programs"},
};

const char *
failure_reason(unsigned failure)
{
	return failure < FAILURE_COUNT && sentences[failure].reason ? sentences[failure].reason
								    : "unknown failure";
}

const char *
failure_fix(unsigned failure)
{
	return failure < FAILURE_COUNT && sentences[failure].fix ? sentences[failure].fix : "report this";
}
