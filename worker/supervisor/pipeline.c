/* A short queue of profiles with a stage each; only its oldest member at a stage is ever in a role. */

#include "worker/supervisor/pipeline.h"

#include "ipc/endings.h"
#include "ipc/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOLIZE_TIMEOUT_MS 60000
#define WRITE_TIMEOUT_MS 30000
#define WRITE_ATTEMPTS 2

enum stage {
	STAGE_SYMBOLIZE,
	STAGE_IN_SYMBOLIZER,
	STAGE_WRITE,
	STAGE_IN_EXPORTER,
};

struct entry {
	enum stage stage;
	unsigned attempts; /* at writing */
	struct profile_message head;
	int fd;
};

struct pipeline {
	struct self_measure *measure;
	size_t count;
	struct entry entry[PIPELINE_MAX]; /* oldest first */
	struct summary_message summary;
};

struct pipeline *
pipeline_new(struct self_measure *measure)
{
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (pipeline)
		pipeline->measure = measure;
	return pipeline;
}

void
pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	for (size_t i = 0; i < pipeline->count; i++)
		close_fd(&pipeline->entry[i].fd);
	free(pipeline);
}

static void
remove_entry(struct pipeline *pipeline, struct entry *entry)
{
	size_t index = (size_t)(entry - pipeline->entry);

	close_fd(&entry->fd);
	pipeline->count--;
	memmove(entry, entry + 1, (pipeline->count - index) * sizeof(*entry));
}

static void
fail_entry(struct pipeline *pipeline, struct entry *entry, int error)
{
	pipeline->summary.failed_writes++;
	pipeline->summary.write_error = error;
	remove_entry(pipeline, entry);
}

static void
add_ledger(struct ledger *sum, const struct ledger *part)
{
	sum->samples += part->samples;
	sum->lost += part->lost;
	sum->malformed += part->malformed;
	sum->unstored += part->unstored;
	sum->sideband_lost += part->sideband_lost;
	sum->restarts += part->restarts;
	for (size_t i = 0; i < ENDINGS; i++)
		sum->ending[i] += part->ending[i];
	for (size_t i = 0; i < SAMPLING_LEVELS; i++)
		sum->level[i] += part->level[i];
	sum->cpu_time_ns += part->cpu_time_ns;
	sum->kernel_count_ns += part->kernel_count_ns;
	sum->records += part->records;
	sum->unwind_ns += part->unwind_ns;
	sum->frames += part->frames;
	sum->stack_bytes += part->stack_bytes;
}

/* What is in a role is not dropped: its answer is on the way. */
static void
drop_oldest(struct pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->count; i++) {
		enum stage stage = pipeline->entry[i].stage;

		if (stage == STAGE_IN_SYMBOLIZER || stage == STAGE_IN_EXPORTER)
			continue;
		fail_entry(pipeline, &pipeline->entry[i], ENOBUFS);
		return;
	}
}

void
pipeline_add(struct pipeline *pipeline, const struct profile_message *head, int fd)
{
	if (pipeline->count == PIPELINE_MAX) /* at most two are in a role */
		drop_oldest(pipeline);
	pipeline->entry[pipeline->count++] =
		(struct entry){.stage = STAGE_SYMBOLIZE, .head = *head, .fd = fd};
	add_ledger(&pipeline->summary.ledger, &head->ledger);
	for (size_t i = 0; i < ENDING_MODULES && head->module[i].name[0]; i++)
		endings_add_module(pipeline->summary.module, &head->module[i]);
}

static struct entry *
first_at(struct pipeline *pipeline, enum stage stage)
{
	for (size_t i = 0; i < pipeline->count; i++)
		if (pipeline->entry[i].stage == stage)
			return &pipeline->entry[i];
	return NULL;
}

/* Sends one entry to an idle role. A failed send is a dying role: its death will be noticed, and nothing
 * was attempted. */
static bool
hand_to(struct entry *entry, struct role_process *role, enum stage next, int64_t deadline_ms)
{
	if (channel_send(role->control, MESSAGE_PROFILE, &entry->head, sizeof(entry->head), &entry->fd, 1) <
	    0)
		return false;
	entry->stage = next;
	role->deadline_ms = deadline_ms;
	return true;
}

/* Once, and late: what naming this profile took is in it. */
static void
measure(struct pipeline *pipeline, struct entry *entry)
{
	if (pipeline->measure && entry->head.self.wall_ns == 0)
		self_measure_period(pipeline->measure, &entry->head.self);
}

void
pipeline_advance(struct pipeline *pipeline, struct role_process *symbolizer, struct role_process *exporter,
		 int64_t now_ms)
{
	struct entry *entry = first_at(pipeline, STAGE_SYMBOLIZE);

	for (; entry && symbolizer->is_given_up; entry = first_at(pipeline, STAGE_SYMBOLIZE))
		entry->stage = STAGE_WRITE; /* addresses and build ids are better than nothing */
	if (entry && symbolizer->is_ready && !first_at(pipeline, STAGE_IN_SYMBOLIZER))
		(void)hand_to(entry, symbolizer, STAGE_IN_SYMBOLIZER, now_ms + SYMBOLIZE_TIMEOUT_MS);

	entry = first_at(pipeline, STAGE_WRITE);
	for (; entry && exporter->is_given_up; entry = first_at(pipeline, STAGE_WRITE))
		fail_entry(pipeline, entry, EPIPE);
	if (entry && exporter->is_ready && !first_at(pipeline, STAGE_IN_EXPORTER)) {
		measure(pipeline, entry);
		if (hand_to(entry, exporter, STAGE_IN_EXPORTER, now_ms + WRITE_TIMEOUT_MS))
			entry->attempts++;
	}
}

int
pipeline_symbolised(struct pipeline *pipeline, struct role_process *symbolizer, int fd)
{
	struct entry *entry = first_at(pipeline, STAGE_IN_SYMBOLIZER);

	if (!entry) {
		close_fd(&fd);
		return -EBADMSG;
	}
	close_fd(&entry->fd);
	entry->fd = fd;
	entry->stage = STAGE_WRITE;
	symbolizer->deadline_ms = 0;
	return 0;
}

int
pipeline_written(struct pipeline *pipeline, struct role_process *exporter,
		 const struct written_message *written)
{
	struct entry *entry = first_at(pipeline, STAGE_IN_EXPORTER);

	if (!entry || entry->head.sequence != written->sequence || !IS_TERMINATED(written->name))
		return -EBADMSG;
	exporter->deadline_ms = 0;
	if (written->error) {
		fail_entry(pipeline, entry, written->error);
		return 0;
	}
	pipeline->summary.profiles++;
	memcpy(pipeline->summary.last_name, written->name, sizeof(written->name));
	remove_entry(pipeline, entry);
	return 0;
}

void
pipeline_role_died(struct pipeline *pipeline, enum role role)
{
	struct entry *entry = role == ROLE_SYMBOLIZER ? first_at(pipeline, STAGE_IN_SYMBOLIZER)
			      : role == ROLE_EXPORTER ? first_at(pipeline, STAGE_IN_EXPORTER)
						      : NULL;

	if (!entry) /* idle, or the unwinder: what it made is ours */
		return;
	if (role == ROLE_EXPORTER && entry->attempts >= WRITE_ATTEMPTS)
		fail_entry(pipeline, entry, EPIPE);
	else
		entry->stage = STAGE_WRITE; /* without names if the symbolizer died of it */
}

bool
pipeline_is_empty(const struct pipeline *pipeline)
{
	return pipeline->count == 0;
}

const struct summary_message *
pipeline_summary(const struct pipeline *pipeline)
{
	return &pipeline->summary;
}
