/* The unwinder's process: perf rings in, one sealed pprof per period out. It opens nothing; the files it
 * needs come as descriptors from the supervisor, and no byte of a stack ever leaves it. */

#include "worker/roles.h"

#include "ipc/channel.h"
#include "ipc/endings.h"
#include "ipc/fd.h"
#include "ipc/rings.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "worker/base/harden.h"
#include "worker/base/jit_dump_name.h"
#include "worker/base/seal.h"
#include "worker/collect/collector.h"
#include "worker/collect/comments.h"
#include "worker/collect/missing_time.h"
#include "worker/perf/merge.h"
#include "worker/perf/record.h"
#include "worker/perf/sampling.h"
#include "worker/process/jit_watch.h"
#include "worker/process/journal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PROFILE_MEMORY_MAX (64u << 20)
#define START_TIMEOUT_MS 5000
#define RESERVED_FILES 16 /* channels, journal, the profile being made, and what a message may bring */
/* Without a wake-up from the kernel (rings fill slowly) we look by ourselves, rarely when nothing runs. */
#define FIRST_DRAIN_MS 10
#define DRAIN_INTERVAL_MS 200
#define IDLE_INTERVAL_MS 1000
/* A record's time is taken before its bytes are visible; by then another CPU's newer one may be read.
 * Within this much of now, records are left for the next pass. */
#define SETTLE_NS 2000000

struct unwinder_role {
	struct start_message start;
	struct ring_set ring_set;
	struct perf_ring rings[MAX_RINGS];
	struct ring_merge *merge;
	struct sampling sampling;
	struct collector collector;                          /* its ledger: since the last profile */
	struct sample_record waiting[COLLECTOR_SAMPLES_MAX]; /* still in their rings */
	size_t waiting_count;
	struct journal journal;
	struct jit_watch jit_watch;
	size_t open_files, max_open_files;
	struct session_target target; /* kept beyond the target's end */
	struct missing_time missing;
	uint64_t kernel_count_ns, kernel_lost; /* as last read, over the whole session */
	bool counts_lost; /* the kernel has PERF_FORMAT_LOST: LOST records would be counted twice */
	uint64_t sequence;
	int64_t period_start_ns;
};

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- files, through the supervisor ---- */

static int
ask_supervisor(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	static struct message message;
	struct unwinder_role *role = context;

	if (role->open_files >= role->max_open_files)
		return -EMFILE;
	int result = channel_send(FD_BROKER, MESSAGE_OPEN_MAPPING, request, sizeof(*request), NULL, 0);
	if (result == 0)
		result = channel_receive(FD_BROKER, &message,
					 -1); /* a late answer would be taken for the next one */
	if (result < 0)
		return result;
	const struct opened *answer = (const void *)message.body;
	if (message.kind != MESSAGE_OPENED || message.size != sizeof(*answer) ||
	    message.fd_count != (answer->error == 0)) {
		message_discard(&message);
		return -EBADMSG;
	}
	if (answer->candidate < request->first_candidate || answer->candidate > UINT8_MAX)
		return -EBADMSG;
	*ret_candidate = answer->candidate;
	if (answer->error)
		return -abs(answer->error);
	role->open_files++; /* a file that turns out wrong counts too: closing is rare, running out is worse
			     */
	return message_take_fd(&message, 0);
}

/* The supervisor keeps a file for the symbolizer; we learn whether it could. */
static int
ask_to_hold(enum message_kind kind, const void *request, size_t size)
{
	static struct message message;
	int result = channel_send(FD_BROKER, kind, request, size, NULL, 0);

	if (result == 0)
		result = channel_receive(FD_BROKER, &message, -1);
	if (result < 0)
		return result;
	const struct held *answer = message_expect(&message, MESSAGE_HELD, sizeof(*answer), 0);
	return !answer ? -EBADMSG : answer->error ? -abs(answer->error) : 0;
}

static int
hold_jit_map(void *context, uint32_t pid)
{
	const struct hold_jit_map request = {.pid = pid};

	(void)context;
	return ask_to_hold(MESSAGE_HOLD_JIT_MAP, &request, sizeof(request));
}

static void
hold_jit_dump(const struct mmap_record *record)
{
	struct open_mapping request = {.pid = record->pid, .inode = record->inode};

	memcpy(request.path, record->path, strlen(record->path));            /* decode_mmap bounds it */
	(void)ask_to_hold(MESSAGE_HOLD_JIT_DUMP, &request, sizeof(request)); /* without it: no names */
}

/* ---- samples ---- */

_Static_assert(LEVEL_COUNT == SAMPLING_LEVELS && LEVEL_CHAIN == CHAIN_LEVEL, "the ledger counts every level");

/* By what was copied: also right for samples from before a switch, and for a size of the caller's choice. */
static enum sampling_level
level_of(const struct sample_record *sample)
{
	int level = LEVEL_SMALL;

	if (sample->chain_count > 0)
		return LEVEL_CHAIN;
	while (level < LEVEL_LARGE &&
	       sample->stack_requested > level_policy((enum sampling_level)level)->stack_bytes)
		level++;
	return (enum sampling_level)level;
}

/* The thread's own clock is a system call, 0.4 us each time: twice per batch, not per sample. */
static void
add_waiting_samples(void *context)
{
	struct unwinder_role *role = context;

	if (role->waiting_count == 0)
		return;
	int64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	collector_add_samples(&role->collector, role->waiting, role->waiting_count);
	role->collector.ledger.unwind_ns += (uint64_t)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns);
	role->waiting_count = 0;
}

static void
handle_sample(struct unwinder_role *role, const struct ring_record *record)
{
	struct sample_record *sample = &role->waiting[role->waiting_count];

	if (record_decode_sample(record, sample) < 0) {
		role->collector.ledger.malformed++;
		return;
	}
	role->collector.ledger.level[level_of(sample)]++;
	if (++role->waiting_count == COLLECTOR_SAMPLES_MAX)
		add_waiting_samples(role);
}

/* ---- sideband ---- */

/* Files are opened when they are mapped, not when they are first sampled: by then a short-lived process, or
 * the file, may be gone. */
static void
follow_mapping(struct unwinder_role *role, const struct mmap_record *record, bool is_replay)
{
	struct process *process = processes_get(role->collector.processes, record->pid);
	const struct mapping *mapping = process ? process_mapping_at(process, record->start) : NULL;
	struct mapped_file *file = mapping ? mapped_files_get(role->collector.files, mapping->file) : NULL;

	if (!file)
		return;
	if (file->state == MAPPED_FILE_ANONYMOUS)
		jit_watch_add(&role->jit_watch, record->pid);
	if (is_replay)
		return;
	if (file->state == MAPPED_FILE_UNOPENED && jit_dump_name_is(record->path)) {
		hold_jit_dump(record);
		file->state = MAPPED_FILE_UNREADABLE; /* there is no code in it, and it is asked for once */
	}
	mapped_files_open(role->collector.files, file, record->pid);
}

static void
follow_end_of_code(struct unwinder_role *role, const struct sideband_record *record)
{
	if (record->type == PERF_RECORD_COMM && record->comm.is_exec)
		jit_watch_end(&role->jit_watch, record->comm.pid);
	else if (record->type == PERF_RECORD_EXIT && record->task.tid == record->task.pid)
		jit_watch_end(&role->jit_watch, record->task.pid);
}

static void
remember_target(struct unwinder_role *role)
{
	const struct process *process = processes_get(role->collector.processes, role->start.target_pid);

	if (!process)
		return;
	role->target.executable = process_executable(process);
	snprintf(role->target.name, sizeof(role->target.name), "%s", process_name(process));
}

/* The last word of each that has the layout we asked for. */
static uint64_t
sideband_time(const uint8_t *bytes, size_t size)
{
	uint64_t time_ns;

	memcpy(&time_ns, bytes + size - sizeof(time_ns), sizeof(time_ns));
	return time_ns;
}

static void
follow(struct unwinder_role *role, const uint8_t *bytes, size_t size, bool is_replay)
{
	struct sideband_record record;

	if (record_decode_sideband(bytes, size, &record) < 0) {
		role->collector.ledger.malformed++;
		return;
	}
	if (record.type == PERF_RECORD_MMAP2)
		record.mmap.time_ns = sideband_time(bytes, size);
	(void)processes_apply(role->collector.processes,
			      &record); /* over a limit: its code shows as unknown */
	missing_time_follow(&role->missing, &record, sideband_time(bytes, size));
	follow_end_of_code(role, &record);
	if (record.type == PERF_RECORD_MMAP2)
		follow_mapping(role, &record.mmap, is_replay);
	if ((record.type == PERF_RECORD_MMAP2 && record.mmap.pid == role->start.target_pid) ||
	    (record.type == PERF_RECORD_COMM && record.comm.pid == role->start.target_pid))
		remember_target(role);
}

static void
replay(void *context, const uint8_t *bytes, size_t size)
{
	follow(context, bytes, size, /* is_replay= */ true);
}

static void
handle_sideband(struct unwinder_role *role, const struct ring_record *record)
{
	static _Alignas(8) uint8_t bytes[SIDEBAND_MAX_BYTES];

	if (record->header.size > sizeof(bytes)) {
		role->collector.ledger.malformed++;
		return;
	}
	add_waiting_samples(role); /* they were taken before whatever changes now */
	ring_record_copy(record, 0, bytes, record->header.size);
	follow(role, bytes, record->header.size, /* is_replay= */ false);
	(void)journal_append(&role->journal, bytes, record->header.size); /* full: see journal.h */
}

/* The old journal stays with the supervisor until it has the new one: dying in between loses nothing. */
static int
compact_journal(struct unwinder_role *role)
{
	struct journal fresh;
	int fd = memfd_create("ddprof-sideband", MFD_CLOEXEC);
	int result = fd < 0 ? -errno : journal_open(fd, &fresh);

	if (result == 0)
		result = processes_write_to(role->collector.processes, &fresh);
	if (result < 0) {
		close_fd(&fd);
		return result;
	}
	fresh.compact_at = fresh.bytes + role->journal.compact_at;
	journal_close(&role->journal);
	role->journal = fresh;
	return channel_send(FD_CONTROL, MESSAGE_JOURNAL, NULL, 0, &fresh.fd, 1);
}

static void
count_lost(const struct ring_record *record, uint64_t *count)
{
	uint8_t bytes[64];
	struct sideband_record lost;

	if (record->header.size <= sizeof(bytes) && ring_record_copy(record, 0, bytes, record->header.size) &&
	    record_decode_sideband(bytes, record->header.size, &lost) == 0)
		*count += lost.lost.count;
}

static void
handle_record(void *context, size_t ring_index, const struct ring_record *record)
{
	struct unwinder_role *role = context;
	struct ledger *ledger = &role->collector.ledger;

	ledger->records++;
	missing_time_see_cpu(&role->missing, (uint32_t)ring_index / 2);
	if (record->header.type == PERF_RECORD_SAMPLE)
		handle_sample(role, record);
	else if (record->header.type != PERF_RECORD_LOST)
		handle_sideband(role, record);
	else if (role->ring_set.about[ring_index].event == EVENT_SIDEBAND)
		count_lost(record, &ledger->sideband_lost);
	else if (!role->counts_lost)
		count_lost(record, &ledger->lost);
}

static size_t
drain(struct unwinder_role *role, uint64_t limit_ns)
{
	return ring_merge_drain(role->merge, limit_ns, handle_record, add_waiting_samples, role,
				&role->collector.ledger.malformed);
}

/* ---- level of sampling ---- */

/* The supervisor hears it first: whatever happens to us then, our successor knows what the events may be. */
static int
follow_choice(struct unwinder_role *role)
{
	enum sampling_level wanted = sampling_choice_level(&role->collector.walker.choice);
	struct level_message message = {.level = wanted, .before = role->sampling.level};

	sampling_settle(&role->sampling);
	if (wanted == role->sampling.level || !(role->sampling.available & LEVEL_BIT(wanted)))
		return 0;
	int result = channel_send(FD_CONTROL, MESSAGE_LEVEL, &message, sizeof(message), NULL, 0);
	if (result < 0)
		return result;
	sampling_switch(&role->sampling, wanted);
	missing_time_switch(&role->missing, (uint64_t)clock_ns(CLOCK_MONOTONIC));
	return 0;
}

/* ---- profiles ---- */

/* The events' own account, children included: what the samples must add up to. */
static void
read_kernel_counts(struct unwinder_role *role, uint64_t *ret_count_ns, uint64_t *ret_lost)
{
	uint64_t values[2];

	*ret_count_ns = *ret_lost = 0;
	for (uint32_t i = 0; i < role->ring_set.count; i++) {
		if (role->ring_set.about[i].event == EVENT_SIDEBAND)
			continue;
		ssize_t got = read(role->ring_set.fd[i], values, sizeof(values));
		if (got >= (ssize_t)sizeof(values[0]))
			*ret_count_ns += values[0];
		role->counts_lost = got == (ssize_t)sizeof(values);
		if (role->counts_lost)
			*ret_lost += values[1];
	}
}

static void
add_kernel_counts(struct unwinder_role *role)
{
	uint64_t count_ns, lost;

	read_kernel_counts(role, &count_ns, &lost);
	role->collector.ledger.kernel_count_ns += count_ns - role->kernel_count_ns;
	role->collector.ledger.lost += lost - role->kernel_lost;
	role->kernel_count_ns = count_ns;
	role->kernel_lost = lost;
}

static int
write_profile(struct unwinder_role *role, const struct module_endings *modules, int64_t end_ns)
{
	static struct profile_comments comments;
	OWNED_FD fd = memfd_create("ddprof-profile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	profile_comments_format(&role->collector.ledger, role->start.tags, modules, role->collector.files,
				&comments);
	struct profile_header header = {
		.time_ns = role->period_start_ns,
		.duration_ns = end_ns - role->period_start_ns,
		.period_ns = role->start.period_ns,
		.container_id = role->start.container_id,
		.comments = comments.lines,
	};
	int result = collector_write(&role->collector, &header, fd);
	if (result == 0)
		result = memfd_seal(fd);
	return result < 0 ? result : take_fd(&fd);
}

static int
finish_profile(struct unwinder_role *role, bool is_last)
{
	int64_t end_ns = clock_ns(CLOCK_REALTIME);

	add_kernel_counts(role);
	missing_time_settle(&role->missing, &role->collector.ledger, (uint64_t)clock_ns(CLOCK_MONOTONIC));
	collector_add_without_stacks(&role->collector, &role->target, role->start.period_ns);
	struct profile_message message = {
		.sequence = role->sequence,
		.start_ns = role->period_start_ns,
		.end_ns = end_ns,
		.is_last = is_last,
		.kernel_count_ns = role->kernel_count_ns,
		.kernel_lost = role->kernel_lost,
		.ledger = role->collector.ledger,
	};
	file_endings_worst(&role->collector.endings, role->collector.files, message.module, ENDING_MODULES);
	OWNED_FD fd = write_profile(role, message.module, end_ns);
	if (fd < 0)
		return fd;
	collector_clear(&role->collector);
	role->sequence++;
	role->period_start_ns = end_ns;
	return channel_send(FD_CONTROL, MESSAGE_PROFILE, &message, sizeof(message), &fd, 1);
}

/* ---- life ---- */

static int
map_rings(struct unwinder_role *role)
{
	for (uint32_t i = 0; i < role->ring_set.ring_count; i++) {
		int result = perf_ring_map(role->ring_set.fd[i], role->ring_set.about[i].data_size,
					   &role->rings[i]);
		if (result < 0)
			return result;
		perf_ring_snapshot(&role->rings[i]);
		if (role->start.discard && role->ring_set.about[i].event != EVENT_SIDEBAND) {
			perf_ring_discard(&role->rings[i]);
			perf_ring_release(&role->rings[i]);
		}
	}
	return 0;
}

static int
receive_start(struct unwinder_role *role, int *ret_journal)
{
	static struct message message;
	int result = channel_receive(FD_CONTROL, &message, START_TIMEOUT_MS);

	if (result < 0)
		return result;
	const struct start_message *start = message_expect(&message, MESSAGE_START, sizeof(*start), 1);
	if (!start || !IS_TERMINATED(start->container_id) || !IS_TERMINATED(start->tags))
		return -EBADMSG;
	role->start = *start;
	*ret_journal = message_take_fd(&message, 0);
	return ring_set_receive(FD_CONTROL, &role->ring_set, START_TIMEOUT_MS);
}

/* A process may map more files than we may hold open; what is beyond is code we cannot read. */
static int
limit_open_files(struct unwinder_role *role)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur > role->ring_set.count + RESERVED_FILES)
		role->max_open_files = limit.rlim_cur - role->ring_set.count - RESERVED_FILES;
	return 0;
}

static int
prepare(struct unwinder_role *role)
{
	int journal;
	int result = receive_start(role, &journal);

	if (result == 0)
		result = map_rings(role);
	if (result == 0)
		result = limit_open_files(role);
	if (result < 0)
		return result;
	role->merge = ring_merge_new(role->rings, role->ring_set.ring_count);
	if (!role->merge || collector_init(&role->collector, ask_supervisor, role, PROFILE_MEMORY_MAX) < 0)
		return -ENOMEM;
	role->collector.keeps_jit_addresses = role->start.has_symbolizer;
	role->collector.kernel_offset = role->start.kernel_offset;
	role->collector.ledger.restarts = role->start.restarts;
	role->kernel_count_ns = role->start.kernel_count_ns;
	role->kernel_lost = role->start.kernel_lost;
	role->sequence = role->start.sequence;
	role->period_start_ns = role->start.start_ns;
	role->target.pid = role->start.target_pid;
	missing_time_init(&role->missing, role->start.period_ns,
			  role->start.kernel_frames != KERNEL_FRAMES_NONE);
	missing_time_add_task(&role->missing, role->start.target_pid);
	result = journal_replay(journal, replay, role);
	missing_time_forget_ended(&role->missing);
	return result < 0 ? result : journal_open(journal, &role->journal);
}

/* 0 to go on, 1 after the end was asked for, -errno. */
static int
obey(struct unwinder_role *role)
{
	static struct message message;
	int result = channel_receive(FD_CONTROL, &message, -1);

	if (result < 0)
		return result == -EPIPE ? 1 : result;
	bool is_last = message.kind == MESSAGE_FINISH;
	if (!message_expect(&message, is_last ? MESSAGE_FINISH : MESSAGE_EXPORT, 0, 0))
		return -EBADMSG;
	drain(role, is_last ? UINT64_MAX : (uint64_t)clock_ns(CLOCK_MONOTONIC) - SETTLE_NS);
	jit_watch_ask(&role->jit_watch, clock_ns(CLOCK_MONOTONIC), hold_jit_map, NULL);
	return finish_profile(role, is_last);
}

static int
work(struct unwinder_role *role)
{
	static struct pollfd watched[1 + MAX_RINGS];
	int timeout_ms = FIRST_DRAIN_MS;

	watched[0] = (struct pollfd){.fd = FD_CONTROL, .events = POLLIN};
	for (uint32_t i = 0; i < role->ring_set.ring_count; i++)
		watched[1 + i] = (struct pollfd){.fd = role->ring_set.fd[i], .events = POLLIN};
	for (;;) {
		int ready = poll(watched, 1 + role->ring_set.ring_count, timeout_ms);
		if (ready < 0 && errno != EINTR)
			return -errno;
		size_t handled = drain(role, (uint64_t)clock_ns(CLOCK_MONOTONIC) - SETTLE_NS);
		jit_watch_ask(&role->jit_watch, clock_ns(CLOCK_MONOTONIC), hold_jit_map, NULL);
		if (journal_wants_compaction(&role->journal)) {
			int result = compact_journal(role);

			if (result < 0)
				return result;
		}
		int result = follow_choice(role);
		if (result < 0)
			return result;
		timeout_ms = handled > 0                         ? DRAIN_INTERVAL_MS
			     : 2 * timeout_ms < IDLE_INTERVAL_MS ? 2 * timeout_ms
								 : IDLE_INTERVAL_MS;
		for (uint32_t i = 0; i < role->ring_set.ring_count; i++)
			if (watched[1 + i].revents & (POLLHUP | POLLERR | POLLNVAL))
				watched[1 + i].fd =
					-1; /* its tasks are gone; what is in the ring is still read */
		if (watched[0].revents) {
			result = obey(role);
			if (result != 0)
				return result > 0 ? 0 : result;
		}
	}
}

int
unwinder_main(void)
{
	static struct unwinder_role role;
	uint64_t count_ns, lost;
	int result = prepare(&role);

	if (result == 0)
		result = harden_confine(ROLE_UNWINDER, NULL);
	if (result < 0)
		return result;
	read_kernel_counts(&role, &count_ns,
			   &lost); /* only to learn whether the kernel counts lost samples */
	sampling_init(&role.sampling, &role.ring_set, role.start.level);
	sampling_choice_init(&role.collector.walker.choice, (enum unwind_method)role.start.unwind,
			     role.sampling.available, role.sampling.level);
	result = channel_send(FD_CONTROL, MESSAGE_READY, NULL, 0, NULL, 0);
	return result < 0 ? result : work(&role);
}
