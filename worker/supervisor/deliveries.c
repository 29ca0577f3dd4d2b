/* One table of sentences, and the memory of which of them was said last. */

#include "worker/supervisor/deliveries.h"

#include "ipc/channel.h"
#include "ipc/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(SUMMARY_DESTINATIONS == DESTINATIONS_MAX, "one row each");

#define SAY_AGAIN_MS (10 * 60000) /* the same status with other words: servers number their answers */

static bool
is_news(const struct known_destination *destination, int64_t now_ms)
{
	const struct destination_message *now = &destination->now, *told = &destination->told;

	if (now->state != told->state || now->status != told->status)
		return true;
	return strcmp(now->words, told->words) != 0 && now_ms - destination->told_ms >= SAY_AGAIN_MS;
}

static void
log_trouble(const struct log *log, const char *spool, const struct destination_message *now)
{
	const char *in = spool[0] ? spool : "memory";

	if (now->state == DESTINATION_FAILS)
		log_line(log, LOG_LEVEL_WARN,
			 "%s does not take profiles (%s); trying again, profiles wait in %s (%u now)",
			 now->name, now->words, in, now->waiting);
	else
		log_line(log, LOG_LEVEL_WARN,
			 "%s refuses profiles (%s); mend that there or in our settings: it is asked again "
			 "every 5 minutes, profiles wait in %s (%u now)",
			 now->name, now->words, in, now->waiting);
}

static void
log_change(struct known_destination *destination, const struct log *log, const char *spool, int64_t now_ms)
{
	const struct destination_message *now = &destination->now;
	bool was_in_trouble = destination->told.state == DESTINATION_FAILS ||
			      destination->told.state == DESTINATION_REFUSES;

	if (now->state == DESTINATION_ACCEPTS) {
		if (was_in_trouble)
			log_line(log, LOG_LEVEL_NOTICE, "%s accepts profiles again; %u were waiting",
				 now->name, now->waiting);
	} else if (now->state == DESTINATION_FAILS && now->failures < 2) {
		return; /* it may pass before anybody cares */
	} else if (now->state != DESTINATION_UNTRIED && is_news(destination, now_ms)) {
		log_trouble(log, spool, now);
	} else {
		return;
	}
	destination->told = *now;
	destination->told_ms = now_ms;
}

/* One profile is refused, the others may be fine: nothing that passes or comes back. */
static void
log_refused_profile(struct known_destination *destination, const struct log *log)
{
	if (destination->refused_status == destination->now.status)
		return;
	destination->refused_status = destination->now.status;
	log_line(log, LOG_LEVEL_WARN,
		 "%s refuses a profile (%s); it is set aside and offered again every 5 minutes, others go on",
		 destination->now.name, destination->now.words);
}

bool
deliveries_destination(struct deliveries *deliveries, const struct log *log, const char *spool,
		       const struct destination_message *message, int64_t now_ms)
{
	if (message->destination >= SUMMARY_DESTINATIONS || message->state >= DESTINATION_STATES ||
	    !IS_TERMINATED(message->name) || !IS_TERMINATED(message->words))
		return false;
	struct known_destination *destination = &deliveries->destination[message->destination];
	bool is_known = deliveries->count > message->destination;

	if (!is_known)
		deliveries->count = message->destination + 1;
	if (message->state == DESTINATION_UNTRIED && is_known)
		return true; /* a new exporter introduces what its predecessor told about */
	destination->now = *message;
	if (message->state == DESTINATION_REFUSES_PROFILE)
		log_refused_profile(destination, log);
	else
		log_change(destination, log, spool, now_ms);
	return true;
}

bool
deliveries_accepted(struct deliveries *deliveries, const struct accepted_message *message)
{
	if (message->destination >= deliveries->count || !IS_TERMINATED(message->name))
		return false;
	struct known_destination *destination = &deliveries->destination[message->destination];

	if (message->is_own)
		destination->delivered++;
	else
		destination->earlier++;
	destination->refused_status = 0;
	deliveries->is_queue_loss_told = false;
	if (message->is_own && destination->now.kind == DESTINATION_FOLDER)
		memcpy(deliveries->last_name, message->name, sizeof(deliveries->last_name));
	return true;
}

void
deliveries_dropped(struct deliveries *deliveries, const struct log *log)
{
	if (deliveries->is_queue_loss_told)
		return;
	deliveries->is_queue_loss_told = true;
	log_line(log, LOG_LEVEL_ERROR,
		 "as many profiles wait as memory may hold: the oldest are dropped from now on; --spool DIR "
		 "keeps "
		 "them on disk");
}

static const char *
describe_skipped(int error)
{
	return error == EBADMSG   ? "it is damaged, or no profile"
	       : error == ENOTSUP ? "another version of ddprof-launch wrote it"
				  : strerror(error);
}

bool
deliveries_spool(struct deliveries *deliveries, const struct log *log, const char *spool,
		 const struct spool_message *message)
{
	if (message->event >= SPOOL_EVENTS || !IS_TERMINATED(message->name))
		return false;
	bool is_repeated =
		deliveries->spool_event == message->event && deliveries->spool_error == message->error;

	switch (message->event) {
	case SPOOL_EVENT_FAILS:
		if (!is_repeated)
			log_line(log, LOG_LEVEL_WARN,
				 "cannot write to the spool %s: %s; profiles wait in memory until it can be",
				 spool, strerror(message->error));
		break;
	case SPOOL_EVENT_WORKS:
		if (deliveries->spool_event == SPOOL_EVENT_FAILS)
			log_line(log, LOG_LEVEL_NOTICE, "the spool %s can be written to again", spool);
		break;
	case SPOOL_EVENT_SKIPPED:
		log_line(log, LOG_LEVEL_WARN, "%s/%s is left alone: %s", spool, message->name,
			 describe_skipped(message->error));
		return true;
	default:
		deliveries->spool_lost += message->is_own;
		if (!deliveries->is_spool_loss_told)
			log_line(log, LOG_LEVEL_ERROR,
				 "the spool %s holds %s: the oldest profiles are dropped from now on", spool,
				 message->event == SPOOL_EVENT_LOST_OLD ? "profiles that are too old"
									: "as much as it may");
		deliveries->is_spool_loss_told = true;
		return true;
	}
	deliveries->spool_event = message->event;
	deliveries->spool_error = message->error;
	return true;
}

void
deliveries_summarise(const struct deliveries *deliveries, const char *spool, struct summary_message *ret)
{
	ret->destinations = deliveries->count;
	ret->spooled = spool[0] ? deliveries->status.spool_own : 0;
	ret->dropped += deliveries->spool_lost;
	memcpy(ret->last_name, deliveries->last_name, sizeof(ret->last_name));
	for (uint32_t i = 0; i < deliveries->count; i++) {
		const struct known_destination *known = &deliveries->destination[i];
		struct summary_destination *destination = &ret->destination[i];

		destination->kind = known->now.kind;
		destination->delivered = known->delivered;
		destination->earlier = known->earlier;
		memcpy(destination->name, known->now.name, sizeof(destination->name));
		destination->problem[0] = 0;
		if (known->now.state > DESTINATION_ACCEPTS)
			memcpy(destination->problem, known->now.words, sizeof(destination->problem));
	}
}
