/* Starts roles with exactly two descriptors beyond /dev/null, and counts how they end. */

#include "worker/supervisor/role_process.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define FIRST_FREE_FD 8 /* above every fixed_fd */
#define BACKOFF_MS 100

static const struct {
	const char *path, *argument;
	bool has_broker;
} programs[ROLE_COUNT] = {
	[ROLE_UNWINDER] = {DDPROF_LIBEXECDIR "/ddprof-worker", "unwinder", true},
	[ROLE_SYMBOLIZER] = {DDPROF_LIBEXECDIR "/ddprof-symbolizer", "symbolizer", true},
	[ROLE_EXPORTER] = {DDPROF_LIBEXECDIR "/ddprof-exporter", "exporter", false},
};

const char *
role_process_name(const struct role_process *process)
{
	return role_policy(process->role)->name;
}

/* Descriptors are above every fixed number here, so that placing one cannot overwrite another. */
static _Noreturn void
become_role(enum role role, int control, int second)
{
	const char *path = programs[role].path;
	const char *const argv[] = {strrchr(path, '/') + 1, programs[role].argument, harden_report(), NULL};
	char *const envp[] = {NULL};

	if (place_fd(control, FD_CONTROL) == 0 && place_fd(second, FD_BROKER) == 0 &&
	    close_range(FD_BROKER + 1, ~0u, 0) == 0)
		execve(path, (char *const *)(uintptr_t)argv, envp);
	_exit(127);
}

static int
fork_role(enum role role, int control, int second)
{
	OWNED_FD high_control = fcntl(control, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	OWNED_FD high_second = fcntl(second, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (high_control < 0 || high_second < 0)
		return -errno;

	pid_t pid = fork();
	if (pid == 0)
		become_role(role, high_control, high_second);
	return pid < 0 ? -errno : pid;
}

int
role_process_start(struct role_process *process, int given)
{
	int control[2] = {-1, -1}, broker[2] = {-1, -1};
	int result = channel_pair(control);

	if (result == 0 && programs[process->role].has_broker)
		result = channel_pair(broker);
	if (result == 0)
		result = fork_role(process->role, control[1], broker[1] >= 0 ? broker[1] : given);
	close_fd(&control[1]);
	close_fd(&broker[1]);
	if (result < 0) {
		close_fd(&control[0]);
		close_fd(&broker[0]);
		return result;
	}
	process->pid = result;
	process->control = control[0];
	process->broker = broker[0];
	process->is_ready = false;
	process->deadline_ms = 0;
	return 0;
}

void
role_process_buried(struct role_process *process, int64_t now_ms)
{
	process->pid = 0;
	process->is_ready = false;
	process->deadline_ms = 0;
	close_fd(&process->control);
	close_fd(&process->broker);
	process->deaths++;
	process->is_given_up = process->deaths >= ROLE_MAX_DEATHS;
	/* the first time at once: a ring holds little more than a tenth of a second */
	process->next_start_ms = process->deaths == 1 ? now_ms : now_ms + (BACKOFF_MS << process->deaths);
}

void
role_process_kill(struct role_process *process)
{
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
}
