/* One fork for each question: nothing asked changes the asker. */

#include "launcher/audit/probe.h"

#include "ipc/fd.h"
#include "policy/events.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int
ask(int (*question)(uint64_t), uint64_t argument)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return PROBE_FAILED;
	if (child == 0) {
		int answer = question(argument);
		_exit(answer < 0 ? 255 : answer); /* every errno is below 134 */
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return PROBE_FAILED;
	if (WIFSIGNALED(status))
		return PROBE_KILLED;
	return WEXITSTATUS(status) == 255 ? PROBE_FAILED : WEXITSTATUS(status);
}

static int
reach(uint64_t unused)
{
	(void)unused;
	return syscall(SYS_perf_event_open, NULL, 0, -1, -1, ~0ul) < 0 ? errno : 0;
}

static int
keep(uint64_t kept)
{
	cap_t caps = cap_init();

	for (cap_value_t capability = 0; caps && capability <= cap_max_bits() - 1; capability++) {
		if (!(kept >> capability & 1))
			continue;
		cap_set_flag(caps, CAP_PERMITTED, 1, &capability, CAP_SET);
		cap_set_flag(caps, CAP_EFFECTIVE, 1, &capability, CAP_SET);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return caps && cap_set_proc(caps) == 0 ? 0 : -1;
}

/* Older kernels do not know our newest features; the opener does without them, and so do we. */
static int
open_one(struct perf_event_attr attributes)
{
	int cpu = sched_getcpu();

	if (attributes.sample_type & PERF_SAMPLE_STACK_USER) {
		attributes.sample_freq = 99;
		attributes.sample_stack_user = 1024;
	}
	for (int attempt = 0; attempt < 3; attempt++) {
		OWNED_FD fd = (int)syscall(SYS_perf_event_open, &attributes, 0, cpu < 0 ? 0 : cpu, -1,
					   PERF_FLAG_FD_CLOEXEC);
		if (fd >= 0)
			return 0;
		if (errno != EINVAL)
			break;
		attributes.read_format = 0;
		attributes.build_id = attempt == 0 ? attributes.build_id : 0;
	}
	return errno;
}

static int
open_all(uint64_t kept)
{
	if (keep(kept) < 0)
		return -1;
	for (int id = 0; id < EVENT_COUNT; id++) {
		int error = open_one(event_policy(id)->attributes);

		if (error)
			return error;
	}
	return 0;
}

int
probe_reach(void)
{
	return ask(reach, 0);
}

int
probe_open(uint64_t kept)
{
	return ask(open_all, kept);
}
