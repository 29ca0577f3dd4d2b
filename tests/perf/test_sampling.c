/* One level at a time, on a real tree of processes: what runs, what was forked before a switch and what was
 * forked after it are sampled at the same level, and every record has the one layout that record.c expects.
 */

#include "worker/perf/sampling.h"

#include "policy/events.h"
#include "policy/limits.h"
#include "worker/perf/merge.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CPUS_MAX 32
#define RING_BYTES (1u << 20)
#define FREQUENCY_HZ 500

/* ---- which levels there are ---- */

static struct ring_set set;

static void
add(int fd, unsigned cpu, enum event_id event, enum sampling_level level, uint32_t data_size)
{
	set.about[set.count] = (struct ring_description){.cpu = (uint16_t)cpu,
							 .event = (uint8_t)event,
							 .level = (uint8_t)level,
							 .data_size = data_size};
	set.fd[set.count++] = fd;
	set.ring_count += data_size > 0;
}

static void
add_cpus_with(enum sampling_level first)
{
	memset(&set, 0, sizeof(set));
	for (unsigned cpu = 0; cpu < 6; cpu += 2) { /* numbers need not follow each other */
		add(-1, cpu, EVENT_SIDEBAND, first, 65536);
		add(-1, cpu, EVENT_SCPU, first, 65536);
	}
}

static void
test_available(void **state)
{
	struct sampling sampling;

	(void)state;
	add_cpus_with(LEVEL_SMALL);
	sampling_init(&sampling, &set, LEVEL_COUNT);
	assert_int_equal(sampling.level, LEVEL_SMALL);
	assert_int_equal(sampling.available, LEVEL_BIT(LEVEL_SMALL));

	add(-1, 0, EVENT_SCPU, LEVEL_LARGE, 0);
	add(-1, 2, EVENT_SCPU, LEVEL_LARGE, 0);
	sampling_init(&sampling, &set, LEVEL_COUNT);
	assert_int_equal(sampling.available, LEVEL_BIT(LEVEL_SMALL)); /* one CPU has none */
	sampling_init(&sampling, &set, LEVEL_LARGE);
	assert_int_equal(sampling.level, LEVEL_SMALL);

	add(-1, 4, EVENT_SCPU, LEVEL_LARGE, 0);
	sampling_init(&sampling, &set, LEVEL_COUNT);
	assert_int_equal(sampling.level, LEVEL_SMALL);
	assert_true(sampling.is_settled);
	assert_int_equal(sampling.available, LEVEL_BIT(LEVEL_SMALL) | LEVEL_BIT(LEVEL_LARGE));

	/* what a predecessor was about to do is done */
	sampling_init(&sampling, &set, LEVEL_LARGE);
	assert_int_equal(sampling.level, LEVEL_LARGE);
	assert_false(sampling.is_settled);
	sampling_init(&sampling, &set, UINT32_MAX);
	assert_int_equal(sampling.level, LEVEL_SMALL);
}

/* ---- the tree ---- */

static void
burn_for(long ms)
{
	struct timespec used;
	volatile unsigned sink = 0;

	do {
		for (unsigned i = 0; i < 100000; i++)
			sink += i;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < ms);
}

/* Always somebody young, somebody old, and a child of a child. */
static _Noreturn void
burn_and_fork(void)
{
	pid_t older = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long ms = 30;; ms += 30) {
		pid_t child = fork();

		if (child == 0) {
			pid_t grandchild = fork();

			burn_for(90);
			if (grandchild > 0)
				waitpid(grandchild, NULL, 0);
			_exit(0);
		}
		burn_for(ms);
		if (older > 0)
			waitpid(older, NULL, 0);
		older = child;
	}
}

static int
open_event(enum event_id id, enum sampling_level level, bool is_first, pid_t pid, int cpu)
{
	struct perf_event_attr attr = event_policy(id)->attributes;

	if (id == EVENT_SCPU) {
		attr.sample_freq = FREQUENCY_HZ;
		level_apply(level, 0, &attr);
	}
	attr.enable_on_exec = 0;
	attr.disabled = !is_first; /* nobody execs here */
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && errno == EINVAL) { /* before Linux 6.0, before 5.12 */
		attr.read_format = attr.build_id = 0;
		fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd;
}

static void
skip_unless_it_must_work(const char *what)
{
	const char *must = getenv("DDPROF_MUST_WORK");

	if (must && strcmp(must, "1") == 0)
		fail_msg("%s: %s", what, strerror(errno));
	print_message("%s: %s\n", what, strerror(errno));
	skip();
}

/* Sideband and samples alternate; then a level after the other: the order of the opener. */
static void
open_all(pid_t pid, struct perf_ring *rings)
{
	memset(&set, 0, sizeof(set));
	for (int cpu = 0; cpu < CPUS_MAX && cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		int sideband = open_event(EVENT_SIDEBAND, LEVEL_NORMAL, true, pid, cpu);
		int samples = open_event(EVENT_SCPU, LEVEL_NORMAL, true, pid, cpu);

		if (sideband < 0 && errno == ENODEV)
			continue;
		if (sideband < 0 || samples < 0)
			skip_unless_it_must_work("perf events");
		add(sideband, (unsigned)cpu, EVENT_SIDEBAND, LEVEL_NORMAL, RING_BYTES);
		add(samples, (unsigned)cpu, EVENT_SCPU, LEVEL_NORMAL, RING_BYTES);
	}
	for (uint32_t i = 0; i < set.ring_count; i++)
		if (perf_ring_map(set.fd[i], RING_BYTES, &rings[i]) < 0)
			skip_unless_it_must_work("rings");
	for (int level = 0; level < LEVEL_COUNT; level++) {
		for (uint32_t i = 1; level != LEVEL_NORMAL && i < set.ring_count; i += 2) {
			int fd = open_event(EVENT_SCPU, level, false, pid, set.about[i].cpu);

			assert_true(fd >= 0);
			assert_int_equal(ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, set.fd[i]), 0);
			add(fd, set.about[i].cpu, EVENT_SCPU, level, 0);
		}
	}
}

/* ---- what comes ---- */

static struct {
	enum sampling_level level;
	uint64_t since_ns; /* from here on, only that one */
	uint64_t until_ns; /* and until here */
	unsigned samples[LEVEL_COUNT];
	uint32_t pids[4096];
	size_t pid_count;
} seen;

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
remember_pid(uint32_t pid)
{
	for (size_t i = 0; i < seen.pid_count; i++)
		if (seen.pids[i] == pid)
			return;
	assert_true(seen.pid_count < 4096);
	seen.pids[seen.pid_count++] = pid;
}

static void
take(void *context, size_t ring, const struct ring_record *record)
{
	struct sample_record sample;

	(void)context;
	(void)ring;
	if (record->header.type != PERF_RECORD_SAMPLE)
		return;
	assert_int_equal(record_decode_sample(record, &sample), 0);
	if (sample.time_ns < seen.since_ns || sample.time_ns >= seen.until_ns)
		return; /* while levels were switched */
	seen.samples[seen.level]++;
	remember_pid(sample.pid);
	if (seen.level == LEVEL_LARGE) /* a record's own length has 16 bits, so it is cut */
		assert_in_range(sample.stack_requested, 65000, STACK_MAX_BYTES);
	else
		assert_int_equal(sample.stack_requested, level_policy(seen.level)->stack_bytes);
	assert_true(sample.has_registers);
	if (seen.level != LEVEL_CHAIN) {
		assert_int_equal(sample.chain_count, 0);
		return;
	}
	assert_true(sample.chain_count >= 1);
	assert_int_equal(sample.chain[0], sample.registers.value[REGISTER_PC]);
}

static void
sleep_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};

	nanosleep(&pause, NULL);
}

static void
test_switches(void **state)
{
	static const enum sampling_level order[] = {LEVEL_NORMAL, LEVEL_CHAIN, LEVEL_LARGE,
						    LEVEL_SMALL,  LEVEL_CHAIN, LEVEL_NORMAL};
	static struct perf_ring rings[2 * CPUS_MAX];
	struct sampling sampling;
	uint64_t malformed = 0;
	int start[2];
	char byte = 0;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(pipe(start), 0);
	pid_t child = fork();
	if (child == 0) {
		close(start[1]);
		if (read(start[0], &byte, 1) == 1)
			burn_and_fork();
		_exit(1);
	}
	close(start[0]);
	open_all(child, rings);
	struct ring_merge *merge = ring_merge_new(rings, set.ring_count);
	assert_non_null(merge);
	sampling_init(&sampling, &set, LEVEL_COUNT);
	assert_int_equal(sampling.available, LEVELS_ALL);
	assert_int_equal(sampling.level, LEVEL_NORMAL);
	assert_int_equal(write(start[1], &byte, 1), 1);
	close(start[1]);

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] == LEVEL_SMALL) { /* a predecessor died somewhere between two states */
			for (uint32_t event = 0; event < set.count; event++)
				assert_int_equal(
					ioctl(set.fd[event],
					      event % 3 ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0),
					0);
			sampling_init(&sampling, &set, LEVEL_SMALL);
		} else if (order[i] != sampling.level) {
			sampling_switch(&sampling, order[i]);
		}
		sleep_ms(3);
		sampling_settle(&sampling);
		seen.level = order[i];
		seen.since_ns = now_ns();
		seen.until_ns = UINT64_MAX;
		unsigned enough = seen.samples[order[i]] + 10;
		for (int turn = 0; turn < 20 || (turn < 1000 && seen.samples[order[i]] <= enough); turn++) {
			sleep_ms(10); /* of which the tree may not get much */
			ring_merge_drain(merge, UINT64_MAX, take, NULL, NULL, &malformed);
		}
		seen.until_ns = now_ns();
		ring_merge_drain(merge, UINT64_MAX, take, NULL, NULL, &malformed);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(malformed, 0);
	for (int level = 0; level < LEVEL_COUNT; level++)
		assert_true(seen.samples[level] > 10);
	assert_true(seen.pid_count > 3);
	ring_merge_free(merge);
	for (uint32_t i = 0; i < set.ring_count; i++)
		perf_ring_unmap(&rings[i]);
	ring_set_close(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_available),
		cmocka_unit_test(test_switches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
