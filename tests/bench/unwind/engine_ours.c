/* Our unwinder as the worker uses it, without what comes before and after. */

#include "tests/bench/unwind/input.h"

#include "worker/unwind/unwind.h"

#include <errno.h>

static const struct bench_input *input;
static struct unwinder *unwinder;

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct mapping *mapping = process_mapping_at(input->process, pc);
	struct mapped_file *file = mapping ? mapped_files_get(input->files, mapping->file) : NULL;

	(void)context;
	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (!file)
		return;
	ret->file = file->number;
	mapped_files_open(input->files, file, input->pid);
	ret->kind = file->state == MAPPED_FILE_ANONYMOUS ? CODE_ANONYMOUS : CODE_UNREADABLE;
	if (file->state != MAPPED_FILE_OPEN)
		return;
	if (!mapping->is_located)
		mapping->is_located =
			elf_image_address_of_offset(file->image, mapping->offset, &mapping->address);
	ret->kind = CODE_MODULE;
	ret->address = mapping->address + (pc - mapping->start);
	ret->module = file->module;
}

static int
prepare(const struct bench_input *given)
{
	input = given;
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

	unwinder_walk(unwinder, &sample->registers, &sample->stack, lookup, NULL, frames, &count);
	for (size_t i = 0; ret_pc && i < count; i++)
		ret_pc[i] = absolute(&frames[i]);
	return count;
}

const struct engine engine_ours = {"ours", prepare, walk};
