/* Takes over the opener's descriptors: checked one by one, mapped, and confirmed. */

#include "worker/supervisor/session.h"

#include "ipc/failure.h"
#include "ipc/fd.h"
#include "policy/events.h"
#include "worker/base/seal.h"
#include "worker/supervisor/container_id.h"
#include "worker/supervisor/fetched_files.h"
#include "worker/supervisor/jit_files.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define HANDOVER_TIMEOUT_MS 10000
#define KERNEL_ADDRESSES_BEGIN 0xffff000000000000ull /* the upper half, on x86-64 and arm64 */
#define RESERVED_FILES  \
	(PIPELINE_MAX + \
	 56) /* channels, profiles in the pipeline, what a message may bring, the broker's views */

static bool
is_terminated_config(const struct worker_config *config)
{
	return IS_TERMINATED(config->service) && IS_TERMINATED(config->environment) &&
	       IS_TERMINATED(config->version) && IS_TERMINATED(config->tags) &&
	       IS_TERMINATED(config->output) && IS_TERMINATED(config->spool) && config->upload_period_s > 0 &&
	       config->period_ns > 0;
}

static int
read_config(struct session *session)
{
	if (memfd_check_sealed(session->config_fd) < 0 ||
	    pread(session->config_fd, &session->config, sizeof(session->config), 0) !=
		    (ssize_t)sizeof(session->config) ||
	    !is_terminated_config(&session->config))
		return -EBADMSG;
	session->log.threshold = session->config.log_level;
	session->log.is_syslog = session->config.log_is_syslog;
	return 0;
}

static int
receive_setup(struct session *session)
{
	static struct message message;
	int *slots[LAUNCH_FD_COUNT] = {
		[LAUNCH_FD_CONFIG] = &session->config_fd,
		[LAUNCH_FD_OUTPUT] = &session->folders[0],
		[LAUNCH_FD_LOG] = &session->log.fd,
		[LAUNCH_FD_WAIT] = &session->wait,
		[LAUNCH_FD_DELIVERY] = &session->delivery_fd,
		[LAUNCH_FD_SPOOL] = &session->folders[FD_SPOOL - FD_OUTPUT],
		[LAUNCH_FD_PREFIX] = &session->folders[FD_PREFIX - FD_OUTPUT],
		[LAUNCH_FD_KALLSYMS] = &session->kallsyms,
	};
	int result = channel_receive(FD_HANDOVER, &message, HANDOVER_TIMEOUT_MS);

	if (result < 0)
		return result;
	const struct launch_request *request = (const void *)message.body;
	if (message.kind != MESSAGE_SETUP || message.size != sizeof(*request) ||
	    message.fd_count != (uint32_t)__builtin_popcount(request->present) ||
	    request->present >= 1u << LAUNCH_FD_COUNT) {
		message_discard(&message);
		return -EBADMSG;
	}
	session->kernel_frames = request->kernel_frames;
	for (unsigned i = 0, next = 0; i < LAUNCH_FD_COUNT; i++)
		if (request->present & 1u << i)
			*slots[i] = message_take_fd(&message, next++);
	return session->config_fd < 0 || session->delivery_fd < 0 ? -EBADMSG : read_config(session);
}

/* PERF_EVENT_IOC_ID answers only on a perf descriptor; anything else is ENOTTY. */
static int
map_rings(struct session *session)
{
	uint64_t id;

	for (uint32_t i = 0; i < session->ring_set.count; i++) {
		if (ioctl(session->ring_set.fd[i], PERF_EVENT_IOC_ID, &id) < 0)
			return -errno;
		if (i >= session->ring_set.ring_count)
			continue;
		int result = perf_ring_map(session->ring_set.fd[i], session->ring_set.about[i].data_size,
					   &session->rings[i]);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Where the kernel has its code is as good as its key: a profile that goes out although nobody could name
 * what is in it has other addresses. They stay positive, as those of user space. */
static int
prepare_kernel_names(struct session *session)
{
	struct stat status;
	uint64_t random;

	if (session->kernel_frames != KERNEL_FRAMES_NAMED || session->kallsyms < 0 ||
	    fstat(session->kallsyms, &status) < 0 || !S_ISREG(status.st_mode)) {
		close_fd(&session->kallsyms);
		return 0;
	}
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	session->kernel_offset = (random >> 2 | 1) - KERNEL_ADDRESSES_BEGIN;
	return 0;
}

static void
read_container_id(struct session *session)
{
	char text[8192] = "";
	OWNED_FD fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (got < 0)
		memcpy(session->container_id, "unknown", sizeof("unknown"));
	else
		container_id_parse(text, session->container_id, sizeof(session->container_id));
}

/* SIGTERM asks us to write what we have and stop; the rest a terminal or a shell might send is not for us. */
static int
take_signals(struct session *session)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	sigaddset(&all, SIGTERM);
	session->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return session->signals < 0 ? -errno : 0;
}

/* What the broker may keep open. Messages bring descriptors too: a full table would cost a role its life. */
static int
count_spare_files(const struct session *session, size_t *ret_count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur <= session->ring_set.count + RESERVED_FILES)
		return -EMFILE;
	*ret_count = limit.rlim_cur - session->ring_set.count - RESERVED_FILES;
	return 0;
}

/* Each ring has a page of its own before its data. */
static uint64_t
ring_bytes(const struct ring_set *set)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < set->ring_count; i++)
		bytes += set->about[i].data_size + (uint64_t)getpagesize();
	return bytes;
}

static int
prepare(struct session *session)
{
	size_t spare_files;
	int result = count_spare_files(session, &spare_files);

	if (result < 0)
		return result;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	session->journal = memfd_create("ddprof-sideband", MFD_CLOEXEC);
	if (session->journal < 0)
		return -errno;
	/* whoever has few descriptors spends most of them on ELF files */
	size_t jit_processes = spare_files / 4 / JIT_FILES;
	if (jit_processes > JIT_FILES_PROCESSES_MAX)
		jit_processes = JIT_FILES_PROCESSES_MAX;
	session->broker = broker_new(proc, spare_files - jit_processes * JIT_FILES, jit_processes);
	self_measure_init(&session->measure, proc, ring_bytes(&session->ring_set));
	session->pipeline = pipeline_new(&session->measure);
	if (session->config.debuginfod)
		session->fetch.files = fetched_files_new(); /* NULL: then nothing is fetched */
	fetch_next_profile(&session->fetch);
	if (!session->broker || !session->pipeline)
		return -ENOMEM;
	read_container_id(session);
	result = prepare_kernel_names(session);
	return result < 0 ? result : take_signals(session);
}

/* An opener that gives up says so to the launcher itself, before us: this one was killed. */
static int
opener_died(int *ret_error)
{
	*ret_error = 0;
	return FAILURE_OPENER_DIED;
}

int
session_receive(struct session *session, int *ret_error)
{
	session->launch = FD_LAUNCH;
	session->wait = session->config_fd = session->delivery_fd = session->log.fd = session->journal = -1;
	session->kallsyms = -1;
	for (size_t i = 0; i < ROLE_FOLDERS; i++)
		session->folders[i] = -1;
	int result = receive_setup(session);
	if (result == 0)
		result = ring_set_receive(FD_HANDOVER, &session->ring_set, HANDOVER_TIMEOUT_MS);
	if (result == -EPIPE)
		return opener_died(ret_error);
	if (result == 0)
		result = prepare(session);
	*ret_error = -result;
	return result < 0 ? FAILURE_WORKER_DIED : FAILURE_NONE;
}

int
session_take_over(struct session *session, int *ret_error)
{
	int result = map_rings(session);
	struct answer mapped = {.failure = result < 0 ? FAILURE_LOCKED_MEMORY : FAILURE_NONE,
				.error = -result};

	if (result == 0)
		result = channel_send(FD_HANDOVER, MESSAGE_MAPPED, &mapped, sizeof(mapped), NULL, 0);
	close(FD_HANDOVER);
	if (result == -EPIPE)
		return opener_died(ret_error);
	*ret_error = -result;
	return result == 0 ? FAILURE_NONE : mapped.failure ? (int)mapped.failure : FAILURE_WORKER_DIED;
}

void
session_close(struct session *session)
{
	for (uint32_t i = 0; i < session->ring_set.ring_count; i++)
		perf_ring_unmap(&session->rings[i]);
	ring_set_close(&session->ring_set);
	broker_free(session->broker);
	fetched_files_free(session->fetch.files);
	pipeline_free(session->pipeline);
}
