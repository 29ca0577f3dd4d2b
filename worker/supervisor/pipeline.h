#pragma once
/* Finished profiles on their way unwinder -> symbolizer -> exporter, in order. The supervisor keeps each
 * one's descriptor until it is written, so no role's death loses a profile. */

#include "worker/supervisor/role_process.h"
#include "worker/supervisor/self_measure.h"

#include "ipc/channel.h"

struct pipeline;

#define PIPELINE_MAX 16 /* profiles waiting; beyond it the oldest is dropped and counted */

/* `measure` is asked once per profile, borrowed; NULL: profiles go without. */
struct pipeline *pipeline_new(struct self_measure *measure);
void pipeline_free(struct pipeline *pipeline);

/* Takes the unwinder's profile and its descriptor. */
void pipeline_add(struct pipeline *pipeline, const struct profile_message *head, int fd);

/* Hands the next profiles to whichever role is ready and idle. */
void pipeline_advance(struct pipeline *pipeline, struct role_process *symbolizer,
		      struct role_process *exporter, int64_t now_ms);

/* A role's answer; takes the descriptor. 0, or -EBADMSG when nothing like it was asked for. */
int pipeline_symbolised(struct pipeline *pipeline, struct role_process *symbolizer, int fd);
int pipeline_written(struct pipeline *pipeline, struct role_process *exporter,
		     const struct written_message *written);

/* A role died: what it was working on goes on without it, or is tried once more. */
void pipeline_role_died(struct pipeline *pipeline, enum role role);

bool pipeline_is_empty(const struct pipeline *pipeline);
const struct summary_message *pipeline_summary(const struct pipeline *pipeline);
