/* The unwinder as its process runs it, confined and all: the test is the supervisor and, with memfds in place
 * of perf descriptors, the kernel. */

#include "worker/roles.h"

#include "ipc/fd.h"
#include "ipc/rings.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "tests/elf/elf_builder.h"
#include "tests/support/descriptors.h"
#include "tests/support/records.h"
#include "worker/base/harden.h"
#include "worker/base/memory_file.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define TARGET 500
#define CODE_START 0x400000u
#define RING_BYTES 65536u
#define COUNTS_OFFSET 512 /* in the ring's control page, where nothing else is */
#define SECRET 0x5345435245545f41ull
#define PERIOD_NS 10000000
#define BUILD_ID_HEX "abababababababababababababababababababab"

static struct {
	pid_t pid;
	int control, broker;
	int journal;
	struct ring_set set; /* 0: sideband, 1: samples */
	struct ring_memory ring[2];
	unsigned requests;
	unsigned map_requests, dump_requests;
	char held_dump[64];
} role;

static struct message message;
static struct record_builder built;

/* ---- the kernel's part ---- */

static void
make_ring(uint32_t index, enum event_id event)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = file_with("");

	assert_int_equal(ftruncate(fd, (off_t)(page + RING_BYTES)), 0);
	void *memory = mmap(NULL, page + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	role.ring[index] =
		(struct ring_memory){.page = memory, .data = (uint8_t *)memory + page, .size = RING_BYTES};
	role.set.fd[index] = fd;
	role.set.about[index] = (struct ring_description){.event = event, .data_size = RING_BYTES};
	role.set.count = index + 1;
}

/* What the event's count and its lost samples read as, from the next read on; each value is read once. */
static void
set_counts(const uint64_t (*counts)[2], size_t reads)
{
	memcpy((uint8_t *)role.ring[1].page + COUNTS_OFFSET, counts, reads * sizeof(*counts));
	assert_int_equal(lseek(role.set.fd[1], COUNTS_OFFSET, SEEK_SET), COUNTS_OFFSET);
}

static void
write_sideband(void)
{
	record_comm(&built, TARGET, TARGET, "target-comm", 1);
	ring_memory_write(&role.ring[0], built.bytes, built.size);
	record_mmap(&built,
		    &(struct mmap_fields){
			    .pid = TARGET,
			    .protection = 5,
			    .start = CODE_START,
			    .length = 0x1000,
			    .build_id =
				    (const uint8_t *)"\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab\xab"
						     "\xab\xab\xab\xab\xab\xab\xab",
			    .build_id_size = 20,
			    .path = "/bin/thing"},
		    2);
	ring_memory_write(&role.ring[0], built.bytes, built.size);
}

static void
write_sample(uint32_t pid, uint64_t pc)
{
	record_begin(&built, PERF_RECORD_SAMPLE, 0);
	record_u32(&built, pid);
	record_u32(&built, pid);
	record_u64(&built, 3);
	record_u64(&built, PERIOD_NS);
	record_u64(&built, 0); /* no walk by the kernel */
	record_u64(&built, PERF_SAMPLE_REGS_ABI_64);
	for (unsigned i = 0; i < SAMPLE_REGISTERS_COUNT; i++) /* rsp and rip are the 8th and 9th */
		record_u64(&built, i == 7 ? 0x7ffc00000000 : i == 8 ? pc : SECRET);
	record_u64(&built, 64);
	for (unsigned i = 0; i < 8; i++)
		record_u64(&built, SECRET);
	record_u64(&built, 64);
	record_end(&built);
	ring_memory_write(&role.ring[1], built.bytes, built.size);
}

/* ---- the supervisor's part ---- */

static void
run_role(int control, int broker)
{
	char report[] = SANDBOX_REPORT_BLANK;
	int high_control = fcntl(control, F_DUPFD, 100), high_broker = fcntl(broker, F_DUPFD, 100);

	if (place_fd(high_control, FD_CONTROL) < 0 || place_fd(high_broker, FD_BROKER) < 0 ||
	    close_range(FD_BROKER + 1, ~0u, 0) < 0 || harden_process(report) < 0)
		syscall(SYS_exit_group, 99);
	syscall(SYS_exit_group, unwinder_main() < 0);
}

static void
start_role(void)
{
	int control[2], broker[2];

	assert_int_equal(channel_pair(control), 0);
	assert_int_equal(channel_pair(broker), 0);
	role.pid = fork();
	if (role.pid == 0)
		run_role(control[1], broker[1]);
	assert_true(role.pid > 0);
	close(control[1]);
	close(broker[1]);
	role.control = control[0];
	role.broker = broker[0];
}

static struct start_message
plain_start(void)
{
	return (struct start_message){
		.has_symbolizer = 1,
		.period_ns = PERIOD_NS,
		.target_pid = TARGET,
		.level = LEVEL_COUNT,
		.container_id = "container-of-the-test",
		.start_ns = 1000,
		.sequence = 3,
		.kernel_count_ns = 1000000,
		.kernel_lost = 1,
	};
}

static void
send_start(const struct start_message *start)
{
	assert_int_equal(channel_send(role.control, MESSAGE_START, start, sizeof(*start), &role.journal, 1),
			 0);
	assert_int_equal(ring_set_send(role.control, &role.set), 0);
	assert_int_equal(channel_receive(role.control, &message, 5000), 0);
	assert_non_null(message_expect(&message, MESSAGE_READY, 0, 0));
}

static void
send_plain(enum message_kind kind)
{
	assert_int_equal(channel_send(role.control, kind, NULL, 0, NULL, 0), 0);
}

static int
elf_file(uint8_t build_id)
{
	static struct elf_builder b;
	uint8_t id[20];

	memset(id, build_id, sizeof(id));
	elf_builder_init(&b);
	elf_builder_add(&b, PT_LOAD, PF_R | PF_X, 0, 0, 0x1000);
	elf_builder_put(&b, 0xfff, "", 1);
	elf_builder_add(&b, PT_NOTE, PF_R, 0x400, 0x400, elf_builder_put_build_id(&b, 0x400, id, sizeof(id)));
	elf_builder_finish(&b);
	return elf_builder_file(&b);
}

enum answer_kind {
	ANSWER_FILE,
	ANSWER_WRONG_FILE,
	ANSWER_REFUSED,
	ANSWER_NO_DESCRIPTOR, /* says yes and brings nothing */
};

/* There is no map the first time. */
static void
answer_hold(void)
{
	struct held held = {0};

	if (message.kind == MESSAGE_HOLD_JIT_MAP) {
		const struct hold_jit_map *map =
			message_expect(&message, MESSAGE_HOLD_JIT_MAP, sizeof(*map), 0);
		assert_non_null(map);
		assert_int_equal(map->pid, TARGET);
		held.error = role.map_requests++ == 0 ? -ENOENT : 0;
	} else {
		const struct open_mapping *dump =
			message_expect(&message, MESSAGE_HOLD_JIT_DUMP, sizeof(*dump), 0);
		assert_non_null(dump);
		assert_int_equal(dump->pid, TARGET);
		assert_int_equal(dump->inode, 99);
		role.dump_requests++;
		memcpy(role.held_dump, dump->path, sizeof(role.held_dump) - 1);
	}
	assert_int_equal(channel_send(role.broker, MESSAGE_HELD, &held, sizeof(held), NULL, 0), 0);
}

static void
answer_broker(enum answer_kind kind)
{
	struct opened opened = {.error = kind == ANSWER_REFUSED ? -EACCES : 0};

	assert_int_equal(channel_receive(role.broker, &message, 0), 0);
	if (message.kind == MESSAGE_HOLD_JIT_MAP || message.kind == MESSAGE_HOLD_JIT_DUMP) {
		answer_hold();
		return;
	}
	const struct open_mapping *request =
		message_expect(&message, MESSAGE_OPEN_MAPPING, sizeof(*request), 0);
	assert_non_null(request);
	assert_int_equal(request->pid, TARGET);
	assert_string_equal(request->path, "/bin/thing");
	assert_int_equal(request->build_id_size, 20);
	role.requests++;
	if (request->first_candidate > 0) { /* it is nowhere else */
		kind = ANSWER_REFUSED;
		opened.error = -ENOENT;
	}
	OWNED_FD file = elf_file(kind == ANSWER_WRONG_FILE ? 0x11 : 0xab);
	assert_int_equal(channel_send(role.broker, MESSAGE_OPENED, &opened, sizeof(opened), &file,
				      kind == ANSWER_FILE || kind == ANSWER_WRONG_FILE),
			 0);
}

/* Answers file requests until a profile comes; it must be sealed. *ret_bytes must be freed. */
static void
await_profile(enum answer_kind kind, struct profile_message *ret, uint8_t **ret_bytes, size_t *ret_size)
{
	struct pollfd watched[2] = {{.fd = role.control, .events = POLLIN},
				    {.fd = role.broker, .events = POLLIN}};

	for (;;) {
		assert_true(poll(watched, 2, 30000) > 0);
		if (watched[0].revents)
			break;
		answer_broker(kind);
	}
	assert_int_equal(channel_receive(role.control, &message, 5000), 0);
	const struct profile_message *head = message_expect(&message, MESSAGE_PROFILE, sizeof(*head), 1);
	assert_non_null(head);
	*ret = *head;
	OWNED_FD fd = message_take_fd(&message, 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(memory_file_read(fd, ret_bytes, ret_size), 0);
}

/* Every text in it: profiles of ours are not compressed. */
static void
expect_texts(const uint8_t *bytes, size_t size, const char *const *texts)
{
	for (; *texts; texts++)
		if (!memmem(bytes, size, *texts, strlen(*texts)))
			fail_msg("the profile does not say %s", *texts);
}

static void
end_role(int wanted)
{
	int status;

	close_fd(&role.control);
	close_fd(&role.broker);
	assert_int_equal(waitpid(role.pid, &status, 0), role.pid);
	role.pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("the role ended with wait status %#x", (unsigned)status);
}

static int
start(void **state)
{
	(void)state;
	memset(&role, 0, sizeof(role));
	role.control = role.broker = -1;
	role.journal = file_with("");
	make_ring(0, EVENT_SIDEBAND);
	make_ring(1, EVENT_SCPU);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	if (role.pid > 0) {
		kill(role.pid, SIGKILL);
		waitpid(role.pid, NULL, 0);
	}
	close_fd(&role.control);
	close_fd(&role.broker);
	close_fd(&role.journal);
	for (int i = 0; i < 2; i++)
		munmap(role.ring[i].page, (size_t)sysconf(_SC_PAGESIZE) + RING_BYTES);
	ring_set_close(&role.set);
	return 0;
}

/* ---- tests ---- */

static uint64_t
sum_of_endings(const struct ledger *ledger)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ENDINGS; i++)
		sum += ledger->ending[i];
	return sum;
}

/* Each stack is counted in one module too. */
static void
expect_module_endings(const struct profile_message *head)
{
	bool is_there = false;

	for (size_t i = 0; i < ENDINGS; i++) {
		uint64_t sum = 0;

		for (size_t m = 0; m < ENDING_MODULES; m++)
			sum += head->module[m].ending[i];
		assert_int_equal(sum, head->ledger.ending[i]);
	}
	for (size_t m = 0; m < ENDING_MODULES; m++)
		is_there |= !strcmp(head->module[m].name, "/bin/thing");
	assert_true(is_there);
}

static void
test_a_session(void **state)
{
	static const uint64_t counts[][2] = {{0, 0}, {61000000, 4}, {71000000, 4}};
	static const char *const texts[] = {"/bin/thing",
					    BUILD_ID_HEX,
					    "target-comm",
					    "container-of-the-test",
					    "[lost]",
					    "ddprof.samples=5",
					    "ddprof.lost=3",
					    "ddprof.malformed=1",
					    "ddprof.kernel_count_ns=60000000",
					    "ddprof.module.1=",
					    NULL};
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	uint64_t secret = SECRET;
	size_t size;

	(void)state;
	start_role();
	set_counts(counts, 3);
	write_sideband(); /* before the start: between looks at two rings the later one could be written first
			   */
	for (int i = 0; i < 5; i++)
		write_sample(TARGET, CODE_START + 0x100);
	record_begin(&built, PERF_RECORD_SAMPLE, 0); /* one that is none */
	record_u64(&built, 0);
	record_end(&built);
	ring_memory_write(&role.ring[1], built.bytes, built.size);
	send_start(&start_message);
	send_plain(MESSAGE_EXPORT);
	await_profile(ANSWER_FILE, &head, &bytes, &size);

	assert_int_equal(role.requests, 1); /* five samples in one file */
	assert_int_equal(head.sequence, 3);
	assert_int_equal(head.start_ns, 1000);
	assert_true(head.end_ns > head.start_ns);
	assert_false(head.is_last);
	assert_int_equal(head.kernel_count_ns, 61000000);
	assert_int_equal(head.kernel_lost, 4);
	assert_int_equal(head.ledger.samples, 5);
	assert_int_equal(head.ledger.malformed, 1);
	assert_int_equal(head.ledger.lost, 3); /* four, of which START knew one */
	assert_int_equal(head.ledger.cpu_time_ns, 5ull * PERIOD_NS);
	assert_int_equal(head.ledger.kernel_count_ns, 60000000);
	assert_int_equal(sum_of_endings(&head.ledger), 5);
	assert_int_equal(head.ledger.records, 8); /* samples, the one that is none, and sideband */
	assert_in_range(head.ledger.unwind_ns, 100, 1000000000);
	assert_true(head.ledger.frames >= 5);
	assert_int_equal(head.ledger.stack_bytes, 5 * 64);
	expect_module_endings(&head);
	expect_texts(bytes, size, texts);
	assert_null(memmem(bytes, size, &secret, sizeof(secret))); /* no stack byte, no register leaves it */
	free(bytes);

	/* everything read was given back to the kernel */
	assert_int_equal(role.ring[0].page->data_tail, role.ring[0].page->data_head);
	assert_int_equal(role.ring[1].page->data_tail, role.ring[1].page->data_head);
	assert_int_equal(lseek(role.journal, 0, SEEK_END), role.ring[0].page->data_head);

	/* the next period starts from nothing, where the last one ended */
	int64_t end_ns = head.end_ns;
	write_sample(TARGET, CODE_START + 0x100);
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	free(bytes);
	assert_int_equal(role.requests, 1);
	assert_true(head.is_last);
	assert_int_equal(head.sequence, 4);
	assert_int_equal(head.start_ns, end_ns);
	assert_int_equal(head.ledger.samples, 1);
	assert_int_equal(head.ledger.records, 1);
	assert_int_equal(head.ledger.lost, 0);
	assert_int_equal(head.ledger.kernel_count_ns, 10000000);
	assert_int_equal(head.ledger.malformed, 0);
	expect_module_endings(&head);
	end_role(0);
}

static void
test_files_that_cannot_be_had(void **state)
{
	static const enum answer_kind kinds[] = {ANSWER_WRONG_FILE, ANSWER_REFUSED, ANSWER_NO_DESCRIPTOR};
	static const char *const texts[] = {"thing", "target-comm", "ddprof.samples=2",
					    "ddprof.stacks.unreadable=2", NULL};
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	size_t size;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		start_role();
		write_sideband();
		write_sample(TARGET, CODE_START + 0x100);
		write_sample(TARGET, CODE_START + 0x200);
		send_start(&start_message);
		send_plain(MESSAGE_EXPORT);
		await_profile(kinds[i], &head, &bytes, &size);
		expect_texts(bytes, size, texts);
		free(bytes);
		/* a wrong file is looked for at other places; nothing is asked for again */
		assert_int_equal(role.requests, kinds[i] == ANSWER_WRONG_FILE ? 2 : 1);
		end_role(0);
		finish(state);
		start(state);
	}
}

static void
write_mapping(const char *path, uint64_t start)
{
	record_mmap(&built,
		    &(struct mmap_fields){.pid = TARGET,
					  .protection = 5,
					  .start = start,
					  .length = 0x1000,
					  .inode = 99,
					  .path = path},
		    2);
	ring_memory_write(&role.ring[0], built.bytes, built.size);
}

/* Code without a file is told by its process and address; its map is asked for until it is there. */
static void
test_code_without_a_file(void **state)
{
	static const char *const texts[] = {"[jit:500]", NULL};
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	size_t size;

	(void)state;
	start_role();
	record_comm(&built, TARGET, TARGET, "target-comm", 1);
	ring_memory_write(&role.ring[0], built.bytes, built.size);
	write_mapping("//anon", CODE_START);
	write_mapping("//anon", CODE_START + 0x1000);
	write_mapping("/home/u/jit-1.dump", CODE_START + 0x8000);
	write_mapping("/home/u/jit-1.dump", CODE_START + 0x9000);
	write_sample(TARGET, CODE_START + 0x123);
	send_start(&start_message);
	for (int i = 0; i < 2; i++) { /* the second time, the map is there */
		struct timespec pause = {.tv_nsec = 100000000};

		nanosleep(&pause, NULL);
		send_plain(MESSAGE_EXPORT);
		await_profile(ANSWER_FILE, &head, &bytes, &size);
		if (i == 0)
			expect_texts(bytes, size, texts);
		free(bytes);
	}
	assert_int_equal(role.requests, 0);
	assert_string_equal(role.held_dump, "/home/u/jit-1.dump");
	assert_int_equal(role.dump_requests, 1);
	assert_int_equal(role.map_requests, 2);
	assert_int_equal(head.ledger.samples, 0);
	/* other code of the same process: it is held */
	write_mapping("//anon", CODE_START + 0x4000);
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	assert_null(memmem(bytes, size, "[jit:", 5)); /* no sample: no mapping */
	free(bytes);
	assert_int_equal(role.map_requests, 2);
	end_role(0);
}

/* Killed in the middle; its successor knows from the journal what was mapped, and reads on in the rings. */
static void
test_successor(void **state)
{
	static const char *const texts[] = {"/bin/thing", BUILD_ID_HEX, "target-comm", "ddprof.samples=1",
					    NULL};
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	size_t size;

	(void)state;
	start_role();
	send_start(&start_message);
	write_sideband();
	send_plain(MESSAGE_EXPORT);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	free(bytes);
	kill(role.pid, SIGKILL);
	waitpid(role.pid, NULL, 0);
	close_fd(&role.control);
	close_fd(&role.broker);
	write_sample(TARGET, CODE_START + 0x100);

	start_role();
	start_message.sequence = 4;
	send_start(&start_message);
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	assert_int_equal(head.ledger.samples, 1);
	assert_int_equal(head.sequence, 4);
	expect_texts(bytes, size, texts);
	free(bytes);
	end_role(0);
}

static void
wait_until_read(const struct ring_memory *ring)
{
	struct timespec pause = {.tv_nsec = 1000000};
	int status;

	for (int i = 0; i < 30000; i++) {
		if (waitpid(role.pid, &status, WNOHANG) == role.pid) {
			role.pid = 0;
			fail_msg("the role ended with wait status %#x", (unsigned)status);
		}
		if (__atomic_load_n(&ring->page->data_tail, __ATOMIC_ACQUIRE) == ring->page->data_head)
			return;
		struct pollfd asked = {.fd = role.broker, .events = POLLIN};
		if (poll(&asked, 1, 0) > 0)
			answer_broker(ANSWER_FILE);
		nanosleep(&pause, NULL);
	}
	fail_msg("the role reads no more");
}

/* Megabytes of history: the role replaces the journal by what is still true, confined as it is, and a
 * successor that has nothing but the new one knows as much. */
static void
test_compacted_journal(void **state)
{
	static const char *const texts[] = {"/bin/thing", "target-comm", "ddprof.samples=1", NULL};
	struct start_message start_message = plain_start();
	struct profile_message head;
	struct pollfd control = {.events = POLLIN};
	uint8_t *bytes;
	size_t size;

	(void)state;
	start_role();
	send_start(&start_message);
	control.fd = role.control;
	for (int round = 0; round < 300 && poll(&control, 1, 0) == 0; round++) {
		for (int i = 0; i < 200; i++)
			write_sideband();
		wait_until_read(&role.ring[0]);
	}
	assert_int_equal(channel_receive(role.control, &message, 30000), 0);
	assert_non_null(message_expect(&message, MESSAGE_JOURNAL, 0, 1));
	close_fd(&role.journal);
	role.journal = message_take_fd(&message, 0);
	assert_in_range(lseek(role.journal, 0, SEEK_END), 1, 100000);
	kill(role.pid, SIGKILL);
	waitpid(role.pid, NULL, 0);
	close_fd(&role.control);
	close_fd(&role.broker);

	write_sample(TARGET, CODE_START + 0x100);
	start_role();
	send_start(&start_message);
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	expect_texts(bytes, size, texts);
	free(bytes);
	end_role(0);
}

/* Its predecessors died of what is in the sample rings: that is skipped, what is mapped is not. */
static void
test_discard(void **state)
{
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	size_t size;

	(void)state;
	write_sideband();
	write_sample(TARGET, CODE_START + 0x100);
	start_message.discard = 1;
	start_role();
	send_start(&start_message);
	assert_int_equal(role.ring[1].page->data_tail, role.ring[1].page->data_head);
	write_sample(TARGET, CODE_START + 0x200);
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	assert_int_equal(head.ledger.samples, 1);
	assert_non_null(memmem(bytes, size, "/bin/thing", 10));
	free(bytes);
	end_role(0);
}

/* The kernel may be too old to count lost samples itself: then its LOST records are counted. */
static void
test_lost_records(void **state)
{
	struct start_message start_message = plain_start();
	struct profile_message head;
	uint8_t *bytes;
	size_t size;

	(void)state;
	start_message.kernel_count_ns = start_message.kernel_lost = 0;
	lseek(role.set.fd[1], 0, SEEK_END); /* reads give nothing */
	start_role();
	send_start(&start_message);
	write_sideband();
	record_begin(&built, PERF_RECORD_LOST, 0);
	record_u64(&built, 1);
	record_u64(&built, 7);
	record_end_at(&built, TARGET, TARGET, 3);
	ring_memory_write(&role.ring[1], built.bytes, built.size);
	ring_memory_write(&role.ring[0], built.bytes, built.size); /* lost sideband is no lost sample */
	send_plain(MESSAGE_FINISH);
	await_profile(ANSWER_FILE, &head, &bytes, &size);
	assert_int_equal(head.ledger.lost, 7);
	assert_int_equal(head.ledger.sideband_lost, 7);
	free(bytes);
	end_role(0);
}

/* One line of the role's /proc/PID/status. */
static unsigned long long
status_of_role(const char *name)
{
	char path[64], line[256];
	unsigned long long value = ~0ull;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)role.pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoull(line + strlen(name), NULL, 16);
	fclose(file);
	return value;
}

/* "Ready" means: nothing left to lose, and the role's own filter on top of whatever was there before. */
static void
test_ready_is_confined(void **state)
{
	static const char *const empty[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
	struct start_message start_message = plain_start();

	(void)state;
	start_role();
	unsigned long long filters = status_of_role("Seccomp_filters:");
	send_start(&start_message);
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		assert_int_equal(status_of_role(empty[i]), 0);
	assert_int_equal(status_of_role("NoNewPrivs:"), 1);
	assert_int_equal(status_of_role("Seccomp:"), 2);
	if (filters != ~0ull) /* linux 5.9 and later say how many */
		assert_int_equal(status_of_role("Seccomp_filters:"), filters + 1);
	end_role(0);
}

/* It ends by itself, at once, without a word. */
static void
expect_refusal(void)
{
	assert_int_equal(channel_receive(role.control, &message, 2000), -EPIPE);
	end_role(1);
}

/* Only what the protocol says, or the process ends. */
static void
test_broken_starts(void **state)
{
	struct start_message start_message = plain_start();
	const struct {
		enum message_kind kind;
		size_t size, fd_count;
	} cases[] = {
		{MESSAGE_START, 8, 1},
		{MESSAGE_START, sizeof(start_message) + 8, 1},
		{MESSAGE_START, sizeof(start_message), 0},
		{MESSAGE_START, sizeof(start_message), 2},
		{MESSAGE_EXPORT, sizeof(start_message), 1},
		{MESSAGE_EXPORT, 0, 0},
	};
	int two[2] = {role.journal, role.journal};
	char body[sizeof(start_message) + 8] = {0};

	(void)state;
	memcpy(body, &start_message, sizeof(start_message));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start_role();
		assert_int_equal(channel_send(role.control, cases[i].kind, body, cases[i].size, two,
					      cases[i].fd_count),
				 0);
		expect_refusal();
	}
	memset(start_message.container_id, 'x', sizeof(start_message.container_id));
	start_role();
	assert_int_equal(
		channel_send(role.control, MESSAGE_START, &start_message, sizeof(start_message), two, 1), 0);
	expect_refusal();
	start_role();
	end_role(1); /* nobody there */
}

static void
test_broken_orders(void **state)
{
	struct start_message start_message = plain_start();

	(void)state;
	start_role();
	send_start(&start_message);
	end_role(0); /* closed: the supervisor is done with it */
	start_role();
	send_start(&start_message);
	send_plain(MESSAGE_READY);
	expect_refusal();
	start_role();
	send_start(&start_message);
	assert_int_equal(channel_send(role.control, MESSAGE_EXPORT, &start_message, 8, NULL, 0), 0);
	expect_refusal();
	start_role();
	send_start(&start_message);
	assert_int_equal(channel_send(role.control, MESSAGE_FINISH, NULL, 0, &role.journal, 1), 0);
	expect_refusal(); /* a descriptor nobody asked for */
}

#define ROLE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROLE_TEST(test_a_session),
		ROLE_TEST(test_ready_is_confined),
		ROLE_TEST(test_files_that_cannot_be_had),
		ROLE_TEST(test_code_without_a_file),
		ROLE_TEST(test_successor),
		ROLE_TEST(test_compacted_journal),
		ROLE_TEST(test_discard),
		ROLE_TEST(test_lost_records),
		ROLE_TEST(test_broken_starts),
		ROLE_TEST(test_broken_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
