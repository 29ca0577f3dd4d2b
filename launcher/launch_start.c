/* Starts the opener with nothing but a socket, sends the one request, waits for the one answer, and
 * leaves no trace in the process that is about to become the target. */

#include "launcher/launch.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "launcher/kallsyms.h"
#include "launcher/limit_failure.h"
#include "launcher/sealed_memfd.h"
#include "policy/events.h"
#include "policy/levels.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 5000

static struct launch_outcome
outcome(enum failure failure, int error)
{
	return (struct launch_outcome){limit_failure(failure, error), error};
}

/* Opened here, with the caller's rights, so that the worker needs none of its own. Created when its
 * parent exists. */
static int
open_output(const char *path)
{
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return -errno;
	OWNED_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	return take_fd(&fd);
}

static bool
copy_text(char *ret, size_t capacity, const char *text)
{
	size_t length = strlen(text);

	if (length >= capacity)
		return false;
	memcpy(ret, text, length + 1);
	return true;
}

/* A size of the caller's choice is not to be adapted, and without that there is nothing to choose from. */
static enum unwind_method
method_of(const struct launch_options *options)
{
	return options->unwind == UNWIND_AUTO && options->stack_sample_size > 0 ? UNWIND_DWARF
										: options->unwind;
}

static uint32_t
levels_of(const struct launch_options *options)
{
	static const uint32_t levels[] = {
		[UNWIND_AUTO] = LEVELS_ALL,
		[UNWIND_DWARF] = LEVELS_ALL & ~LEVEL_BIT(LEVEL_CHAIN),
		[UNWIND_FP] = LEVEL_BIT(LEVEL_CHAIN),
	};
	uint32_t set = levels[method_of(options)];

	return options->stack_sample_size > 0 ? LEVEL_BIT(level_first(set)) : set;
}

static bool
fill_config(struct worker_config *config, const struct launch_options *options,
	    const struct log_destination *log, const char *output, bool has_network)
{
	config->log_level = options->log_level;
	config->upload_period_s = options->upload_period_s;
	config->export_grace_s = options->export_grace_s;
	config->period_ns = 1000000000u / options->frequency_hz;
	config->target_pid = (uint32_t)getpid();
	config->unwind = method_of(options);
	config->log_is_syslog = log->worker.is_syslog;
	config->inlined_functions = options->inlined_functions;
	config->disable_symbolization = options->disable_symbolization;
	config->debuginfod = options->delivery.debuginfod;
	config->has_network = has_network;
	return copy_text(config->service, sizeof(config->service), options->service) &&
	       copy_text(config->environment, sizeof(config->environment), options->environment) &&
	       copy_text(config->version, sizeof(config->version), options->version) &&
	       copy_text(config->tags, sizeof(config->tags), options->tags) &&
	       copy_text(config->output, sizeof(config->output), output) &&
	       copy_text(config->spool, sizeof(config->spool), options->delivery.spool);
}

static int
seal_config(const struct launch_options *options, const struct log_destination *log, const char *output,
	    bool has_network)
{
	static struct worker_config config;
	const struct iovec part = {&config, sizeof(config)};

	return fill_config(&config, options, log, output, has_network)
		       ? sealed_memfd("ddprof-config", &part, 1)
		       : -ENAMETOOLONG;
}

static _Noreturn void
become_opener(int channel)
{
	static char name[] = "ddprof-perf-open";
	char *const argv[] = {name, NULL}, *const envp[] = {NULL};
	struct answer answer = {.failure = FAILURE_OPENER_MISSING};
	int null = open("/dev/null", O_RDWR);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		if (fd != null)
			dup2(null, fd);
	/* after that: `null` itself may be the number that the channel is to have */
	if (null >= 0 && place_fd(channel, FD_LAUNCH) == 0) {
		close_range(FD_LAUNCH + 1, ~0u, 0);
		execve(DDPROF_LIBEXECDIR "/ddprof-perf-open", argv, envp);
		channel = FD_LAUNCH;
	}
	answer.error = errno;
	(void)channel_send(channel, MESSAGE_ANSWER, &answer, sizeof(answer), NULL, 0);
	_exit(LAUNCH_EXIT_FAILURE);
}

static int
send_request(int channel, const struct launch_options *options, const int fds[LAUNCH_FD_COUNT])
{
	struct launch_request request = {
		.event = EVENT_SCPU,
		.frequency_hz = options->frequency_hz,
		.levels = levels_of(options),
		.stack_bytes = options->stack_sample_size,
		.kernel_frames = fds[LAUNCH_FD_KALLSYMS] >= 0 ? KERNEL_FRAMES_NAMED
				 : options->kernel_frames     ? KERNEL_FRAMES_ENTRY
							      : KERNEL_FRAMES_NONE,
	};
	int attached[LAUNCH_FD_COUNT];
	size_t count = 0;

	for (unsigned i = 0; i < LAUNCH_FD_COUNT; i++) {
		if (fds[i] < 0)
			continue;
		request.present |= 1u << i;
		attached[count++] = fds[i];
	}
	return channel_send(channel, MESSAGE_LAUNCH, &request, sizeof(request), attached, count);
}

static struct launch_outcome
receive_answer(int channel)
{
	static struct message message;
	int result = channel_receive(channel, &message, ANSWER_TIMEOUT_MS);

	if (result == -ETIMEDOUT)
		return outcome(FAILURE_NO_ANSWER, 0);
	if (result < 0)
		return outcome(FAILURE_OPENER_DIED, result == -EPIPE ? 0 : -result);
	const struct answer *answer = message_expect(&message, MESSAGE_ANSWER, sizeof(*answer), 0);
	if (!answer)
		return outcome(FAILURE_OPENER_DIED, EBADMSG);
	return outcome(answer->failure, answer->error);
}

/* Reaps the opener, and takes back the SIGCHLD it raised when the caller has that signal blocked: it
 * would stay pending through exec and surprise the target. One that was pending before stays. */
static void
reap(pid_t opener, bool was_pending)
{
	const struct timespec now = {0};
	sigset_t child_signal;
	siginfo_t info;

	while (waitpid(opener, NULL, 0) < 0 && errno == EINTR)
		continue;
	sigemptyset(&child_signal);
	sigaddset(&child_signal, SIGCHLD);
	sigset_t pending;
	if (was_pending || sigpending(&pending) < 0 || !sigismember(&pending, SIGCHLD))
		return;
	if (sigtimedwait(&child_signal, &info, &now) == SIGCHLD && info.si_pid != opener)
		kill(getpid(), SIGCHLD); /* another child of the caller's, inherited with this process */
}

/* The worker outlives the opener and is adopted by the nearest child subreaper (prctl(2)). Were that this
 * process, the target would see a child it never started: we step aside until the opener has ended. */
static bool
suspend_subreaper(void)
{
	int is_subreaper = 0;

	prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper, 0, 0, 0);
	return is_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0;
}

static struct launch_outcome
ask_opener(const struct launch_options *options, const int fds[LAUNCH_FD_COUNT], int *ret_channel)
{
	int ends[2];
	sigset_t pending;
	int result = channel_pair(ends);

	if (result < 0)
		return outcome(FAILURE_SETUP, -result);
	OWNED_FD channel = ends[0];
	OWNED_FD far_end = ends[1];
	result = send_request(channel, options, fds); /* waits in the socket: one wake-up less */
	if (result < 0)
		return outcome(FAILURE_SETUP, -result);

	sigpending(&pending);
	bool was_subreaper = suspend_subreaper();
	pid_t opener = fork();
	if (opener < 0) {
		int error = errno;

		prctl(PR_SET_CHILD_SUBREAPER, was_subreaper, 0, 0, 0);
		return outcome(FAILURE_SETUP, error);
	}
	if (opener == 0)
		become_opener(far_end);
	close_fd(&far_end);

	/* Whatever the answer, it has nothing left to do, and stopped it would hold us up for ever. ESRCH and
	 * EPERM leave nothing else to try. */
	struct launch_outcome answer = receive_answer(channel);
	kill(opener, SIGKILL);
	reap(opener, sigismember(&pending, SIGCHLD) == 1);
	if (was_subreaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (answer.failure == FAILURE_NONE)
		*ret_channel = take_fd(&channel);
	return answer;
}

struct launch_outcome
launch_start(const struct launch_options *options, const struct log_destination *log, const char *output_path,
	     const struct delivery_fds *delivery, int wait_fd, int *ret_channel)
{
	OWNED_FD output = output_path[0] ? open_output(output_path) : -1;
	if (output < 0 && output_path[0])
		return outcome(FAILURE_OUTPUT, -output);
	OWNED_FD config = seal_config(options, log, output_path, delivery->has_network);
	if (config < 0)
		return outcome(config == -EFBIG ? FAILURE_FILE_SIZE : FAILURE_SETUP, -config);

	OWNED_FD kallsyms = options->kernel_frames && !options->disable_symbolization ? kallsyms_open() : -1;
	const int fds[LAUNCH_FD_COUNT] = {
		[LAUNCH_FD_CONFIG] = config,
		[LAUNCH_FD_OUTPUT] = output,
		[LAUNCH_FD_LOG] = log->worker.fd,
		[LAUNCH_FD_WAIT] = wait_fd,
		[LAUNCH_FD_DELIVERY] = delivery->config,
		[LAUNCH_FD_SPOOL] = delivery->spool,
		[LAUNCH_FD_PREFIX] = delivery->prefix,
		[LAUNCH_FD_KALLSYMS] = kallsyms,
	};
	return ask_opener(options, fds, ret_channel);
}
