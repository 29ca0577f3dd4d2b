/* Our unwinder as the worker uses it, without what comes before and after. */

#include "tests/bench/unwind/input.h"

#include "worker/collect/collector.h"

#include <errno.h>

static const struct bench_input *input;
static struct unwinder *unwinder;
static struct collector collector;

static int
prepare(const struct bench_input *given)
{
	input = given;
	collector = (struct collector){
		.files = given->files, .processes = given->processes, .sampled = given->process};
	unwinder = unwinder_new();
	return unwinder ? 0 : -ENOMEM;
}

/* Of the frame's file, wherever that is mapped. */
static uint64_t
absolute(const struct frame *frame)
{
	const struct mapped_file *file = mapped_files_get(input->files, frame->file);

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

	collector.recent.size = 0;
	unwinder_walk(unwinder, &sample->registers, &sample->stack, collector_look_up, &collector, frames,
		      &count);
	for (size_t i = 0; ret_pc && i < count; i++)
		ret_pc[i] = absolute(&frames[i]);
	return count;
}

const struct engine engine_ours = {"ours", prepare, walk};
