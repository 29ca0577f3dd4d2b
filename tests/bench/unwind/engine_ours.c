/* Our unwinder as the worker uses it, without what comes before and after. */

#include "tests/bench/unwind/input.h"

#include "worker/collect/collector.h"

#include <errno.h>

static const struct bench_input *input;
static struct unwinder *unwinder;
static struct collector collector;
static struct sampled_process sampled = {.collector = &collector};

static int
prepare(const struct bench_input *given)
{
	input = given;
	collector = (struct collector){.files = given->files, .processes = given->processes};
	sampled.process = given->process;
	unwinder = unwinder_new();
	return unwinder ? 0 : -ENOMEM;
}

/* Of the frame's file, wherever that is mapped. */
static uint64_t
absolute(const struct frame *frame)
{
	const struct mapped_file *file =
		mapped_files_get(input->files, frame->file >> COLLECTOR_SEGMENT_BITS);

	for (size_t i = 0; frame->kind == CODE_MODULE && i < input->module_count; i++) {
		const struct bench_module *module = &input->modules[i];

		if (module->path == file->path &&
		    frame->address + module->bias - module->start < module->end - module->start)
			return frame->address + module->bias;
	}
	return frame->address;
}

static size_t
walk(const struct sample_record *sample, uint64_t *ret_pc)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;

	unwinder_walk(unwinder, &sample->registers, &sample->stack, collector_look_up, &sampled, frames,
		      &count);
	for (size_t i = 0; ret_pc && i < count; i++)
		ret_pc[i] = absolute(&frames[i]);
	return count;
}

static size_t
walk_together(const struct sample_record *const *samples, size_t count)
{
	static struct frame frames[BENCH_TOGETHER][UNWIND_MAX_FRAMES + 28];
	struct unwind_job jobs[BENCH_TOGETHER];
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		jobs[i] = (struct unwind_job){
			.registers = &samples[i]->registers,
			.stack = &samples[i]->stack,
			.context = &sampled,
			.space = process_space(sampled.process),
			.frames = frames[i],
		};
	unwinder_walk_together(unwinder, collector_look_up, jobs, count);
	for (size_t i = 0; i < count; i++)
		sum += jobs[i].count;
	return sum;
}

const struct engine engine_ours = {"ours", prepare, walk, walk_together};
