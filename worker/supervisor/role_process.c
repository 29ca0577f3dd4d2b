/* Starts roles with exactly the descriptors they are to have, and counts how they end. */

#include "worker/supervisor/role_process.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define FIRST_FREE_FD 8 /* above every fixed_fd */
#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 30000
#define WELL_MS 60000 /* who lived that long did not die of what its predecessor died of */
#define LEAVE_MS 1000

static const struct {
	const char *path, *argument;
	bool has_broker, is_needed; /* to the end, however often it dies */
} programs[ROLE_COUNT] = {
	[ROLE_UNWINDER] = {DDPROF_LIBEXECDIR "/ddprof-worker", "unwinder", .has_broker = true},
	[ROLE_SYMBOLIZER] = {DDPROF_LIBEXECDIR "/ddprof-symbolizer", "symbolizer", .has_broker = true},
	[ROLE_EXPORTER] = {DDPROF_LIBEXECDIR "/ddprof-exporter", "exporter", .is_needed = true},
	[ROLE_UPLOADER] = {DDPROF_LIBEXECDIR "/ddprof-uploader", "exporter"}, /* the same role */
};

const char *
role_process_name(const struct role_process *process)
{
	return role_policy(process->role)->name;
}

/* What a role gets beside its control channel: FD_BROKER, or the exporter's folders. */
#define GIVEN_MAX ROLE_FOLDERS
struct given {
	size_t count;
	int fd[GIVEN_MAX];
};

/* Descriptors are above every fixed number here, so that placing one cannot overwrite another. */
static _Noreturn void
become_role(enum role role, int control, const struct given *given)
{
	const char *path = programs[role].path;
	const char *const argv[] = {strrchr(path, '/') + 1, programs[role].argument, harden_report(), NULL};
	char *const envp[] = {NULL};
	int result = place_fd(control, FD_CONTROL);

	for (size_t i = 0; i < given->count && result == 0; i++)
		result = place_fd(given->fd[i], FD_CONTROL + 1 + (int)i);
	if (result == 0 && close_range(FD_CONTROL + 1 + (unsigned)given->count, ~0u, 0) == 0)
		execve(path, (char *const *)(uintptr_t)argv, envp);
	_exit(127);
}

static int
fork_role(enum role role, int control, const struct given *given)
{
	struct given high = {.count = given->count};
	OWNED_FD high_control = fcntl(control, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	bool has_all = high_control >= 0;
	int error = errno;

	for (size_t i = 0; i < given->count; i++) {
		high.fd[i] = fcntl(given->fd[i] >= 0 ? given->fd[i] : STDIN_FILENO, F_DUPFD_CLOEXEC,
				   FIRST_FREE_FD); /* standard input is /dev/null */
		error = has_all && high.fd[i] < 0 ? errno : error;
		has_all = has_all && high.fd[i] >= 0;
	}
	pid_t pid = has_all ? fork() : -1;
	if (pid == 0)
		become_role(role, high_control, &high);
	if (has_all && pid < 0)
		error = errno;
	for (size_t i = 0; i < high.count; i++)
		close_fd(&high.fd[i]);
	return pid < 0 ? -error : pid;
}

int
role_process_start(struct role_process *process, const int folders[ROLE_FOLDERS], int64_t now_ms)
{
	int control[2] = {-1, -1}, broker[2] = {-1, -1};
	struct given given = {.count = 1};
	int result = channel_pair(control);

	if (result == 0 && programs[process->role].has_broker)
		result = channel_pair(broker);
	given.fd[0] = broker[1];
	if (process->role == ROLE_EXPORTER) {
		given.count = ROLE_FOLDERS;
		memcpy(given.fd, folders, sizeof(given.fd));
	}
	if (result == 0)
		result = fork_role(process->has_network ? ROLE_UPLOADER : process->role, control[1], &given);
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
	process->started_ms = now_ms;
	return 0;
}

static void
close_channels(struct role_process *process)
{
	process->pid = 0;
	process->is_ready = false;
	process->deadline_ms = 0;
	close_fd(&process->control);
	close_fd(&process->broker);
}

static int64_t
backoff(unsigned deaths)
{
	int64_t wait = BACKOFF_MS;

	for (unsigned i = 0; i < deaths && wait < BACKOFF_MAX_MS; i++)
		wait *= 2;
	return wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
}

void
role_process_buried(struct role_process *process, int64_t now_ms)
{
	bool was_well = process->started_ms > 0 && now_ms - process->started_ms >= WELL_MS;

	close_channels(process);
	process->started_ms = 0; /* a start that fails next is no long life */
	if (programs[process->role].is_needed && was_well)
		process->deaths = 0;
	process->deaths++;
	process->is_given_up = !programs[process->role].is_needed && process->deaths >= ROLE_MAX_DEATHS;
	/* the first time at once: a ring holds little more than a tenth of a second */
	process->next_start_ms = process->deaths == 1 ? now_ms : now_ms + backoff(process->deaths);
}

void
role_process_left(struct role_process *process, int64_t now_ms)
{
	close_channels(process);
	process->next_start_ms =
		now_ms - process->started_ms >= LEAVE_MS ? now_ms : process->started_ms + LEAVE_MS;
}

void
role_process_kill(struct role_process *process)
{
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
}
