#pragma once
/* Finished profiles on their way unwinder -> symbolizer -> exporter, in order. The supervisor keeps each
 * one's descriptor until the exporter settled it (every destination has it, or the spool), so that no role's
 * death loses a profile: a new exporter gets all of them again, with what was accepted already. */

#include "worker/supervisor/role_process.h"
#include "worker/supervisor/self_measure.h"

#include "ipc/channel.h"

struct pipeline;

/* What is kept in memory; beyond either the oldest is dropped and counted. */
#define PIPELINE_MAX 64
#define PIPELINE_MAX_BYTES (64ull << 20)

/* Until the exporter handled what it was told: a slow disk is no reason to end it. */
#define EXPORTER_TIMEOUT_MS 30000

/* `measure` is asked once per profile, borrowed; NULL: profiles go without. */
struct pipeline *pipeline_new(struct self_measure *measure);
void pipeline_free(struct pipeline *pipeline);

/* Takes the unwinder's profile and its descriptor. True: something older had to go. */
bool pipeline_add(struct pipeline *pipeline, const struct profile_message *head, int fd);

/* Hands the next profile to a symbolizer that is idle, and all that can be to the exporter. A role that does
 * not read holds nobody up. */
void pipeline_advance(struct pipeline *pipeline, struct role_process *symbolizer,
		      struct role_process *exporter, int64_t now_ms);

/* The symbolizer's answer; takes the descriptor. 0, or -EBADMSG when nothing like it was asked for. */
int pipeline_symbolised(struct pipeline *pipeline, struct role_process *symbolizer, int fd);

/* The exporter's words. A profile that was dropped meanwhile is no error. True: it was ours. */
bool pipeline_accepted(struct pipeline *pipeline, uint64_t sequence, unsigned destination);
bool pipeline_settled(struct pipeline *pipeline, uint64_t sequence);

/* The target is gone: the exporter is told, and so is every later one. */
void pipeline_hurry(struct pipeline *pipeline, int64_t deadline_ms);

/* Whether nothing waits for the symbolizer. */
bool pipeline_is_symbolised(const struct pipeline *pipeline);

/* Whether the exporter has everything, and handled as many messages as it says in STATUS. */
bool pipeline_is_handed_over(const struct pipeline *pipeline);
bool pipeline_is_acknowledged(const struct pipeline *pipeline, uint64_t taken);

/* A role died: what it was working on goes on without it, or begins again. */
void pipeline_role_died(struct pipeline *pipeline, enum role role);

size_t pipeline_count(const struct pipeline *pipeline); /* what is not settled */
bool pipeline_is_empty(const struct pipeline *pipeline);

/* Fills in what was sampled, and how many profiles were finished and dropped. */
void pipeline_summarise(const struct pipeline *pipeline, struct summary_message *ret);
