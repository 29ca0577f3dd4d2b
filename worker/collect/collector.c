/* Walks stacks in the address space of the process that was sampled, and turns frames into the profile's. */

#include "worker/collect/collector.h"

#include "worker/unwind/unwind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file's executable segments are numbered within the file, so that one mapping number names both. */
#define SEGMENT_BITS 4
#define SEGMENT_MASK ((1u << SEGMENT_BITS) - 1)

/* ---- addresses ---- */

/* What is mapped at pc, and how far that answer reaches. */
static void
look_up_mapping(struct collector *collector, uint64_t pc, struct recent_code *ret)
{
	struct mapping *mapping = process_mapping_at(collector->sampled, pc);
	struct mapped_file *file = mapping ? mapped_files_get(collector->files, mapping->file) : NULL;

	*ret = (struct recent_code){.place.kind = CODE_UNMAPPED};
	if (!file)
		return;
	ret->start = mapping->start;
	ret->size = mapping->end - mapping->start;
	ret->place.file = file->number;
	mapped_files_open(collector->files, file, process_pid(collector->sampled));
	if (file->state == MAPPED_FILE_ANONYMOUS) {
		ret->place.kind = CODE_ANONYMOUS;
		return;
	}
	ret->place.kind = CODE_UNREADABLE;
	if (file->state != MAPPED_FILE_OPEN)
		return;
	if (!mapping->is_located) {
		if (!elf_image_address_of_offset(file->image, mapping->offset, &mapping->address))
			return;
		mapping->is_located = true;
	}
	ret->place.kind = CODE_MODULE;
	ret->bias = mapping->start - mapping->address;
	ret->place.module = file->module;
}

/* Most frames are in the same file as the one before. */
void
collector_look_up(void *context, uint64_t pc, struct code_place *ret)
{
	struct collector *collector = context;

	if (__builtin_expect(pc - collector->recent.start >= collector->recent.size, 0))
		look_up_mapping(collector, pc, &collector->recent);
	*ret = collector->recent.place;
	ret->address = pc - collector->recent.bias;
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

static uint32_t
segment_of(const struct elf_image *image, uint64_t address)
{
	const struct elf_segment *segments;
	size_t count = elf_image_segments(image, &segments);

	for (size_t i = 0; i < count && i <= SEGMENT_MASK; i++)
		if (address - segments[i].address < segments[i].memory_size)
			return (uint32_t)i;
	return 0;
}

static struct profile_frame
profile_frame_of(struct collector *collector, const struct frame *frame)
{
	const struct mapped_file *file = mapped_files_get(collector->files, frame->file);
	char text[48];

	switch (frame->kind) {
	case CODE_LEFT_OUT:
		snprintf(text, sizeof(text), "[truncated %llu frames]", (unsigned long long)frame->address);
		return pseudo_frame(collector, text, "");
	case CODE_MODULE:
		return (struct profile_frame){
			.mapping = file->number << SEGMENT_BITS | segment_of(file->image, frame->address),
			.address = frame->address,
		};
	case CODE_ANONYMOUS:
		return pseudo_frame(collector, "[anonymous]", "Anonymous");
	case CODE_UNREADABLE:
		return pseudo_frame(collector, base_name(file->path), file->path);
	default:
		return pseudo_frame(collector, "[unknown mapping]", "");
	}
}

#define PAGE_MASK 4095ull
static bool
describe_mapping(void *context, uint32_t number, struct profile_mapping *ret)
{
	struct collector *collector = context;
	const struct mapped_file *file = mapped_files_get(collector->files, number >> SEGMENT_BITS);
	const struct elf_segment *segments;

	if (!file || file->state != MAPPED_FILE_OPEN ||
	    (number & SEGMENT_MASK) >= elf_image_segments(file->image, &segments))
		return false;
	const struct elf_segment *segment = &segments[number & SEGMENT_MASK];
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

static void
store(struct collector *collector, const struct profile_sample *sample)
{
	if (profile_add(collector->profile, sample) < 0)
		collector->ledger.unstored += (uint64_t)sample->count;
}

static enum unwind_end
find_frames(struct collector *collector, const struct sample_record *sample, struct frame *ret_frames,
	    size_t *ret_count)
{
	struct chain_walk walk = {
		.unwinder = collector->unwinder,
		.lookup = collector_look_up,
		.context = collector,
		.program = process_executable(collector->sampled),
		.frames = ret_frames,
	};
	enum unwind_end end = sample_walk(&collector->walker, sample, &walk);

	*ret_count = walk.count;
	return end;
}

void
collector_add_sample(struct collector *collector, const struct sample_record *sample)
{
	static struct frame frames[UNWIND_MAX_FRAMES];
	static struct profile_frame shown[UNWIND_MAX_FRAMES + 3];
	size_t count = 0, shown_count = 0;

	collector->sampled = processes_get(collector->processes, sample->pid);
	if (!collector->sampled) {
		collector->ledger.unstored++;
		return;
	}
	collector->recent.size = 0; /* of another process, or before something was mapped */
	enum unwind_end end = find_frames(collector, sample, frames, &count);
	if (sample->in_kernel)
		shown[shown_count++] = pseudo_frame(collector, "[kernel]", "");
	for (size_t i = 0; i < count; i++)
		shown[shown_count++] = profile_frame_of(collector, &frames[i]);
	if (end_frame[end] && !(end == END_UNMAPPED && count > 0 && frames[count - 1].kind == CODE_UNMAPPED))
		shown[shown_count++] = pseudo_frame(collector, end_frame[end], "");
	shown[shown_count++] =
		executable_frame(collector, process_executable(collector->sampled), sample->pid);

	collector->ledger.samples++;
	collector->ledger.ending[end]++;
	file_endings_add(&collector->endings, count > 0 ? frames[count - 1].file : 0, end);
	collector->ledger.cpu_time_ns += sample->period_ns;
	store(collector, &(struct profile_sample){
				 .frames = shown,
				 .frame_count = shown_count,
				 .pid = sample->pid,
				 .tid = sample->tid,
				 .process_name = process_name(collector->sampled),
				 .thread_name = process_thread_name(collector->sampled, sample->tid),
				 .cpu_time_ns = (int64_t)sample->period_ns,
				 .count = 1,
			 });
}

void
collector_add_lost(struct collector *collector, uint32_t pid, uint32_t executable, const char *name,
		   uint64_t period_ns)
{
	if (collector->ledger.lost == 0)
		return;
	struct profile_frame frames[2] = {pseudo_frame(collector, "[lost]", ""),
					  executable_frame(collector, executable, pid)};
	store(collector, &(struct profile_sample){
				 .frames = frames,
				 .frame_count = 2,
				 .pid = pid,
				 .tid = pid,
				 .process_name = name,
				 .thread_name = name,
				 .cpu_time_ns = (int64_t)(collector->ledger.lost * period_ns),
				 .count = (int64_t)collector->ledger.lost,
			 });
}

int
collector_write(struct collector *collector, const struct profile_header *header, int fd)
{
	return profile_write(collector->profile, header, describe_mapping, collector, fd);
}

/* ---- life ---- */

int
collector_init(struct collector *ret, mapped_file_open *open_file, void *context, size_t profile_memory_bytes)
{
	*ret = (struct collector){.files = mapped_files_new(open_file, context)};
	ret->processes = ret->files ? processes_new(ret->files) : NULL;
	ret->unwinder = unwinder_new();
	ret->profile = profile_new(profile_memory_bytes);
	if (ret->processes && ret->unwinder && ret->profile)
		return 0;
	collector_destroy(ret);
	return -ENOMEM;
}

void
collector_destroy(struct collector *collector)
{
	file_endings_clear(&collector->endings);
	profile_free(collector->profile);
	unwinder_free(collector->unwinder);
	processes_free(collector->processes);
	mapped_files_free(collector->files);
	*collector = (struct collector){0};
}
