/* The present state as sideband records: what a journal holds after its history was forgotten. Same layouts
 * as worker/perf/record.c decodes. */

#include "worker/process/processes.h"

#include "worker/process/journal.h"
#include "worker/process/processes_state.h"

#include <linux/perf_event.h>
#include <string.h>

struct trailer {
	uint32_t pid, tid;
	uint64_t time;
};

struct comm_bytes {
	struct perf_event_header header;
	uint32_t pid, tid;
	char name[NAME_BYTES];
	struct trailer trailer;
};
_Static_assert(sizeof(struct comm_bytes) == 48, "as in the ring");

struct exit_bytes {
	struct perf_event_header header;
	uint32_t pid, parent_pid, tid, parent_tid;
	uint64_t time;
	struct trailer trailer;
};
_Static_assert(sizeof(struct exit_bytes) == 48, "as in the ring");

/* PERF_RECORD_MMAP2 up to its path. */
struct mmap_bytes {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t start, length, offset;
	union {
		struct {
			uint8_t size, reserved[3];
			uint8_t bytes[MAX_BUILD_ID];
		} build_id;
		struct {
			uint32_t major, minor;
			uint64_t inode, generation;
		} file;
	};
	uint32_t protection, flags;
};
_Static_assert(sizeof(struct mmap_bytes) == 72, "as in the ring");

static int
write_name(struct journal *journal, uint32_t pid, const struct thread *thread, uint16_t misc)
{
	struct comm_bytes record = {
		.header = {.type = PERF_RECORD_COMM, .misc = misc, .size = sizeof(record)},
		.pid = pid,
		.tid = thread ? thread->tid : pid,
	};

	if (thread)
		memcpy(record.name, thread->name, NAME_BYTES);
	return journal_append(journal, (const uint8_t *)&record, sizeof(record));
}

static int
write_mapping(struct journal *journal, uint32_t pid, const struct mapping *mapping,
	      const struct mapped_file *file)
{
	_Alignas(8) uint8_t bytes[SIDEBAND_MAX_BYTES] = {0};
	size_t path_bytes = (strlen(file->path) + 8) & ~(size_t)7; /* terminated and padded */
	size_t size = sizeof(struct mmap_bytes) + path_bytes + sizeof(struct trailer);
	struct mmap_bytes record = {
		.header = {.type = PERF_RECORD_MMAP2, .size = (uint16_t)size},
		.pid = pid,
		.tid = pid,
		.start = mapping->start,
		.length = mapping->end - mapping->start,
		.offset = mapping->offset,
		.protection = 4, /* PROT_EXEC: nothing else is kept */
	};

	if (file->is_build_id_from_kernel) {
		record.header.misc = PERF_RECORD_MISC_MMAP_BUILD_ID;
		record.build_id.size = (uint8_t)file->build_id_size;
		memcpy(record.build_id.bytes, file->build_id, file->build_id_size);
	} else {
		record.file.major = file->device_major;
		record.file.minor = file->device_minor;
		record.file.inode = file->inode;
	}
	memcpy(bytes, &record, sizeof(record));
	memcpy(bytes + sizeof(record), file->path, strlen(file->path));
	return journal_append(journal, bytes, size);
}

/* Who owns a mapping is not written: after a compaction and a death, code that a parent made before its fork
 * is looked for in the child's own map.
 * The executable's mapping comes first: that is how processes_apply() recognises it. */
static int
write_mappings(const struct processes *processes, const struct process *process, struct journal *journal)
{
	int result = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; result == 0 && i < process->mapping_count; i++) {
			const struct mapping *mapping = &process->mappings[i];
			bool is_executable = mapping->file == process->executable;

			if (is_executable == (pass == 0))
				result = write_mapping(journal, process->pid, mapping,
						       mapped_files_get(processes->files, mapping->file));
		}
	}
	return result;
}

static int
write_leader_exit(struct journal *journal, uint32_t pid)
{
	struct exit_bytes record = {
		.header = {.type = PERF_RECORD_EXIT, .size = sizeof(record)},
		.pid = pid,
		.tid = pid,
	};

	return journal_append(journal, (const uint8_t *)&record, sizeof(record));
}

static int
write_process(const struct processes *processes, const struct process *process, struct journal *journal)
{
	const struct thread *leader = NULL;

	HASH_FIND(hh, process->threads, &process->pid, sizeof(process->pid), leader);
	int result = write_name(journal, process->pid, leader, PERF_RECORD_MISC_COMM_EXEC);
	if (result == 0)
		result = write_mappings(processes, process, journal);
	for (const struct thread *thread = process->threads; thread && result == 0; thread = thread->hh.next)
		result = write_name(journal, process->pid, thread, 0);
	if (result == 0 && process->is_leader_gone)
		result = write_leader_exit(journal, process->pid);
	return result;
}

int
processes_write_to(const struct processes *processes, struct journal *journal)
{
	int result = 0;

	for (const struct process *process = processes->by_pid; process && result == 0;
	     process = process->hh.next)
		result = write_process(processes, process, journal);
	return result;
}
