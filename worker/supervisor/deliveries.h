#pragma once
/* What the exporter says of destinations and spool, kept beyond its death: for the log, where each change is
 * one line, and for the closing lines. */

#include "ipc/log.h"
#include "ipc/protocol.h"

#include <stdbool.h>

struct deliveries {
	uint32_t count;
	struct known_destination {
		struct destination_message now;  /* as it answers */
		struct destination_message told; /* what the log has of it */
		int64_t told_ms;
		int32_t refused_status; /* of the profiles it refused, as the log has it */
		uint64_t delivered, earlier;
	} destination[SUMMARY_DESTINATIONS];
	char last_name[PROFILE_NAME_MAX];
	struct status_message status;
	uint64_t spool_lost; /* profiles of this launch that had to make room in the spool */
	uint32_t spool_event;
	int32_t spool_error;
	bool is_spool_loss_told, is_queue_loss_told;
};

/* Each: whether the message makes sense. `spool` is the folder as the caller named it, "" without. */
bool deliveries_destination(struct deliveries *deliveries, const struct log *log, const char *spool,
			    const struct destination_message *message, int64_t now_ms);
bool deliveries_accepted(struct deliveries *deliveries, const struct accepted_message *message);
bool deliveries_spool(struct deliveries *deliveries, const struct log *log, const char *spool,
		      const struct spool_message *message);

/* The queue in memory had to drop a profile: told once, until one is delivered. */
void deliveries_dropped(struct deliveries *deliveries, const struct log *log);

void deliveries_summarise(const struct deliveries *deliveries, const char *spool,
			  struct summary_message *ret);
