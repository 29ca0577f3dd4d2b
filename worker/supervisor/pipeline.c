/* A queue of profiles with a stage each, oldest first. The symbolizer has one at a time, the exporter all
 * that are past it. */

#include "worker/supervisor/pipeline.h"

#include "ipc/endings.h"
#include "ipc/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SYMBOLIZE_TIMEOUT_MS 60000

enum stage {
	STAGE_SYMBOLIZE,
	STAGE_IN_SYMBOLIZER,
	STAGE_EXPORT,
	STAGE_IN_EXPORTER,
};

struct entry {
	enum stage stage;
	uint64_t bytes;
	struct profile_message head;
	int fd;
};

struct pipeline {
	struct self_measure *measure;
	size_t count;
	uint64_t bytes;
	struct entry entry[PIPELINE_MAX + 1]; /* oldest first; one more for the moment of adding */
	uint64_t to_drop[PIPELINE_MAX];       /* what the exporter is to be told to forget */
	size_t to_drop_count;
	bool is_hurried, knows_of_hurry;
	int64_t deadline_ms;
	uint64_t told; /* messages to this exporter */
	struct ledger ledger;
	struct module_endings module[ENDING_MODULES];
	uint64_t finished, dropped;
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
	pipeline->bytes -= entry->bytes;
	pipeline->count--;
	memmove(entry, entry + 1, (pipeline->count - index) * sizeof(*entry));
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
	sum->in_kernel_ns += part->in_kernel_ns;
	sum->unsampled_ns += part->unsampled_ns;
	sum->records += part->records;
	sum->unwind_ns += part->unwind_ns;
	sum->frames += part->frames;
	sum->stack_bytes += part->stack_bytes;
}

static void
measure(struct pipeline *pipeline, struct entry *entry)
{
	struct stat status;

	pipeline->bytes -= entry->bytes;
	entry->bytes = fstat(entry->fd, &status) < 0 ? 0 : (uint64_t)status.st_size;
	pipeline->bytes += entry->bytes;
}

/* What is in the symbolizer is not dropped: its answer would be taken for another's. */
static struct entry *
oldest_droppable(struct pipeline *pipeline)
{
	for (size_t i = 0; i + 1 < pipeline->count; i++)
		if (pipeline->entry[i].stage != STAGE_IN_SYMBOLIZER)
			return &pipeline->entry[i];
	return NULL;
}

/* The newest stays, however large it is. */
static bool
drop_oldest(struct pipeline *pipeline)
{
	bool is_any_dropped = false;
	struct entry *entry;

	while ((pipeline->count > PIPELINE_MAX || pipeline->bytes > PIPELINE_MAX_BYTES) &&
	       (entry = oldest_droppable(pipeline))) {
		if (entry->stage == STAGE_IN_EXPORTER && pipeline->to_drop_count < PIPELINE_MAX)
			pipeline->to_drop[pipeline->to_drop_count++] = entry->head.sequence;
		pipeline->dropped++;
		remove_entry(pipeline, entry);
		is_any_dropped = true;
	}
	return is_any_dropped;
}

bool
pipeline_add(struct pipeline *pipeline, const struct profile_message *head, int fd)
{
	struct entry *entry = &pipeline->entry[pipeline->count++];

	*entry = (struct entry){.stage = STAGE_SYMBOLIZE, .head = *head, .fd = fd};
	measure(pipeline, entry);
	pipeline->finished++;
	add_ledger(&pipeline->ledger, &head->ledger);
	for (size_t i = 0; i < ENDING_MODULES && head->module[i].name[0]; i++)
		endings_add_module(pipeline->module, &head->module[i]);
	return drop_oldest(pipeline);
}

static struct entry *
first_at(struct pipeline *pipeline, enum stage stage)
{
	for (size_t i = 0; i < pipeline->count; i++)
		if (pipeline->entry[i].stage == stage)
			return &pipeline->entry[i];
	return NULL;
}

static struct entry *
with_sequence(struct pipeline *pipeline, uint64_t sequence)
{
	for (size_t i = 0; i < pipeline->count; i++)
		if (pipeline->entry[i].head.sequence == sequence)
			return &pipeline->entry[i];
	return NULL;
}

/* ---- to the roles ---- */

/* A failed send is a dying role: its death will be noticed, and nothing was attempted. */
static void
advance_symbolizer(struct pipeline *pipeline, struct role_process *symbolizer, int64_t now_ms)
{
	struct entry *entry = first_at(pipeline, STAGE_SYMBOLIZE);

	for (; entry && symbolizer->is_given_up; entry = first_at(pipeline, STAGE_SYMBOLIZE))
		entry->stage = STAGE_EXPORT; /* addresses and build ids are better than nothing */
	if (!entry || !symbolizer->is_ready || first_at(pipeline, STAGE_IN_SYMBOLIZER))
		return;
	if (channel_send(symbolizer->control, MESSAGE_PROFILE, &entry->head, sizeof(entry->head), &entry->fd,
			 1) < 0)
		return;
	entry->stage = STAGE_IN_SYMBOLIZER;
	symbolizer->deadline_ms = now_ms + SYMBOLIZE_TIMEOUT_MS;
}

/* -EAGAIN is an exporter that is busy: when it has read, it answers, and that brings us here again. */
static bool
tell(struct pipeline *pipeline, struct role_process *exporter, enum message_kind kind, const void *body,
     size_t size, const int *fd, int64_t now_ms)
{
	if (channel_try_send(exporter->control, kind, body, size, fd, fd != NULL) < 0)
		return false;
	pipeline->told++;
	if (exporter->deadline_ms == 0)
		exporter->deadline_ms = now_ms + EXPORTER_TIMEOUT_MS;
	return true;
}

static bool
tell_of_drops(struct pipeline *pipeline, struct role_process *exporter, int64_t now_ms)
{
	while (pipeline->to_drop_count > 0) {
		struct profile_reference drop = {pipeline->to_drop[0]};

		if (!tell(pipeline, exporter, MESSAGE_DROP, &drop, sizeof(drop), NULL, now_ms))
			return false;
		pipeline->to_drop_count--;
		memmove(pipeline->to_drop, pipeline->to_drop + 1,
			pipeline->to_drop_count * sizeof(pipeline->to_drop[0]));
	}
	return true;
}

static void
tell_of_hurry(struct pipeline *pipeline, struct role_process *exporter, int64_t now_ms)
{
	int64_t left = pipeline->deadline_ms > now_ms ? pipeline->deadline_ms - now_ms : 0;
	struct exporter_finish finish = {.grace_ms = (uint32_t)left};

	if (pipeline->is_hurried && !pipeline->knows_of_hurry)
		pipeline->knows_of_hurry =
			tell(pipeline, exporter, MESSAGE_FINISH, &finish, sizeof(finish), NULL, now_ms);
}

/* Once, and late: what naming this profile took is in it. */
static void
report_cost(struct pipeline *pipeline, struct entry *entry)
{
	if (pipeline->measure && entry->head.self.wall_ns == 0)
		self_measure_period(pipeline->measure, &entry->head.self);
}

static void
advance_exporter(struct pipeline *pipeline, struct role_process *exporter, int64_t now_ms)
{
	struct entry *entry;

	if (!exporter->is_ready || !tell_of_drops(pipeline, exporter, now_ms))
		return;
	while ((entry = first_at(pipeline, STAGE_EXPORT))) {
		report_cost(pipeline, entry);
		if (!tell(pipeline, exporter, MESSAGE_PROFILE, &entry->head, sizeof(entry->head), &entry->fd,
			  now_ms))
			return;
		entry->stage = STAGE_IN_EXPORTER;
	}
	tell_of_hurry(pipeline, exporter, now_ms);
}

void
pipeline_advance(struct pipeline *pipeline, struct role_process *symbolizer, struct role_process *exporter,
		 int64_t now_ms)
{
	advance_symbolizer(pipeline, symbolizer, now_ms);
	advance_exporter(pipeline, exporter, now_ms);
}

void
pipeline_hurry(struct pipeline *pipeline, int64_t deadline_ms)
{
	pipeline->is_hurried = true;
	pipeline->deadline_ms = deadline_ms;
}

bool
pipeline_is_symbolised(const struct pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->count; i++)
		if (pipeline->entry[i].stage < STAGE_EXPORT)
			return false;
	return true;
}

bool
pipeline_is_handed_over(const struct pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->count; i++)
		if (pipeline->entry[i].stage != STAGE_IN_EXPORTER)
			return false;
	return pipeline->to_drop_count == 0 && pipeline->is_hurried == pipeline->knows_of_hurry;
}

bool
pipeline_is_acknowledged(const struct pipeline *pipeline, uint64_t taken)
{
	return taken == pipeline->told;
}

/* ---- from the roles ---- */

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
	entry->stage = STAGE_EXPORT;
	measure(pipeline, entry);
	symbolizer->deadline_ms = 0;
	return 0;
}

bool
pipeline_accepted(struct pipeline *pipeline, uint64_t sequence, unsigned destination)
{
	struct entry *entry = with_sequence(pipeline, sequence);

	if (!entry || entry->stage != STAGE_IN_EXPORTER)
		return false;
	entry->head.accepted |= 1u << destination;
	return true;
}

/* One that the exporter was not given yet is in the spool since its predecessor. */
bool
pipeline_settled(struct pipeline *pipeline, uint64_t sequence)
{
	struct entry *entry = with_sequence(pipeline, sequence);

	if (!entry || entry->stage < STAGE_EXPORT)
		return false;
	remove_entry(pipeline, entry);
	return true;
}

void
pipeline_role_died(struct pipeline *pipeline, enum role role)
{
	struct entry *entry;

	if (role == ROLE_SYMBOLIZER && (entry = first_at(pipeline, STAGE_IN_SYMBOLIZER)))
		entry->stage = STAGE_EXPORT; /* without names, if it died of that */
	if (role != ROLE_EXPORTER)
		return; /* the unwinder: what it made is ours */
	while ((entry = first_at(pipeline, STAGE_IN_EXPORTER)))
		entry->stage = STAGE_EXPORT;
	pipeline->to_drop_count = 0;
	pipeline->told = 0;
	pipeline->knows_of_hurry = false;
}

size_t
pipeline_count(const struct pipeline *pipeline)
{
	return pipeline->count;
}

bool
pipeline_is_empty(const struct pipeline *pipeline)
{
	return pipeline->count == 0;
}

void
pipeline_summarise(const struct pipeline *pipeline, struct summary_message *ret)
{
	ret->ledger = pipeline->ledger;
	memcpy(ret->module, pipeline->module, sizeof(ret->module));
	ret->profiles = pipeline->finished;
	ret->dropped = pipeline->dropped;
}
