/* Stacks of LEVEL_CHAIN against the walk of the very same sample's whole copy, on running programs: 32 KB and
 * the kernel's chain are taken with each sample, then all but 1 KB of the copy is forgotten.
 *
 *   test_splice                  the programs with frame pointers that were built for it
 *   test_splice PROGRAM [ARG...] any other, for its numbers (docs/unwinding.md) */

#include "tests/unwind/address_space.h"
#include "worker/collect/chain_check.h"
#include "worker/collect/sample_walk.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	SAMPLES = 3000,
	PERIOD_NS = 500000,
	STACK_BYTES = 32768,
	RING_BYTES = 16 << 20,
	CPUS_MAX = 64,
	REGISTERS = 17,
	SHOWN = 5,
};

#define REGISTERS_MASK 0xff01ffull
#define CHAIN_IS_CONTEXT(pc) ((pc) >= (uint64_t)-4095)

struct measure {
	pid_t pid;
	size_t cpus;
	struct {
		int fd;
		struct perf_event_mmap_page *page;
	} ring[CPUS_MAX];
	struct address_space *space;
	struct unwinder *unwinder;
	struct root_tails tails, checked_tails;
	uint64_t samples, no_root, taught;
	uint64_t copy_was_enough; /* 1 KB reaches the root */
	uint64_t equal, incomplete, wrong;
	uint64_t chain_equal, chain_incomplete, chain_wrong; /* the chain alone, with known root tails */
	uint64_t other_chain;                                /* ours over the copy is not the kernel's */
	uint64_t samples_at[LEVEL_COUNT], rootless_at[LEVEL_COUNT];
	bool is_session;
	struct sample_walker walker;
	uint64_t other_verdict; /* chain_check() thinks otherwise than the splice */
};

static bool
must_work(void)
{
	return getenv("DDPROF_MUST_WORK") != NULL;
}

/* ---- a program with events on it ---- */

static int
open_event(pid_t pid, int cpu)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = PERIOD_NS,
		.sample_type = PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.disabled = 1,
		.enable_on_exec = 1,
		.inherit = 1,
		.exclude_kernel = 1,
		.exclude_callchain_kernel = 1,
		.sample_regs_user = REGISTERS_MASK,
		.sample_stack_user = STACK_BYTES,
	};

	return (int)syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* False: not allowed to. */
static bool
open_rings(struct measure *m)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	m->cpus = cpus < CPUS_MAX ? (size_t)cpus : CPUS_MAX;
	for (size_t i = 0; i < m->cpus; i++) {
		m->ring[i].fd = open_event(m->pid, (int)i);
		if (m->ring[i].fd < 0)
			return false;
		m->ring[i].page =
			mmap(NULL, 4096 + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, m->ring[i].fd, 0);
		if (m->ring[i].page == MAP_FAILED)
			return false;
	}
	return true;
}

static void
start_program(struct measure *m, char **argv)
{
	int go[2];
	char byte = 0;

	assert_int_equal(pipe(go), 0);
	m->pid = fork();
	assert_true(m->pid >= 0);
	if (m->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed check leaves nothing behind */
		if (read(go[0], &byte, 1) != 1 || !freopen("/dev/null", "w", stdout))
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	bool is_open = open_rings(m);
	if (!is_open && !must_work()) {
		kill(m->pid, SIGKILL);
		waitpid(m->pid, NULL, 0);
		skip();
	}
	assert_true(is_open);
	assert_int_equal(write(go[1], &byte, 1), 1);
	close(go[0]);
	close(go[1]);
	m->unwinder = unwinder_new();
	assert_non_null(m->unwinder);
	m->space = address_space_new(m->pid);
}

static void
end_program(struct measure *m)
{
	kill(m->pid, SIGKILL);
	waitpid(m->pid, NULL, 0);
	for (size_t i = 0; i < m->cpus; i++) {
		munmap(m->ring[i].page, 4096 + RING_BYTES);
		close(m->ring[i].fd);
	}
	unwinder_free(m->unwinder);
	address_space_free(m->space);
}

/* ---- one sample, three ways ---- */

struct sample {
	struct user_registers registers;
	struct stack_view stack;
	const uint64_t *chain;
	size_t chain_count;
};

static bool
is_equal(const struct chain_walk *a, const struct chain_walk *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (!frame_equals(&a->frames[i], &b->frames[i]))
			return false;
	return a->count == b->count;
}

static void
show(struct measure *m, const char *title, const struct chain_walk *walk)
{
	fprintf(stderr, "   %s\n", title);
	for (size_t i = 0; i < walk->count; i++)
		fprintf(stderr, "      %s+%#lx\n", address_space_file_name(m->space, walk->frames[i].file),
			walk->frames[i].address);
}

static void
tally(bool equal, enum unwind_end end, uint64_t *ret_equal, uint64_t *ret_incomplete, uint64_t *ret_wrong)
{
	if (equal && end == END_ROOT)
		++*ret_equal;
	else if (end != END_ROOT)
		++*ret_incomplete;
	else
		++*ret_wrong;
}

static void
splice(struct measure *m, const struct sample *sample, const struct chain_walk *full,
       enum chain_verdict verdict)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	struct chain_walk walk = *full;
	struct stack_view copied = sample->stack;
	struct walk_stop stop;

	walk.tails = &m->tails;
	walk.frames = frames;
	if (copied.size > 1024)
		copied.size = 1024;
	enum unwind_end end = unwinder_walk_to(m->unwinder, &sample->registers, &copied, address_space_lookup,
					       m->space, frames, &walk.count, &stop);
	m->copy_was_enough += end == END_ROOT;
	if (chain_may_walk_on(end))
		end = chain_walk_on(&walk, &sample->registers, &copied, &stop);
	bool equal = is_equal(full, &walk);
	tally(equal, end, &m->equal, &m->incomplete, &m->wrong);
	if (end == END_ROOT && !equal && m->wrong <= SHOWN) {
		show(m, "walk", full);
		show(m, "splice", &walk);
	} else if (getenv("SHOW") && end != END_ROOT && m->incomplete <= SHOWN) {
		fprintf(stderr, "end %d\n", end);
		show(m, "walk", full);
		show(m, "splice", &walk);
	}
	m->other_verdict +=
		verdict != CHAIN_NOT_COMPARED && (verdict == CHAIN_AGREES) != (equal && end == END_ROOT);
	end = chain_walk_alone(&walk);
	tally(is_equal(full, &walk), end, &m->chain_equal, &m->chain_incomplete, &m->chain_wrong);
}

static void
judge(struct measure *m, const struct sample *sample)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	uint64_t chain[KERNEL_CHAIN_MAX];
	struct chain_walk full = {
		.unwinder = m->unwinder,
		.lookup = address_space_lookup,
		.context = m->space,
		.program = 1,
		.chain = sample->chain,
		.chain_count = sample->chain_count,
		.frames = frames,
	};
	enum unwind_end end = unwinder_walk(m->unwinder, &sample->registers, &sample->stack,
					    address_space_lookup, m->space, frames, &full.count);

	m->samples++;
	if (end != END_ROOT) {
		m->no_root++;
		return;
	}
	size_t ours = chain_of_copy(&sample->registers, &sample->stack, chain);
	m->other_chain +=
		ours > sample->chain_count || memcmp(chain, sample->chain, ours * sizeof(*chain)) != 0;
	enum chain_verdict verdict =
		chain_check(&full, &sample->registers, &sample->stack, &m->checked_tails);
	if (chain_learn_tail(&full, &m->tails))
		m->taught++;
	else
		splice(m, sample, &full, verdict);
}

/* ---- a session ---- */

/* As if the sample had been taken at the level in use. */
static void
add_to_session(struct measure *m, const struct sample *sample)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	enum sampling_level level = sampling_choice_level(&m->walker.choice);
	uint32_t bytes = level_policy(level)->stack_bytes;
	struct chain_walk walk = {.unwinder = m->unwinder,
				  .lookup = address_space_lookup,
				  .context = m->space,
				  .program = 1,
				  .frames = frames};
	struct sample_record record = {.has_registers = true,
				       .registers = sample->registers,
				       .stack = sample->stack,
				       .stack_requested = bytes,
				       .chain = sample->chain,
				       .chain_count = level == LEVEL_CHAIN ? sample->chain_count : 0};

	if (record.stack.size > bytes)
		record.stack.size = bytes;
	m->samples++;
	m->samples_at[level]++;
	m->rootless_at[level] += sample_walk(&m->walker, &record, &walk) != END_ROOT;
}

/* ---- records ---- */

/* { nr, chain[nr] } { abi, registers[17] } { size, stack[size], dyn_size } */
static void
judge_record(struct measure *m, const uint64_t *body)
{
	static const uint8_t order[REGISTERS] = {REGISTERS_IN_PERF_ORDER};
	const uint64_t *chain = body + 1, *values = chain + body[0], *bytes = values + 1 + REGISTERS;
	struct sample sample = {.chain = chain, .chain_count = body[0]};

	if (values[0] == PERF_SAMPLE_REGS_ABI_NONE)
		return;
	while (sample.chain_count > 0 && CHAIN_IS_CONTEXT(sample.chain[0])) {
		sample.chain++;
		sample.chain_count--;
	}
	for (size_t i = 0; i < REGISTERS; i++)
		sample.registers.value[order[i]] = values[1 + i];
	sample.stack = (struct stack_view){.bytes = (const uint8_t *)(bytes + 1),
					   .mask = UINT64_MAX,
					   .sp = sample.registers.value[REGISTER_SP],
					   .size = bytes[1 + STACK_BYTES / 8]};
	if (m->is_session)
		add_to_session(m, &sample);
	else
		judge(m, &sample);
}

static void
drain(struct measure *m, struct perf_event_mmap_page *page)
{
	static uint64_t record[65536 / 8 + 1];
	const uint8_t *data = (const uint8_t *)page + page->data_offset;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE), at = page->data_tail;

	if (at < head)
		address_space_reload(m->space);
	while (at < head) {
		struct perf_event_header header;

		memcpy(&header, data + at % RING_BYTES, sizeof(header)); /* 8 bytes never wrap */
		for (size_t i = 0; i < header.size; i += 8)
			memcpy((uint8_t *)record + i, data + (at + i) % RING_BYTES, 8);
		at += header.size;
		if (header.type == PERF_RECORD_SAMPLE)
			judge_record(m, record + 1);
	}
	__atomic_store_n(&page->data_tail, at, __ATOMIC_RELEASE);
}

static void
measure(struct measure *m, char **argv)
{
	start_program(m, argv);
	while (m->samples < SAMPLES && waitpid(m->pid, NULL, WNOHANG) == 0) {
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		for (size_t i = 0; i < m->cpus; i++)
			drain(m, m->ring[i].page);
	}
	end_program(m);
}

static void
print(const struct measure *m, const char *program)
{
	uint64_t n = m->equal + m->incomplete + m->wrong;
	double percent = n ? 100.0 / (double)n : 0;
	fprintf(stderr,
		"%s: %lu samples, %lu without root, %lu taught one of %zu root tails, %.1f %% within 1 KB\n"
		"   spliced: %.2f %% equal, %.2f %% incomplete, %.2f %% wrong\n"
		"   chain alone: %.2f %% equal, %.2f %% incomplete, %.2f %% wrong\n"
		"   chains over the copy unlike the kernel's: %lu; verdicts unlike the splice: %lu\n",
		program, m->samples, m->no_root, m->taught, m->tails.count,
		(double)m->copy_was_enough * percent, (double)m->equal * percent,
		(double)m->incomplete * percent, (double)m->wrong * percent, (double)m->chain_equal * percent,
		(double)m->chain_incomplete * percent, (double)m->chain_wrong * percent, m->other_chain,
		m->other_verdict);
}

static char **measured;

static void
test_any_program(void **state)
{
	static struct measure m;

	(void)state;
	measure(&m, measured);
	print(&m, measured[0]);
}

static void
test_frame_pointers(void **state)
{
	static struct measure m;
	char *argv[] = {*state, NULL};

	if (access(argv[0], X_OK) != 0 && !must_work())
		skip();
	m = (struct measure){0};
	measure(&m, argv);
	print(&m, argv[0]);
	uint64_t compared = m.equal + m.incomplete + m.wrong;
	assert_true(compared > SAMPLES / 2);
	assert_true(m.copy_was_enough < compared); /* or nothing was spliced */
	assert_true(m.chain_wrong > 0);            /* or there was nothing to repair */
	assert_int_equal(m.wrong, 0);
	assert_true(m.incomplete * 1000 <= compared);
	assert_int_equal(m.other_chain, 0);
	assert_int_equal(m.other_verdict, 0);
}

static void
test_session(void **state)
{
	static const struct {
		const char *program, *argument;
		enum sampling_level first, expected;
		uint32_t available;
	} rows[] = {
#define CHAIN_OR_NORMAL (LEVEL_BIT(LEVEL_CHAIN) | LEVEL_BIT(LEVEL_NORMAL))
		{PROGRAMS "deep_frame_pointers_gcc", NULL, LEVEL_NORMAL, LEVEL_CHAIN, CHAIN_OR_NORMAL},
		/* after a restart: */
		{PROGRAMS "deep_frame_pointers_gcc", NULL, LEVEL_CHAIN, LEVEL_CHAIN, CHAIN_OR_NORMAL},
		{PROGRAMS "deep_frame_pointers_gcc", "libc", LEVEL_NORMAL, LEVEL_NORMAL, CHAIN_OR_NORMAL},
		{PROGRAMS "deep_frame_pointers_gcc", "mixed", LEVEL_NORMAL, LEVEL_NORMAL, CHAIN_OR_NORMAL},
		{PROGRAMS "deep_frame_pointers_gcc", "large", LEVEL_SMALL, LEVEL_NORMAL,
		 LEVEL_BIT(LEVEL_SMALL) | LEVEL_BIT(LEVEL_NORMAL)},
		{PROGRAMS "deep_no_frame_pointers", NULL, LEVEL_NORMAL, LEVEL_NORMAL, CHAIN_OR_NORMAL},
	};
	static struct measure m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static char for_ever[] = "0";
		char *argv[] = {(char *)rows[i].program, for_ever, (char *)rows[i].argument, NULL};

		m = (struct measure){.is_session = true};
		sampling_choice_init(&m.walker.choice, UNWIND_AUTO, rows[i].available, rows[i].first);
		measure(&m, argv);
		fprintf(stderr, "%s %s: %lu samples by chain, %lu without root; %lu by CFI, %lu without\n",
			argv[0], argv[2] ? argv[2] : "", m.samples_at[LEVEL_CHAIN],
			m.rootless_at[LEVEL_CHAIN], m.samples_at[LEVEL_NORMAL], m.rootless_at[LEVEL_NORMAL]);
		assert_int_equal(sampling_choice_level(&m.walker.choice), rows[i].expected);
		assert_true(m.samples_at[rows[i].expected] > SAMPLES / 4);
		if (rows[i].first == LEVEL_CHAIN)
			continue; /* without root until it has learnt what roots look like, from either level
				   */
		assert_int_equal(m.walker.choice.down_moves, rows[i].expected == LEVEL_CHAIN);
		assert_true(m.samples_at[LEVEL_NORMAL] >= 200);
		if (rows[i].first == LEVEL_NORMAL)
			assert_true((m.rootless_at[LEVEL_CHAIN] + m.rootless_at[LEVEL_NORMAL]) * 1000 <=
				    m.samples);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest any[] = {cmocka_unit_test(test_any_program)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_frame_pointers, (void *)PROGRAMS "deep_frame_pointers_gcc"),
		cmocka_unit_test_prestate(test_frame_pointers, (void *)PROGRAMS "deep_frame_pointers_clang"),
		cmocka_unit_test(test_session),
	};

	measured = argv + 1;
	if (argc > 1)
		return cmocka_run_group_tests(any, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
