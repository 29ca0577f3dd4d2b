/* Walks stacks in the address space of the process that was sampled, and turns frames into the profile's. */

#include "worker/collect/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

/* One number names file and segment; where one ends, so does the range. */
static void
add_segment(struct code_place *place, const struct elf_image *image, uint64_t bias)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);

	for (size_t i = 0; i < count && i <= COLLECTOR_SEGMENT_MASK; i++) {
		uint64_t start = segments[i].address + bias, end = start + segments[i].memory_size;

		if (place->address - segments[i].address >= segments[i].memory_size)
			continue;
		place->file |= (uint32_t)i;
		if (end - place->start < place->size)
			place->size = end - place->start;
		if (place->start < start) {
			place->size -= start - place->start;
			place->start = start;
		}
		return;
	}
	place->size = 0; /* what the page holds besides: its neighbours may be in a segment */
}

static bool
locate(struct mapping *mapping, const struct elf_image *image)
{
	if (!mapping->is_located)
		mapping->is_located = elf_image_address_of_offset(image, mapping->offset, &mapping->address);
	return mapping->is_located;
}

void
collector_look_up(void *context, uint64_t pc, struct code_place *ret)
{
	struct sampled_process *sampled = context;
	struct mapped_files *files = sampled->collector->files;
	struct mapping *mapping = process_mapping_at(sampled->process, pc);
	struct mapped_file *file = mapping ? mapped_files_get(files, mapping->file) : NULL;

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (!file)
		return;
	ret->start = mapping->start;
	ret->size = mapping->end - mapping->start;
	ret->file = file->number << COLLECTOR_SEGMENT_BITS;
	mapped_files_open(files, file, process_pid(sampled->process));
	if (file->state == MAPPED_FILE_ANONYMOUS) {
		ret->kind = CODE_ANONYMOUS;
		return;
	}
	ret->kind = CODE_UNREADABLE;
	if (file->state != MAPPED_FILE_OPEN || !locate(mapping, file->image))
		return;
	uint64_t bias = mapping->start - mapping->address;
	ret->kind = CODE_MODULE;
	ret->address = pc - bias;
	ret->module = file->module;
	add_segment(ret, file->image, bias);
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static struct profile_frame
pseudo_frame(struct collector *collector, const char *function, const char *filename)
{
	return (struct profile_frame){.address =
					      profile_pseudo_frame(collector->profile, function, filename)};
}

static struct profile_frame
anonymous_frame(struct collector *collector, struct process *process, uint64_t address)
{
	const struct mapping *mapping =
		collector->keeps_jit_addresses ? process_mapping_at(process, address) : NULL;
	uint32_t space;

	if (!mapping || jit_spaces_put(&collector->jit_spaces, mapping->owner, address, &space) < 0)
		return (struct profile_frame){.address = collector->known.anonymous};
	return (struct profile_frame){.mapping = COLLECTOR_JIT_MAPPINGS + space, .address = address};
}

/* Its addresses are those of one more process that makes its code itself. Of callers, the call is meant. */
static size_t
add_kernel_frames(struct collector *collector, const struct sample_record *sample,
		  struct profile_frame *ret_frames)
{
	size_t count = 0;
	uint32_t space;

	for (size_t i = 0; collector->kernel_offset && i < sample->kernel_chain_count; i++) {
		uint64_t address = sample->kernel_chain[i] - (i > 0) + collector->kernel_offset;

		if (jit_spaces_put(&collector->jit_spaces, JIT_PID_OF_KERNEL, address, &space) < 0)
			break;
		ret_frames[count++] = (struct profile_frame){COLLECTOR_JIT_MAPPINGS + space, address};
	}
	ret_frames[count++] = (struct profile_frame){.address = collector->known.kernel};
	return count;
}

static struct profile_frame
profile_frame_of(struct collector *collector, struct process *process, const struct frame *frame)
{
	const struct mapped_file *file;
	char text[48];

	switch (frame->kind) {
	case CODE_LEFT_OUT:
		snprintf(text, sizeof(text), "[truncated %llu frames]", (unsigned long long)frame->address);
		return pseudo_frame(collector, text, "");
	case CODE_MODULE:
		return (struct profile_frame){.mapping = frame->file, .address = frame->address};
	case CODE_ANONYMOUS:
		return anonymous_frame(collector, process, frame->address);
	case CODE_UNREADABLE:
		file = mapped_files_get(collector->files, frame->file >> COLLECTOR_SEGMENT_BITS);
		return pseudo_frame(collector, base_name(file->path), file->path);
	default:
		return (struct profile_frame){.address = collector->known.unknown_mapping};
	}
}

#define PAGE_MASK 4095ull

static bool
describe_jit_space(const struct collector *collector, uint32_t number, struct profile_mapping *ret)
{
	const struct jit_space *space = jit_spaces_get(&collector->jit_spaces, number);

	if (!space)
		return false;
	*ret = (struct profile_mapping){
		.memory_start = space->start & ~PAGE_MASK,
		.memory_limit = (space->limit + PAGE_MASK) & ~PAGE_MASK,
		.path = space->name,
		.build_id = "",
	};
	return true;
}

static bool
describe_mapping(void *context, uint32_t number, struct profile_mapping *ret)
{
	struct collector *collector = context;
	const struct mapped_file *file = mapped_files_get(collector->files, number >> COLLECTOR_SEGMENT_BITS);
	const struct elf_segment *segments;

	if (number >= COLLECTOR_JIT_MAPPINGS)
		return describe_jit_space(collector, number - COLLECTOR_JIT_MAPPINGS, ret);
	if (!file || file->state != MAPPED_FILE_OPEN ||
	    (number & COLLECTOR_SEGMENT_MASK) >= elf_image_segments(file->image, &segments))
		return false;
	const struct elf_segment *segment = &segments[number & COLLECTOR_SEGMENT_MASK];
	*ret = (struct profile_mapping){
		.memory_start = segment->address & ~PAGE_MASK,
		.memory_limit = (segment->address + segment->memory_size + PAGE_MASK) & ~PAGE_MASK,
		.file_offset = segment->offset & ~PAGE_MASK,
		.path = file->path,
		.build_id = file->build_id_hex,
	};
	return true;
}

/* ---- samples ---- */

/* What a stack that did not reach its root shows in its place; the names are Datadog's. */
static const char *const end_frame[UNWIND_END_COUNT] = {
	[END_ROOT] = NULL,
	[END_COPY_SHORT] = "[incomplete]",
	[END_UNMAPPED] = "[unknown mapping]",
	[END_UNREADABLE] = "[unwind failure]",
	[END_BAD_CFI] = "[unwind failure]",
	[END_DEPTH] = NULL, /* its root is there; the frame for those left out says what is not */
	[END_OTHER_STACK] = "[incomplete]",
};
_Static_assert(UNWIND_END_COUNT == ENDINGS, "the ledger counts every ending");

static struct profile_frame
executable_frame(struct collector *collector, uint32_t executable, uint32_t pid)
{
	const struct mapped_file *file = mapped_files_get(collector->files, executable);
	char unknown[32];

	if (file)
		return pseudo_frame(collector, base_name(file->path), file->path);
	snprintf(unknown, sizeof(unknown), "pid_%u", pid);
	return pseudo_frame(collector, unknown, "");
}

/* The same, mostly known. */
static struct profile_frame
find_executable_frame(struct collector *collector, uint32_t executable, uint32_t pid)
{
	const size_t slots = sizeof(collector->known.executable) / sizeof(collector->known.executable[0]);
	size_t slot = executable % slots;
	struct profile_frame frame;

	if (executable && collector->known.executable[slot].file == executable)
		return (struct profile_frame){.address = collector->known.executable[slot].frame};
	frame = executable_frame(collector, executable, pid);
	if (executable && frame.address) {
		collector->known.executable[slot].file = executable;
		collector->known.executable[slot].frame = frame.address;
	}
	return frame;
}

static int
name_pseudo_frames(struct profile *profile, struct known_pseudo_frames *ret)
{
	bool is_complete = true;

	ret->anonymous = profile_pseudo_frame(profile, "[anonymous]", "Anonymous");
	ret->unknown_mapping = profile_pseudo_frame(profile, "[unknown mapping]", "");
	ret->kernel = profile_pseudo_frame(profile, "[kernel]", "");
	for (size_t i = 0; i < UNWIND_END_COUNT; i++)
		if (end_frame[i]) {
			ret->end[i] = profile_pseudo_frame(profile, end_frame[i], "");
			is_complete = is_complete && ret->end[i];
		}
	return is_complete && ret->anonymous && ret->unknown_mapping && ret->kernel ? 0 : -ENOMEM;
}

static void
store(struct collector *collector, const struct profile_sample *sample)
{
	if (profile_add(collector->profile, sample) < 0)
		collector->ledger.unstored += (uint64_t)sample->count;
}

static void
add_stack(struct collector *collector, const struct sample_record *sample, struct process *process,
	  const struct frame *frames, size_t count, enum unwind_end end)
{
	static struct profile_frame shown[UNWIND_MAX_FRAMES + SAMPLE_CHAIN_MAX + 3];
	size_t shown_count = 0;

	if (sample->in_kernel)
		shown_count = add_kernel_frames(collector, sample, shown);
	for (size_t i = 0; i < count; i++)
		shown[shown_count++] = profile_frame_of(collector, process, &frames[i]);
	if (end_frame[end] && !(end == END_UNMAPPED && count > 0 && frames[count - 1].kind == CODE_UNMAPPED))
		shown[shown_count++] = (struct profile_frame){.address = collector->known.end[end]};
	shown[shown_count++] = find_executable_frame(collector, process_executable(process), sample->pid);

	collector->ledger.samples++;
	collector->ledger.ending[end]++;
	file_endings_add(&collector->endings,
			 count > 0 ? frames[count - 1].file >> COLLECTOR_SEGMENT_BITS : 0, end);
	collector->ledger.cpu_time_ns += sample->period_ns;
	collector->ledger.frames += count;
	collector->ledger.stack_bytes += sample->stack.size;
	store(collector, &(struct profile_sample){
				 .frames = shown,
				 .frame_count = shown_count,
				 .pid = sample->pid,
				 .tid = sample->tid,
				 .process_name = process_name(process),
				 .thread_name = process_thread_name(process, sample->tid),
				 .cpu_time_ns = (int64_t)sample->period_ns,
				 .count = 1,
			 });
}

/* Frames of the samples of one call; the gap keeps them from sharing sets of the processor's cache. */
static struct frame frames_of[COLLECTOR_SAMPLES_MAX][UNWIND_MAX_FRAMES + 28];

void
collector_add_samples(struct collector *collector, const struct sample_record *samples, size_t count)
{
	struct sampled_process sampled[COLLECTOR_SAMPLES_MAX];
	struct unwind_job jobs[COLLECTOR_SAMPLES_MAX];
	size_t walks = 0, next_walk = 0;

	for (size_t i = 0; i < count; i++) {
		sampled[i] = (struct sampled_process){
			.collector = collector,
			.process = processes_get(collector->processes, samples[i].pid),
		};
		if (sampled[i].process && samples[i].has_registers)
			jobs[walks++] = (struct unwind_job){
				.registers = &samples[i].registers,
				.stack = &samples[i].stack,
				.context = &sampled[i],
				.space = process_space(sampled[i].process),
				.frames = frames_of[i],
			};
	}
	unwinder_walk_together(collector->unwinder, collector_look_up, jobs, walks);
	for (size_t i = 0; i < count; i++) {
		struct chain_walk walk = {
			.unwinder = collector->unwinder,
			.lookup = collector_look_up,
			.context = &sampled[i],
			.frames = frames_of[i],
		};
		enum unwind_end end;

		if (!sampled[i].process) {
			collector->ledger.unstored++;
			collector->ledger.cpu_time_ns += samples[i].period_ns;
			continue;
		}
		walk.program = process_executable(sampled[i].process);
		if (samples[i].has_registers) {
			const struct unwind_job *job = &jobs[next_walk++];

			walk.count = job->count;
			end = sample_walk_on(&collector->walker, &samples[i], &walk, job->end, &job->stop);
		} else {
			end = sample_walk(&collector->walker, &samples[i], &walk);
		}
		add_stack(collector, &samples[i], sampled[i].process, walk.frames, walk.count, end);
	}
}

static void
add_without_stack(struct collector *collector, const struct session_target *target, const char *name,
		  uint64_t cpu_time_ns, uint64_t count)
{
	if (cpu_time_ns == 0)
		return;
	struct profile_frame frames[2] = {pseudo_frame(collector, name, ""),
					  executable_frame(collector, target->executable, target->pid)};
	store(collector, &(struct profile_sample){
				 .frames = frames,
				 .frame_count = 2,
				 .pid = target->pid,
				 .tid = target->pid,
				 .process_name = target->name,
				 .thread_name = target->name,
				 .cpu_time_ns = (int64_t)cpu_time_ns,
				 .count = (int64_t)count,
			 });
}

void
collector_add_without_stacks(struct collector *collector, const struct session_target *target,
			     uint64_t period_ns)
{
	const struct ledger *ledger = &collector->ledger;
	const struct {
		const char *name;
		uint64_t cpu_time_ns;
	} parts[] = {
		{"[lost]", ledger->lost * period_ns},
		{"[kernel]", ledger->in_kernel_ns},
		{"[unsampled]", ledger->unsampled_ns},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		add_without_stack(collector, target, parts[i].name, parts[i].cpu_time_ns,
				  (parts[i].cpu_time_ns + period_ns / 2) / period_ns);
}

int
collector_write(struct collector *collector, const struct profile_header *header, int fd)
{
	return profile_write(collector->profile, header, describe_mapping, collector, fd);
}

void
collector_clear(struct collector *collector)
{
	profile_clear(collector->profile);
	file_endings_clear(&collector->endings);
	jit_spaces_clear(&collector->jit_spaces);
	collector->ledger = (struct ledger){0};
}

/* ---- life ---- */

int
collector_init(struct collector *ret, mapped_file_open *open_file, void *context, size_t profile_memory_bytes)
{
	*ret = (struct collector){.files = mapped_files_new(open_file, context)};
	ret->processes = ret->files ? processes_new(ret->files) : NULL;
	ret->unwinder = unwinder_new();
	ret->profile = profile_new(profile_memory_bytes);
	jit_spaces_init(&ret->jit_spaces);
	if (ret->processes && ret->unwinder && ret->profile &&
	    name_pseudo_frames(ret->profile, &ret->known) == 0)
		return 0;
	collector_destroy(ret);
	return -ENOMEM;
}

void
collector_destroy(struct collector *collector)
{
	file_endings_clear(&collector->endings);
	jit_spaces_clear(&collector->jit_spaces);
	profile_free(collector->profile);
	unwinder_free(collector->unwinder);
	processes_free(collector->processes);
	mapped_files_free(collector->files);
	*collector = (struct collector){0};
}
