/* Samples that fall into the kernel, as the running kernel writes them: the user's registers and stack with
 * which it was entered, at every level, and not one address of the kernel's unless its chain was asked for.
 */

#include "policy/events.h"
#include "policy/levels.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define RING_BYTES (1u << 22) /* some 60 samples of 64 KB */
#define FREQUENCY_HZ 1000
#define BURN_MS 60
#define CHAIN_COUNT_AT 4                   /* words, in a record as policy/events.c asks for it */
#define KERNEL_BEGIN 0xffff000000000000ull /* the upper half, on both architectures */

static _Noreturn void
read_zeros(int start)
{
	static char buffer[1 << 16];
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct timespec used;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(start, &byte, 1) != 1)
		_exit(1);
	do {
		if (read(zero, buffer, sizeof(buffer)) < 0)
			_exit(1);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec == 0 && used.tv_nsec < BURN_MS * 1000000);
	_exit(0);
}

static int
open_event(enum sampling_level level, enum kernel_frames frames, pid_t pid)
{
	struct perf_event_attr attr = event_policy(EVENT_SCPU)->attributes;

	level_apply(level, 0, &attr);
	event_include_kernel(frames, &attr);
	attr.sample_freq = FREQUENCY_HZ;
	attr.disabled = attr.enable_on_exec = attr.inherit = 0; /* one task, whatever CPU it runs on */
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && errno == EINVAL) { /* before Linux 6.0 */
		attr.read_format = 0;
		fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd;
}

/* Of the record's words before the registers none but markers of the chain is one. Registers and stack are
 * user space's, which may hold any number: the negative of a pointer looks like an address of the kernel's.
 */
static void
expect_no_kernel_address(const struct ring_record *record, const struct sample_record *sample)
{
	uint64_t word, chain_words;

	assert_true(
		ring_record_copy(record, CHAIN_COUNT_AT * sizeof(word), &chain_words, sizeof(chain_words)));
	for (size_t i = 1; i <= CHAIN_COUNT_AT + chain_words; i++) {
		assert_true(ring_record_copy(record, i * sizeof(word), &word, sizeof(word)));
		assert_true(word < KERNEL_BEGIN || word >= (uint64_t)PERF_CONTEXT_MAX);
	}
	assert_int_equal(sample->kernel_chain_count, 0);
	assert_true(!sample->has_registers || sample->registers.value[REGISTER_SP] < KERNEL_BEGIN);
}

/* Of a sample in the kernel, where it was and who called; of others nothing. */
static void
expect_kernel_chain(const struct sample_record *sample)
{
	assert_int_equal(sample->kernel_chain_count > 0, sample->in_kernel);
	for (size_t i = 0; i < sample->kernel_chain_count; i++)
		assert_true(sample->kernel_chain[i] >= KERNEL_BEGIN);
}

static void
check_level(enum sampling_level level, enum kernel_frames frames)
{
	struct perf_ring ring;
	struct ring_record record;
	struct sample_record sample;
	unsigned in_kernel = 0;
	uint64_t malformed = 0;
	int start[2], status;

	assert_int_equal(pipe(start), 0);
	pid_t child = fork();
	if (child == 0)
		read_zeros(start[0]);
	int fd = open_event(level, frames, child);
	if (fd < 0) {
		const char *must = getenv("DDPROF_MUST_WORK");
		int error = errno;

		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		if (must && strcmp(must, "1") == 0)
			fail_msg("samples in the kernel: %s", strerror(error));
		skip();
	}
	assert_int_equal(perf_ring_map(fd, RING_BYTES, &ring), 0);
	assert_int_equal(write(start[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	perf_ring_snapshot(&ring);
	while (perf_ring_peek(&ring, &record, &malformed)) {
		if (record.header.type == PERF_RECORD_SAMPLE) {
			assert_int_equal(record_decode_sample(&record, &sample), 0);
			if (frames == KERNEL_FRAMES_NAMED)
				expect_kernel_chain(&sample);
			else
				expect_no_kernel_address(&record, &sample);
			in_kernel += sample.in_kernel && sample.has_registers;
			assert_true(!sample.has_registers ||
				    sample.registers.value[REGISTER_PC] < KERNEL_BEGIN);
			assert_true(level == LEVEL_CHAIN || sample.chain_count == 0);
		}
		perf_ring_consume(&ring, &record);
	}
	assert_int_equal(status, 0);
	assert_int_equal(malformed, 0);
	assert_true(in_kernel > 20); /* of some 60; by sanitizers a fourth is in user space */
	perf_ring_unmap(&ring);
	close(fd);
	close(start[0]);
	close(start[1]);
}

static void
test_levels(void **state)
{
	(void)state;
	for (int level = 0; level < LEVEL_COUNT; level++)
		for (int frames = KERNEL_FRAMES_ENTRY; frames <= KERNEL_FRAMES_NAMED; frames++)
			check_level((enum sampling_level)level, (enum kernel_frames)frames);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
