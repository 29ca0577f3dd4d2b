/* Opens exactly what policy/events.c lists, on the parent, on every online CPU, with the least privilege that
 * works, and maps each ring once; then, if it can be had, the same for other levels of sampling. */

#include "launcher/opener.h"

#include "ipc/fd.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "policy/limits.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/forbidden.h"

static void
forgo_lost_count(struct perf_event_attr *attributes)
{
	attributes->read_format &= ~(uint64_t)PERF_FORMAT_LOST; /* since Linux 6.0 */
}

static void
forgo_build_id(struct perf_event_attr *attributes)
{
	attributes->build_id = 0; /* since Linux 5.12 */
}

/* What older kernels refuse (EINVAL) and we can do without, newest first. */
static void (*const optional_features[])(struct perf_event_attr *) = {forgo_lost_count, forgo_build_id};

static enum failure
failure_of(const struct opening *opening, int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
		return FAILURE_TOO_MANY_FILES;
	case EPERM: /* perf_event_paranoid is EACCES, a seccomp profile usually EPERM */
		return FAILURE_EVENTS_BLOCKED;
	case EACCES:
		if (may_raise(CAP_SYS_ADMIN))
			return FAILURE_EVENTS_BLOCKED;
		if (may_raise(CAP_PERFMON))
			return FAILURE_PERFMON_REFUSED;
		return opening->caller_has_no_new_privs ? FAILURE_NO_NEW_PRIVS : FAILURE_EVENTS_REFUSED;
	default:
		return FAILURE_EVENTS_UNSUPPORTED;
	}
}

static int
open_event(const struct perf_event_attr *attributes, pid_t pid, int cpu)
{
	int fd = (int)syscall(SYS_perf_event_open, attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opens an event for the first time, learning what this kernel does not know. */
static int
open_learning(struct perf_event_attr *attributes, pid_t pid, int cpu)
{
	int fd = open_event(attributes, pid, cpu);

	for (size_t i = 0; fd == -EINVAL && i < sizeof(optional_features) / sizeof(optional_features[0]);
	     i++) {
		optional_features[i](attributes);
		fd = open_event(attributes, pid, cpu);
	}
	return fd;
}

/* Finds out with the first event of a kind what it takes, the least privilege first. Debian's kernels refuse
 * CAP_PERFMON where others want nothing at all: versions and settings tell less than trying. What worked
 * stays in effect. Addresses of the kernel's go only to who could have them without us: nothing of ours was
 * needed, or /proc/kallsyms is open to the caller. */
static int
open_first(struct opening *opening, struct perf_event_attr *attributes, int cpu)
{
	static const int capabilities[] = {NO_CAPABILITY, CAP_PERFMON, CAP_SYS_ADMIN};
	uint32_t *frames = &opening->request.kernel_frames;
	int fd = -EACCES;

	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		if (capabilities[i] != NO_CAPABILITY && !may_raise(capabilities[i]))
			continue;
		opening->capability = capabilities[i];
		raise_only(capabilities[i]);
		if (*frames == KERNEL_FRAMES_NAMED && i > 0 && !may_raise(CAP_SYSLOG))
			*frames = KERNEL_FRAMES_ENTRY;
		if (!attributes->exclude_kernel)
			event_include_kernel(*frames, attributes);
		fd = open_learning(attributes, opening->parent, cpu);
		if (fd != -EACCES && fd != -EPERM)
			return fd;
	}
	opening->capability = NO_CAPABILITY; /* none was of use */
	if (attributes->exclude_kernel)
		return fd;
	*frames = KERNEL_FRAMES_NONE; /* user space needs less */
	event_include_kernel(*frames, attributes);
	return open_first(opening, attributes, cpu);
}

static void
add_event(struct ring_set *rings, int fd, struct ring_description about)
{
	rings->about[rings->count] = about;
	rings->fd[rings->count++] = fd;
	rings->ring_count += about.data_size > 0;
}

/* CPU numbers are tried upwards: an offline CPU answers ENODEV, a number beyond the last possible CPU
 * EINVAL (perf_event_open(2)); no file needs to be read to know them. */
static void
open_on_all_cpus(struct opening *opening)
{
	const enum event_id wanted[2] = {EVENT_SIDEBAND, opening->request.event};
	struct perf_event_attr attributes[2] = {event_policy(wanted[0])->attributes,
						event_policy(wanted[1])->attributes};
	enum sampling_level first = level_first(opening->request.levels);

	attributes[1].sample_freq = opening->request.frequency_hz;
	level_apply(first, opening->request.stack_bytes, &attributes[1]);
	event_include_kernel(opening->request.kernel_frames, &attributes[1]);
	for (int cpu = 0; cpu < UINT16_MAX; cpu++) {
		for (size_t i = 0; i < 2; i++) {
			int fd = opening->rings.count > i ? open_event(&attributes[i], opening->parent, cpu)
				 : i > 0 && attributes[i].exclude_kernel
					 ? open_learning(&attributes[i], opening->parent, cpu)
					 : open_first(opening, &attributes[i], cpu);

			if (fd == -ENODEV && i == 0)
				break;
			if (fd == -EINVAL && i == 0 && opening->rings.count > 0)
				return;
			if (fd < 0)
				die(failure_of(opening, -fd), -fd);
			if (opening->rings.count == MAX_RINGS)
				die(FAILURE_TOO_MANY_FILES, E2BIG);
			opening->sampling = attributes[1];
			add_event(&opening->rings, fd,
				  (struct ring_description){.cpu = (uint16_t)cpu,
							    .event = (uint8_t)wanted[i],
							    .level = (uint8_t)first,
							    .data_size = SIDEBAND_RING_BYTES});
		}
	}
}

void
open_events(struct opening *opening)
{
	open_on_all_cpus(opening);
	raise_only(NO_CAPABILITY);
}

static void
unmap_rings(void *const mapped[], const struct ring_set *rings, uint32_t count, size_t page)
{
	for (uint32_t i = 0; i < count; i++)
		munmap(mapped[i], page + rings->about[i].data_size);
}

/* Maps every ring with its size, or none: -errno. */
static int
map_all(void *mapped[], const struct ring_set *rings, size_t page)
{
	for (uint32_t i = 0; i < rings->ring_count; i++) {
		mapped[i] = mmap(NULL, page + rings->about[i].data_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 rings->fd[i], 0);
		if (mapped[i] == MAP_FAILED) {
			int error = errno;

			unmap_rings(mapped, rings, i, page);
			return -error;
		}
	}
	return 0;
}

/* What all sample rings together may take. Asking for more than may be locked fails half way, and mapping an
 * event a second time makes the kernel wait for an RCU grace period (ring_buffer_attach): 10 ms. */
static uint64_t
ring_budget(uint64_t cpus, uint64_t page)
{
	struct rlimit locked;
	uint64_t others = cpus * (SIDEBAND_RING_BYTES + 2 * page);

	if (may_raise(CAP_IPC_LOCK) || getrlimit(RLIMIT_MEMLOCK, &locked) < 0 ||
	    locked.rlim_cur > SAMPLE_RINGS_MAX_BYTES + others)
		return SAMPLE_RINGS_MAX_BYTES;
	return locked.rlim_cur > others ? locked.rlim_cur - others : 0;
}

/* A power of two that holds SAMPLE_RING_MS of samples, within the limits for one and for all rings. */
static uint32_t
wanted_ring_size(const struct opening *opening, uint64_t page)
{
	const struct launch_request *request = &opening->request;
	uint64_t cpus = opening->rings.ring_count / 2;
	uint64_t bytes =
		(uint64_t)request->frequency_hz * SAMPLE_RING_MS / 1000 * opening->sampling.sample_stack_user;
	uint64_t budget = ring_budget(cpus, page);
	uint32_t size = SAMPLE_RING_MIN_BYTES;

	while (size < bytes && size < opening->policy.max_ring_bytes && 2 * size * cpus <= budget)
		size *= 2;
	return size;
}

/* A ring lives as long as it is mapped somewhere, and only the first mapping is charged to a budget
 * (perf_event_mlock_kb per user, then RLIMIT_MEMLOCK). So we map here and exit after the supervisor did.
 * Where the budget is short, rings shrink: losing a burst beats not profiling. */
void
map_rings(struct opening *opening)
{
	static void *mapped[MAX_RINGS];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int result = -EPERM;

	if (may_raise(CAP_IPC_LOCK))
		raise_only(CAP_IPC_LOCK); /* root's services share one budget otherwise */
	for (uint32_t size = wanted_ring_size(opening, page); size >= SAMPLE_RING_MIN_BYTES; size /= 2) {
		for (uint32_t i = 1; i < opening->rings.ring_count; i += 2)
			opening->rings.about[i].data_size = size;

		result = map_all(mapped, &opening->rings, page);
		if (result == 0)
			return;
		if (result != -EPERM && result != -ENOMEM)
			die(FAILURE_SETUP, -result);
	}
	die(FAILURE_LOCKED_MEMORY, -result); /* ENOMEM: it is not the locked memory that is short */
}

/* One level's event on every CPU that has rings. Sideband and samples alternate there. */
static int
open_level(struct opening *opening, enum sampling_level level)
{
	struct ring_set *rings = &opening->rings;

	level_apply(level, opening->request.stack_bytes, &opening->sampling);
	for (uint32_t i = 1; i < rings->ring_count; i += 2) {
		struct ring_description about = rings->about[i];
		int fd = open_event(&opening->sampling, opening->parent, about.cpu);

		if (fd < 0)
			return fd;
		about.level = (uint8_t)level;
		about.data_size = 0;
		add_event(rings, fd, about);
		if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, rings->fd[i]) < 0)
			return -errno;
	}
	return 0;
}

/* All of the levels or none, and none never harms: the worker needs descriptors for the target's files more.
 * These events stay disabled beyond exec. Their output can only be joined once the rings are mapped. */
void
open_other_levels(struct opening *opening)
{
	struct ring_set *rings = &opening->rings;
	uint32_t first = LEVEL_BIT(level_first(opening->request.levels)),
		 others = opening->request.levels & ~first;
	uint32_t more = (uint32_t)__builtin_popcount(others) * (rings->count / 2);
	struct rlimit files;
	int result = more > MAX_OTHER_EVENTS || getrlimit(RLIMIT_NOFILE, &files) < 0 ||
				     rings->count + more + FILES_BESIDE_EVENTS > files.rlim_cur
			     ? -EMFILE
			     : 0;

	opening->sampling.enable_on_exec = 0;
	raise_only(opening->capability);
	for (int level = 0; level < LEVEL_COUNT && result == 0; level++)
		if (others & LEVEL_BIT(level))
			result = open_level(opening, (enum sampling_level)level);
	raise_only(NO_CAPABILITY);
	if (result == 0)
		return;
	opening->request.levels = first;
	while (rings->count > rings->ring_count)
		close_fd(&rings->fd[--rings->count]);
}
