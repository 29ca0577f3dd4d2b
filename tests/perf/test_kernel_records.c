/* What the running kernel writes for the events of policy/events.c is what record.c expects: a child execs
 * this program again, names itself, forks, and burns CPU time with a known word on top of its stack. */

#include "policy/events.h"
#include "worker/perf/merge.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CPUS_MAX 64
#define RING_BYTES (256u << 10)
#define STACK_BYTES 1024
#define FREQUENCY_HZ 1000
#define TOP_OF_STACK 0x5afe5afe5afe5afe
#define BURN_MS 200

/* ---- the child ---- */

extern const char burn_begin[], burn_end[];
void burn_turns(uint64_t turns);

/* Between the labels the stack pointer is at TOP_OF_STACK. */
__asm__(".text\n"
	".globl burn_turns\n"
	"burn_turns:\n"
	"	movabs $0x5afe5afe5afe5afe, %rax\n"
	"	push %rax\n"
	".globl burn_begin\n"
	"burn_begin:\n"
	"	dec %rdi\n"
	"	jnz burn_begin\n"
	".globl burn_end\n"
	"burn_end:\n"
	"	pop %rax\n"
	"	ret\n");

static int
burn(void)
{
	struct timespec used;

	prctl(PR_SET_NAME, "burner");
	pid_t child = fork();
	if (child == 0)
		_exit(3);
	waitpid(child, NULL, 0);
	do {
		burn_turns(1000000);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec == 0 && used.tv_nsec < BURN_MS * 1000000);
	return 0;
}

/* ---- the parent ---- */

static struct {
	pid_t pid;
	char exe[MAX_PATH_BYTES];
	struct perf_ring rings[2 * CPUS_MAX];
	int fds[2 * CPUS_MAX];
	size_t count;
	uint64_t malformed, last_time;
	/* what was seen */
	unsigned samples, in_burn, comm_exec, comm_name, forks, exits, exits_of_child, others;
	uint64_t cpu_time_ns;
	struct mmap_record exe_mapping;
	pid_t grandchild;
	bool has_vdso;
} seen;

static void
skip_unless_it_must_work(const char *what)
{
	const char *must = getenv("DDPROF_MUST_WORK");
	char why[200];

	snprintf(why, sizeof(why), "%s: %s", what, strerror(errno));
	if (must && strcmp(must, "1") == 0)
		fail_msg("%s", why);
	print_message("%s\n", why);
	skip();
}

static int
open_event(enum event_id id, int cpu)
{
	struct perf_event_attr attr = event_policy(id)->attributes;

	if (id == EVENT_SCPU) {
		attr.sample_freq = FREQUENCY_HZ;
		attr.sample_stack_user = STACK_BYTES;
		attr.wakeup_watermark = RING_BYTES / 4;
	}
	int fd = (int)syscall(SYS_perf_event_open, &attr, seen.pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 && errno == EINVAL && attr.read_format) { /* before 6.0: no PERF_FORMAT_LOST */
		attr.read_format = 0;
		fd = (int)syscall(SYS_perf_event_open, &attr, seen.pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd;
}

static void
open_all(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (int cpu = 0; cpu < cpus && cpu < CPUS_MAX; cpu++) {
		for (int id = 0; id < EVENT_COUNT; id++) {
			int fd = open_event(id, cpu);

			if (fd < 0 && errno == ENODEV)
				continue; /* that CPU is off */
			if (fd < 0 || perf_ring_map(fd, RING_BYTES, &seen.rings[seen.count]) < 0)
				skip_unless_it_must_work("perf events");
			seen.fds[seen.count++] = fd;
		}
	}
	assert_true(seen.count > 0);
}

/* The file offset of an address in this program, from our own mappings. */
static uint64_t
file_offset_of(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long start, end, offset;
	uint64_t found = 0;
	char line[MAX_PATH_BYTES];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%llx-%llx %*s %llx", &start, &end, &offset) == 3 &&
		    (uintptr_t)address >= start && (uintptr_t)address < end)
			found = (uintptr_t)address - start + offset;
	fclose(maps);
	assert_true(found > 0);
	return found;
}

static void
take_sample(const struct ring_record *record)
{
	struct sample_record sample;
	uint64_t word;

	assert_int_equal(record_decode_sample(record, &sample), 0);
	assert_int_equal(sample.pid, sample.pid == (uint32_t)seen.grandchild ? seen.grandchild : seen.pid);
	seen.samples++;
	seen.cpu_time_ns += sample.period_ns;
	if (!sample.has_registers || sample.pid != (uint32_t)seen.pid)
		return;
	uint64_t offset =
		sample.registers.value[REGISTER_RIP] - seen.exe_mapping.start + seen.exe_mapping.offset;
	if (offset < file_offset_of(burn_begin) || offset >= file_offset_of(burn_end))
		return;
	seen.in_burn++;
	assert_int_equal(sample.tid, seen.pid);
	assert_in_range(sample.stack.size, 16, STACK_BYTES);
	assert_int_equal(sample.stack.sp, sample.registers.value[REGISTER_RSP]);
	assert_int_equal(sample.registers.value[REGISTER_RAX], TOP_OF_STACK);
	assert_true(stack_view_u64(&sample.stack, sample.stack.sp, &word));
	assert_int_equal(word, TOP_OF_STACK);
	/* above it the return address: in this program too */
	assert_true(stack_view_u64(&sample.stack, sample.stack.sp + 8, &word));
	assert_in_range(word, seen.exe_mapping.start, seen.exe_mapping.start + seen.exe_mapping.length - 1);
}

static void
take_mapping(const struct mmap_record *mmap)
{
	struct stat status;

	if (strcmp(mmap->path, "[vdso]") == 0)
		seen.has_vdso = true;
	if (strcmp(mmap->path, seen.exe) != 0)
		return;
	assert_true(mmap->is_executable);
	assert_true(mmap->build_id_size == 0 || mmap->build_id_size == 20 || mmap->build_id_size == 16);
	if (mmap->build_id_size == 0) {
		assert_int_equal(stat(seen.exe, &status), 0);
		assert_int_equal(mmap->inode, status.st_ino);
	}
	seen.exe_mapping = *mmap;
	seen.exe_mapping.path = NULL; /* in the record, which goes away */
}

static void
take_task(uint32_t type, const struct task_record *task)
{
	if (type == PERF_RECORD_FORK) {
		seen.forks++;
		assert_int_equal(task->parent_pid, seen.pid);
		assert_int_equal(task->parent_tid, seen.pid);
		assert_int_equal(task->pid, task->tid);
		seen.grandchild = (pid_t)task->pid;
	} else {
		seen.exits++;
		seen.exits_of_child += task->pid == (uint32_t)seen.pid;
		assert_int_equal(task->pid, task->tid);
	}
}

static void
take_comm(const struct comm_record *comm)
{
	const char *base = strrchr(seen.exe, '/') + 1;

	if (comm->pid != (uint32_t)seen.pid)
		return;
	assert_int_equal(comm->tid, seen.pid);
	if (comm->is_exec) {
		seen.comm_exec++;
		assert_int_equal(strncmp(comm->name, base, 15), 0);
	} else {
		seen.comm_name++;
		assert_string_equal(comm->name, "burner");
	}
}

static void
take(void *context, size_t ring, const struct ring_record *record)
{
	static _Alignas(8) uint8_t bytes[SIDEBAND_MAX_BYTES];
	struct sideband_record sideband;
	uint64_t time;

	(void)context;
	(void)ring;
	assert_true(record_time(record, &time));
	assert_true(time >= seen.last_time);
	seen.last_time = time;
	if (record->header.type == PERF_RECORD_SAMPLE) {
		take_sample(record);
		return;
	}
	assert_true(ring_record_copy(record, 0, bytes, record->header.size));
	assert_int_equal(record_decode_sideband(bytes, record->header.size, &sideband), 0);
	if (sideband.type == PERF_RECORD_MMAP2)
		take_mapping(&sideband.mmap);
	else if (sideband.type == PERF_RECORD_COMM)
		take_comm(&sideband.comm);
	else if (sideband.type == PERF_RECORD_FORK || sideband.type == PERF_RECORD_EXIT)
		take_task(sideband.type, &sideband.task);
	else
		seen.others++;
}

static void
test_what_the_kernel_writes(void **state)
{
	int start[2], status;
	struct timespec before, after;

	(void)state;
	ssize_t length = readlink("/proc/self/exe", seen.exe, sizeof(seen.exe) - 1);
	assert_true(length > 0);
	assert_int_equal(pipe(start), 0);
	seen.pid = fork();
	if (seen.pid == 0) {
		char byte;

		close(start[1]);
		if (read(start[0], &byte, 1) == 1)
			execl(seen.exe, seen.exe, "burn", (char *)NULL);
		_exit(99);
	}
	close(start[0]);
	open_all();
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(write(start[1], "x", 1), 1);
	close(start[1]);
	assert_int_equal(waitpid(seen.pid, &status, 0), seen.pid);
	assert_int_equal(status, 0);
	clock_gettime(CLOCK_MONOTONIC, &after);

	struct ring_merge *merge = ring_merge_new(seen.rings, seen.count);
	assert_non_null(merge);
	seen.last_time = (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec; /* the same clock */
	assert_true(ring_merge_drain(merge, UINT64_MAX, take, NULL, NULL, &seen.malformed) > 0);
	assert_true(seen.last_time <= (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec);
	assert_int_equal(seen.malformed, 0);

	assert_int_equal(seen.comm_exec, 1);
	assert_int_equal(seen.comm_name, 1);
	assert_int_equal(seen.forks, 1);
	assert_int_equal(seen.exits, 2);
	assert_int_equal(seen.exits_of_child, 1);
	assert_true(seen.exe_mapping.length > 0);
	assert_true(seen.has_vdso);
	/* 1000 Hz over 200 ms; half of it would already say that something is wrong */
	assert_true(seen.samples > BURN_MS / 2);
	assert_true(seen.in_burn > seen.samples / 2);
	assert_true(seen.cpu_time_ns > BURN_MS * 1000000ull / 2);
	ring_merge_free(merge);
	for (size_t i = 0; i < seen.count; i++) {
		perf_ring_unmap(&seen.rings[i]);
		close(seen.fds[i]);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_the_kernel_writes)};

	if (argc == 2 && strcmp(argv[1], "burn") == 0)
		_exit(burn()); /* a leak checker at exit would be one more process */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
