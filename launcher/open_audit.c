/* One line to the system log per opening, from the one party the caller cannot forge: who asked, for what,
 * with which capability, and what came of it. No argument, name or path in it can end the line or a field. */

#include "launcher/opener.h"

#include "ipc/fd.h"
#include "launcher/line.h"
#include "policy/events.h"
#include "policy/levels.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "launcher/forbidden.h"

/* The facility is AUTHPRIV (10), severities are informational and warning (RFC 5424, syslog(3)). */
#define PRIORITY_OPENED "<86>"
#define PRIORITY_REFUSED "<84>"

/* A refusal costs the caller this much time before its line: a loop of them writes 50 lines a second, not
 * thousands. Nothing shared is needed for that which a caller could fill, hold or reset. */
#define REFUSAL_PAUSE_NS 20000000

static const struct opening *subject;
static int trail = -1;
static char caller_exe[256];
static ssize_t caller_exe_length = -1;

/* What asked us, usually ddprof-launch: the kernel's word, not the caller's. Early, because a caller with
 * capabilities is closed to a process without any (proc(5)). */
static void
look_at_caller(void)
{
	struct line path = {0};

	line_add(&path, "/proc/");
	line_add_number(&path, (uint64_t)subject->parent);
	line_add(&path, "/exe");
	caller_exe_length = readlink(path.text, caller_exe, sizeof(caller_exe));
}

/* Connected before the fence, which has neither socket(2) nor connect(2). Without a system log there is
 * nothing to write to, and no reason not to profile. */
void
open_audit_trail(const struct opening *opening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

	subject = opening;
	look_at_caller();
	trail = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (trail >= 0 && connect(trail, (struct sockaddr *)&address, sizeof(address)) < 0)
		close_fd(&trail);
}

void
leave_audit_trail(void)
{
	trail = -1; /* the descriptor itself closes at exec */
}

static const char *
capability_name(int capability)
{
	return capability == CAP_PERFMON     ? "cap_perfmon"
	       : capability == CAP_SYS_ADMIN ? "cap_sys_admin"
					     : "none";
}

static const char *const kernel_frames_text[] = {"", " kernel_frames=yes", " kernel_frames=named"};

static void
add_request(struct line *line)
{
	const struct launch_request *request = &subject->request;
	const struct event_policy *event = event_policy(request->event);
	uint32_t levels = request->levels; /* the last bit copies most */

	line_add(line, " event=");
	line_add(line, event && request->frequency_hz ? event->name : "?");
	line_add(line, " frequency=");
	line_add_number(line, request->frequency_hz);
	line_add(line, " stack=");
	line_add_number(line,
			levels ? level_stack_bytes(31 - __builtin_clz(levels), request->stack_bytes) : 0);
	line_add(line, kernel_frames_text[request->kernel_frames]);
	line_add(line, " cpus=");
	line_add_number(line, subject->rings.ring_count / 2);
}

void
write_audit_line(enum failure failure, int error)
{
	const struct timespec pause = {.tv_nsec = REFUSAL_PAUSE_NS};
	struct line line = {0};

	if (trail < 0)
		return;
	if (failure != FAILURE_NONE)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	line_add(&line, failure == FAILURE_NONE ? PRIORITY_OPENED : PRIORITY_REFUSED);
	line_add(&line, "ddprof-perf-open: uid=");
	line_add_number(&line, getuid());
	line_add(&line, " pid=");
	line_add_number(&line, (uint64_t)subject->parent);
	line_add(&line, " exe=");
	if (caller_exe_length < 0)
		line_add(&line, "?");
	else
		line_add_quoted(&line, caller_exe, (size_t)caller_exe_length);
	add_request(&line);
	line_add(&line, " capability=");
	line_add(&line, capability_name(subject->capability));
	line_add(&line, failure == FAILURE_NONE ? " result=ok" : " result=refused");
	line_add(&line, " reason=");
	line_add(&line, failure_word(failure));
	line_add(&line, " errno=");
	line_add_number(&line, error > 0 ? (uint64_t)error : 0);
	(void)send(trail, line.text, line.used, MSG_NOSIGNAL);
	leave_audit_trail(); /* one line, whatever happens next */
}
