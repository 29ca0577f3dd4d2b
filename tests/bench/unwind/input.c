/* Reads the recording twice: for the pid with most samples, and for what belongs to it. */

#include "tests/bench/unwind/input.h"

#include "worker/replay/files.h"
#include "worker/replay/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIDS 65536 /* hashed; a rare collision only chooses badly */
#define MODULES_MAX 4096

static __attribute__((noreturn)) void
give_up(const char *reason)
{
	fprintf(stderr, "unwind_bench: %s\n", reason);
	exit(1);
}

static struct recording *
open_recording(const char *path)
{
	struct recording *recording;
	const char *reason;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		give_up(strerror(errno));
	if (recording_open(fd, &recording, &reason) < 0)
		give_up(reason);
	return recording;
}

static uint32_t
busiest(const char *path)
{
	static uint32_t counts[PIDS];
	static struct recorded record;
	struct recording *recording = open_recording(path);
	uint32_t best = 0;

	while (recording_next(recording, &record) != 0)
		if (record.kind == RECORDED_SAMPLE && record.sample.has_registers &&
		    ++counts[record.sample.pid % PIDS] > counts[best % PIDS])
			best = record.sample.pid;
	recording_free(recording);
	return best;
}

static void
keep_sample(struct bench_input *input, const struct sample_record *sample)
{
	struct sample_record *kept = &input->samples[input->sample_count++];
	uint8_t *bytes = aligned_alloc(64, (sample->stack.size + 63) & ~63ull);

	if (!bytes)
		give_up("out of memory");
	*kept = *sample;
	memcpy(bytes, sample->stack.bytes + sample->stack.at, sample->stack.size);
	kept->stack.bytes = bytes;
	kept->stack.at = 0;
}

static void
keep_module(struct bench_input *input, const struct mmap_record *record)
{
	struct mapping *mapping = process_mapping_at(input->process, record->start);
	struct mapped_file *file = mapping ? mapped_files_get(input->files, mapping->file) : NULL;
	uint64_t address;

	if (!file || input->module_count == MODULES_MAX)
		return;
	mapped_files_open(input->files, file, input->pid);
	if (file->state != MAPPED_FILE_OPEN ||
	    !elf_image_address_of_offset(file->image, mapping->offset, &address))
		return;
	input->modules[input->module_count++] = (struct bench_module){
		.start = record->start,
		.end = record->start + record->length,
		.bias = record->start - address,
		.path = file->path,
		.fd = file->fd,
	};
}

static void
follow(struct bench_input *input, const struct sideband_record *record)
{
	bool is_ours = record->type == PERF_RECORD_MMAP2 && record->mmap.pid == input->pid;

	if (record->type == PERF_RECORD_EXIT) /* its address space is still wanted */
		return;
	(void)processes_apply(input->processes, record);
	if (record->type == PERF_RECORD_COMM && record->comm.is_exec && record->comm.pid == input->pid)
		input->module_count = 0;
	input->process = processes_get(input->processes, input->pid);
	if (is_ours && record->mmap.is_executable)
		keep_module(input, &record->mmap);
}

void
bench_input_read(const char *path, size_t samples_max, struct bench_input *ret)
{
	static struct replay_files files = {.root = "", .max_open = 512};
	static struct recorded record;
	struct bench_input input = {.pid = busiest(path)};
	struct recording *recording = open_recording(path);

	input.samples = calloc(samples_max, sizeof(*input.samples));
	input.modules = calloc(MODULES_MAX, sizeof(*input.modules));
	input.files = mapped_files_new(replay_files_open, &files);
	input.processes = input.files ? processes_new(input.files) : NULL;
	if (!input.samples || !input.modules || !input.processes)
		give_up("out of memory");
	while (recording_next(recording, &record) != 0) {
		bool is_wanted = record.kind == RECORDED_SAMPLE && record.sample.pid == input.pid &&
				 record.sample.has_registers && input.sample_count < samples_max;

		if (is_wanted)
			keep_sample(&input, &record.sample);
		else if (record.kind == RECORDED_SIDEBAND)
			follow(&input, &record.sideband);
	}
	recording_free(recording);
	if (input.sample_count == 0)
		give_up("no sample with a copied stack");
	*ret = input;
}
