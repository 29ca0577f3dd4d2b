/* unwind_bench RECORDING [STACKS]: walks the samples of a perf.data file with every engine, each in a process
 * of its own, and prints one JSON object: time per frame, memory, and how far each agrees with ours. Our
 * stacks go to STACKS, a line each, for comparison with programs that cannot be linked. */

#include "tests/bench/unwind/input.h"

#include "ipc/protocol.h"
#include "policy/events.h"
#include "worker/collect/collector.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX 4000
#define HOT_SAMPLES 24
#define PASSES 5
#define RING_PASSES 15
#define HOT_NS 300000000.0 /* long enough for a quiet moment */
#define RING_BYTES (4u << 20)

struct stack {
	uint32_t count;
	uint64_t pc[BENCH_FRAMES_MAX];
};

/* Shared between the processes: per engine. */
struct result {
	bool is_there;
	double first_ns, cold_ns, hot_ns, least_ns; /* per frame; least: of the hot ones */
	double prepare_us, first_sample_us;
	double frames; /* per sample */
	long anonymous_kib;
	struct stack stacks[SAMPLES_MAX];
};

static struct bench_input input;

static double
cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return one < other ? -1 : one > other;
}

static double
median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static long
anonymous_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

/* Nanoseconds per frame over samples first, first + step, ... */
static double
pass(const struct engine *engine, size_t step)
{
	const struct sample_record *together[BENCH_TOGETHER];
	double start = cpu_ns();
	size_t frames = 0, count = 0;

	for (size_t i = 0; i < input.sample_count; i += step) {
		if (!engine->walk_together) {
			frames += engine->walk(&input.samples[i], NULL);
			continue;
		}
		together[count++] = &input.samples[i];
		if (count == BENCH_TOGETHER || i + step >= input.sample_count) {
			frames += engine->walk_together(together, count);
			count = 0;
		}
	}
	return (cpu_ns() - start) / (double)(frames ? frames : 1);
}

/* V8 maps its built-in code, which is part of the program's file, a second time: of a file's mappings that
 * hold an address the first one speaks for all. Ours knows no other. */
static uint64_t
in_first_mapping(uint64_t pc)
{
	const struct bench_module *end = input.modules + input.module_count, *of = input.modules;

	while (of < end && pc - of->start >= of->end - of->start)
		of++;
	for (const struct bench_module *first = input.modules; of < end && first < of; first++) {
		uint64_t there = pc - of->bias + first->bias;

		if (first->path == of->path && there - first->start < first->end - first->start)
			return there;
	}
	return pc;
}

static size_t
keep_stack(const struct engine *engine, const struct sample_record *sample, struct stack *ret)
{
	ret->count = (uint32_t)engine->walk(sample, ret->pc);
	for (uint32_t i = 0; i < ret->count; i++)
		ret->pc[i] = in_first_mapping(ret->pc[i]);
	return ret->count;
}

static void
measure(const struct engine *engine, struct result *ret)
{
	double cold[PASSES], hot[4096];
	size_t hot_count = 0, frames = 0, hot_step = input.sample_count / HOT_SAMPLES + 1;
	malloc_trim(0); /* or what is free already would not be counted */
	long before = anonymous_kib();

	double start = cpu_ns();
	if (engine->prepare(&input) < 0)
		return;
	ret->prepare_us = (cpu_ns() - start) / 1000;
	start = cpu_ns();
	(void)engine->walk(&input.samples[0], NULL);
	ret->first_sample_us = (cpu_ns() - start) / 1000;
	ret->first_ns = pass(engine, 1);
	for (size_t i = 0; i < PASSES; i++)
		cold[i] = pass(engine, 1);
	ret->cold_ns = median(cold, PASSES);
	ret->anonymous_kib = anonymous_kib() - before;
	for (double spent = cpu_ns(); hot_count < 4096 && (hot_count < 3 || cpu_ns() - spent < HOT_NS);)
		hot[hot_count++] = pass(engine, hot_step);
	ret->hot_ns = median(hot, hot_count);
	ret->least_ns = hot[0]; /* sorted now */
	for (size_t i = 0; i < input.sample_count; i++)
		frames += keep_stack(engine, &input.samples[i], &ret->stacks[i]);
	ret->frames = (double)frames / (double)input.sample_count;
	ret->is_there = true;
}

static void
run(const struct engine *engine, struct result *ret)
{
	pid_t child = fork();

	if (child == 0) {
		measure(engine, ret);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* ---- agreement ---- */

struct agreement {
	size_t exact, shorter, longer, diverging;
};

static struct agreement
compare_stacks(const struct result *ours, const struct result *other)
{
	struct agreement sum = {0};

	for (size_t i = 0; i < input.sample_count; i++) {
		const struct stack *a = &ours->stacks[i], *b = &other->stacks[i];
		uint32_t common = a->count < b->count ? a->count : b->count;

		if (memcmp(a->pc, b->pc, common * sizeof(a->pc[0])) != 0)
			sum.diverging++;
		else if (a->count == b->count)
			sum.exact++;
		else if (b->count < a->count)
			sum.shorter++;
		else
			sum.longer++;
	}
	return sum;
}

/* ---- the whole way, from the ring to the aggregated stack ---- */

struct ring_bench {
	struct perf_event_mmap_page *page;
	struct perf_ring ring;
	struct collector collector;
};

/* As the kernel lays it out for the events of policy/events.c. */
static size_t
put_record(uint8_t *at, const struct sample_record *sample)
{
	static const uint8_t perf_order[SAMPLE_REGISTERS_COUNT] = {
		REGISTER_RAX, REGISTER_RBX, REGISTER_RCX, REGISTER_RDX, REGISTER_RSI, REGISTER_RDI,
		REGISTER_RBP, REGISTER_RSP, REGISTER_RIP, REGISTER_R8,  REGISTER_R9,  REGISTER_R10,
		REGISTER_R11, REGISTER_R12, REGISTER_R13, REGISTER_R14, REGISTER_R15,
	};
	uint64_t size = sample->stack.size & ~7ull;
	uint64_t words[6 + SAMPLE_REGISTERS_COUNT + 1];
	size_t count = 0;
	struct perf_event_header header = {.type = PERF_RECORD_SAMPLE, .misc = PERF_RECORD_MISC_USER};

	header.size = (uint16_t)(sizeof(header) + sizeof(words) - 8 + size + 8);
	words[count++] = sample->pid | (uint64_t)sample->tid << 32;
	words[count++] = sample->time_ns;
	words[count++] = sample->period_ns;
	words[count++] = 0; /* addresses of a chain */
	words[count++] = PERF_SAMPLE_REGS_ABI_64;
	for (size_t i = 0; i < SAMPLE_REGISTERS_COUNT; i++)
		words[count++] = sample->registers.value[perf_order[i]];
	words[count++] = size;
	header.size = (uint16_t)(sizeof(header) + count * 8 + size + 8);
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), words, count * 8);
	memcpy(at + sizeof(header) + count * 8, sample->stack.bytes, size);
	memcpy(at + header.size - 8, &size, 8);
	return header.size;
}

static double
drain(struct ring_bench *bench, size_t *ret_samples)
{
	static struct sample_record samples[COLLECTOR_SAMPLES_MAX];
	struct ring_record record;
	size_t count = 0;
	uint64_t malformed = 0;
	double start = cpu_ns();

	perf_ring_snapshot(&bench->ring);
	while (perf_ring_peek(&bench->ring, &record, &malformed)) {
		if (record_decode_sample(&record, &samples[count]) == 0)
			count++;
		else
			malformed++;
		perf_ring_consume(&bench->ring, &record);
		++*ret_samples;
		if (count == COLLECTOR_SAMPLES_MAX || bench->ring.tail == bench->ring.head) {
			collector_add_samples(&bench->collector, samples, count);
			perf_ring_release(&bench->ring);
			count = 0;
		}
	}
	if (malformed || bench->collector.ledger.malformed) {
		fprintf(stderr, "unwind_bench: its own records are malformed\n");
		exit(1);
	}
	return cpu_ns() - start;
}

/* The ring is filled and drained in turns; filling is not counted. Nanoseconds per sample. */
static double
ring_pass(struct ring_bench *bench)
{
	double ns = 0;
	size_t samples = 0, next = 0;
	uint8_t *data = (uint8_t *)bench->page + 4096;

	while (next < input.sample_count) {
		uint64_t head = 0;

		for (; next < input.sample_count && head + UINT16_MAX < RING_BYTES; next++)
			head += put_record(data + head, &input.samples[next]);
		bench->page->data_head = head;
		bench->page->data_tail = 0;
		perf_ring_over(bench->page, RING_BYTES, &bench->ring);
		ns += drain(bench, &samples);
	}
	return ns / (double)(samples ? samples : 1);
}

static int
no_file(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	(void)context, (void)request;
	*ret_candidate = 0;
	return -ENOENT;
}

static int
measure_ring(double *ret_median, double *ret_least)
{
	struct ring_bench bench = {0};
	double passes[RING_PASSES];

	if (posix_memalign((void **)&bench.page, 4096, 4096 + RING_BYTES + UINT16_MAX) != 0 ||
	    collector_init(&bench.collector, no_file, NULL, 256u << 20) < 0)
		return -1;
	memset(bench.page, 0, 4096 + RING_BYTES);
	/* the address space that was read */
	mapped_files_free(bench.collector.files);
	processes_free(bench.collector.processes);
	bench.collector.files = input.files;
	bench.collector.processes = input.processes;
	(void)ring_pass(
		&bench); /* rules, strings and stacks are known afterwards, as after the first seconds */
	for (size_t i = 0; i < RING_PASSES; i++)
		passes[i] = ring_pass(&bench);
	*ret_median = median(passes, RING_PASSES);
	*ret_least = passes[0];
	return 0;
}

/* ---- output ---- */

static void
print_engine(const struct engine *engine, const struct result *ours, const struct result *result,
	     bool is_last)
{
	struct agreement sum = compare_stacks(ours, result);

	printf("  {\"name\": \"%s\", \"first_ns\": %.1f, \"cold_ns\": %.1f, \"hot_ns\": %.1f, \"least_ns\": "
	       "%.1f, "
	       "\"prepare_us\": %.1f, \"first_sample_us\": %.1f, \"frames\": %.2f, \"anonymous_kib\": %ld, "
	       "\"exact\": %zu, "
	       "\"shorter\": %zu, \"longer\": %zu, \"diverging\": %zu}%s\n",
	       engine->name, result->first_ns, result->cold_ns, result->hot_ns, result->least_ns,
	       result->prepare_us, result->first_sample_us, result->frames, result->anonymous_kib, sum.exact,
	       sum.shorter, sum.longer, sum.diverging, is_last ? "" : ",");
}

static void
write_stacks(const char *path, const struct result *ours)
{
	FILE *file = fopen(path, "w");

	for (size_t i = 0; file && i < input.sample_count; i++) {
		fprintf(file, "%" PRIu64, input.samples[i].time_ns);
		for (uint32_t frame = 0; frame < ours->stacks[i].count; frame++)
			fprintf(file, " %" PRIx64, ours->stacks[i].pc[frame]);
		fputc('\n', file);
	}
	if (!file || fclose(file) != 0)
		perror(path);
}

int
main(int argc, char **argv)
{
	static const struct engine *const engines[] = {&engine_ours, &engine_dwfl, &engine_libunwind};
	enum { ENGINES = sizeof(engines) / sizeof(engines[0]) };
	struct result *results = mmap(NULL, ENGINES * sizeof(*results), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (argc < 2 || results == MAP_FAILED)
		return 2;
	bench_input_read(argv[1], SAMPLES_MAX, &input);
	for (size_t i = 0; i < ENGINES; i++)
		run(engines[i], &results[i]);
	double ring_ns = 0, ring_least_ns = 0;
	if (measure_ring(&ring_ns, &ring_least_ns) < 0)
		return 1;
	printf("{\"pid\": %u, \"samples\": %zu, \"ring_sample_ns\": %.0f, \"ring_sample_least_ns\": %.0f, "
	       "\"engines\": [\n",
	       input.pid, input.sample_count, ring_ns, ring_least_ns);
	for (size_t i = 0; i < ENGINES; i++)
		if (results[i].is_there)
			print_engine(engines[i], &results[0], &results[i], i + 1 == ENGINES);
	printf("]}\n");
	if (argc > 2)
		write_stacks(argv[2], &results[0]);
	return 0;
}
