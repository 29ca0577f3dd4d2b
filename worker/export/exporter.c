/* Glue, and an event loop: supervisor on one side, queue, spool and transfers on the other. It holds no state
 * that matters: what the supervisor was not told is settled, it sends again. */

#include "worker/export/exporter.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/memory_file.h"
#include "worker/base/seal.h"
#include "worker/export/self_report.h"
#include "worker/export/spool.h"
#include "worker/export/transfers.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define SPOOL_LOOK_MS 60000 /* whoever owned a file may have died */

struct exporter {
	struct exporter_settings settings;
	struct queue *queue;
	struct transfers *transfers;
	struct spool *spool; /* NULL: none */
	uint64_t identity[DESTINATIONS_MAX];
	struct retry spool_retry;
	bool was_spool_told;  /* that it works, or does not */
	bool was_window_full; /* there may be more than we hold */
	int64_t next_look_ms;
	uint64_t random;
	uint64_t taken;
	struct queue_report report; /* its sums; what is waiting is counted when it is asked for */
	struct status_message said;
	int failure; /* of the control channel */
};

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t
now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* ---- to the supervisor ---- */

static void
say(struct exporter *exporter, enum message_kind kind, const void *body, size_t size)
{
	int result = channel_send(exporter->settings.control, kind, body, size, NULL, 0);

	if (result < 0 && exporter->failure == 0)
		exporter->failure = result;
}

static void
say_settled(struct exporter *exporter, uint64_t sequence)
{
	struct profile_reference settled = {sequence};

	say(exporter, MESSAGE_SETTLED, &settled, sizeof(settled));
}

static void
say_spool(struct exporter *exporter, enum spool_event event, int error, bool is_own, const char *name)
{
	struct spool_message message = {.event = event, .error = error, .is_own = is_own};

	snprintf(message.name, sizeof(message.name), "%s", name);
	say(exporter, MESSAGE_SPOOL, &message, sizeof(message));
}

static uint64_t
waiting_beyond_queue(const struct exporter *exporter)
{
	struct spool_counts counts = {0};

	if (!exporter->spool)
		return 0;
	counts = spool_counts(exporter->spool);
	uint64_t all = counts.own + counts.earlier, held = spool_held(exporter->spool);
	return all > held ? all - held : 0;
}

static void
say_destination(struct exporter *exporter, unsigned destination, enum destination_state state,
		const struct delivery_answer *answer, unsigned failures)
{
	const struct delivery_destination *about = &exporter->settings.delivery->destination[destination];
	struct destination_message message = {
		.destination = destination,
		.kind = about->kind,
		.state = state,
		.status = answer->status,
		.failures = failures,
		.waiting = queue_waiting(exporter->queue, destination) +
			   (uint32_t)waiting_beyond_queue(exporter) + (state == DESTINATION_ACCEPTS),
	};

	snprintf(message.name, sizeof(message.name), "%.*s", (int)sizeof(message.name) - 1, about->name);
	snprintf(message.words, sizeof(message.words), "%s",
		 state == DESTINATION_ACCEPTS ? "" : answer->words);
	say(exporter, MESSAGE_DESTINATION, &message, sizeof(message));
}

static struct export_item *
oldest_in_memory(const struct exporter *exporter)
{
	struct export_item *item;

	for (size_t i = 0; (item = queue_at(exporter->queue, i)); i++)
		if (item->fd >= 0 && !item->is_unwanted && !item->is_left_out)
			return item;
	return NULL;
}

static bool
waits_for_spool(const struct exporter *exporter)
{
	return exporter->spool && oldest_in_memory(exporter);
}

static void
say_status(struct exporter *exporter)
{
	struct spool_counts counts =
		exporter->spool ? spool_counts(exporter->spool) : (struct spool_counts){0};
	size_t queued = 0;

	while (queue_at(exporter->queue, queued))
		queued++;
	struct status_message status = {
		.taken = exporter->taken,
		.waiting = queued + waiting_beyond_queue(exporter),
		.spool_own = counts.own,
		.spool_earlier = counts.earlier,
		.spool_bytes = counts.bytes,
		.has_hope = queue_has_hope(exporter->queue) || waits_for_spool(exporter),
	};
	if (memcmp(&status, &exporter->said, sizeof(status)) == 0)
		return;
	exporter->said = status;
	say(exporter, MESSAGE_STATUS, &status, sizeof(status));
}

/* What must not be handled again is told apart by launch and number. */
static uint64_t
hash_of(const struct profile_facts *facts)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (const char *at = facts->runtime_id; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3ull;
	for (unsigned i = 0; i < 8; i++)
		hash = (hash ^ (facts->sequence >> 8 * i & 0xff)) * 0x100000001b3ull;
	return hash ? hash : 1;
}

static void
say_working(struct exporter *exporter, const struct profile_facts *facts)
{
	struct working_message working = {facts ? hash_of(facts) : 0};

	say(exporter, MESSAGE_WORKING, &working, sizeof(working));
}

static bool
is_left_out(const struct exporter *exporter, const struct profile_facts *facts)
{
	uint64_t hash = hash_of(facts);

	for (size_t i = 0; i < LEFT_OUT_MAX; i++)
		if (exporter->settings.start->left_out[i] == hash)
			return true;
	return false;
}

/* ---- the self-report ---- */

static void
count_answer(struct exporter *exporter, const struct delivery_answer *answer)
{
	struct queue_report *report = &exporter->report;

	if (answer->verdict == ANSWER_ACCEPTED) {
		report->uploads++;
		report->sent_bytes += answer->bytes;
	} else if (answer->verdict == ANSWER_TEMPORARY) {
		report->retries++;
	} else {
		report->refusals++;
	}
}

static void
count_waiting(struct exporter *exporter)
{
	struct queue_report *report = &exporter->report;
	struct spool_counts spooled =
		exporter->spool ? spool_counts(exporter->spool) : (struct spool_counts){0};
	int64_t oldest_ns = spooled.oldest_ns ? spooled.oldest_ns : INT64_MAX;
	int64_t now_ns = clock_ns(CLOCK_REALTIME);
	struct stat status;
	struct export_item *item;

	report->depth = waiting_beyond_queue(exporter);
	report->bytes = spooled.bytes;
	for (size_t i = 0; (item = queue_at(exporter->queue, i)); i++) {
		report->depth++;
		if (item->fd >= 0 && fstat(item->fd, &status) == 0)
			report->bytes += (uint64_t)status.st_size;
		if (item->facts.end_ns < oldest_ns)
			oldest_ns = item->facts.end_ns;
	}
	report->oldest_age_ns = oldest_ns < now_ns ? (uint64_t)(now_ns - oldest_ns) : 0;
}

/* Before anything else is done with a profile, so that the spool and every destination have the same. */
static void
add_self_report(struct exporter *exporter, const struct profile_message *head, struct export_item *item)
{
	count_waiting(exporter);
	say_working(exporter, &item->facts);
	int reported = self_report_add(item->fd, head, &exporter->report, exporter->settings.network);
	say_working(exporter, NULL);
	if (reported < 0)
		return; /* it goes without */
	close_fd(&item->fd);
	item->fd = reported;
}

/* ---- what the queue wants ---- */

static bool
port_start(void *context, unsigned destination, const struct export_item *item, struct delivery_answer *ret)
{
	struct exporter *exporter = context;

	say_working(exporter, &item->facts);
	bool is_ready = transfers_prepare(exporter->transfers, destination, item, ret);
	say_working(exporter, NULL);
	bool is_on_its_way = is_ready && transfers_start(exporter->transfers, destination,
							 queue_is_hurried(exporter->queue), ret);
	if (!is_on_its_way)
		count_answer(exporter, ret);
	return is_on_its_way;
}

/* On disk before anything else: whoever reads it next must not send it again. */
static void
mark(struct exporter *exporter, struct export_item *item, unsigned destination)
{
	const uint32_t all = (1u << exporter->settings.delivery->count) - 1;

	if (item->file && item->accepted != all)
		(void)spool_file_mark(exporter->spool, item->file, exporter->identity[destination]);
}

static void
port_accepted(void *context, unsigned destination, struct export_item *item,
	      const struct delivery_answer *answer)
{
	struct exporter *exporter = context;
	struct accepted_message accepted = {
		.sequence = item->facts.sequence,
		.bytes = answer->bytes,
		.destination = destination,
		.is_own = item->is_own,
	};

	mark(exporter, item, destination);
	snprintf(accepted.name, sizeof(accepted.name), "%s",
		 transfers_file_name(exporter->transfers, destination));
	say(exporter, MESSAGE_ACCEPTED, &accepted, sizeof(accepted));
	transfers_forget(exporter->transfers, destination);
}

static void
port_done(void *context, struct export_item *item)
{
	struct exporter *exporter = context;

	if (item->file) /* settled when it came into the spool */
		spool_file_remove(exporter->spool, item->file);
	else
		say_settled(exporter, item->facts.sequence);
	item->file = NULL;
}

static void
port_changed(void *context, unsigned destination, const struct delivery_answer *answer, unsigned failures)
{
	static const enum destination_state states[] = {
		[ANSWER_ACCEPTED] = DESTINATION_ACCEPTS,
		[ANSWER_TEMPORARY] = DESTINATION_FAILS,
		[ANSWER_REFUSES] = DESTINATION_REFUSES,
		[ANSWER_PROFILE_REFUSED] = DESTINATION_REFUSES_PROFILE,
	};

	say_destination(context, destination, states[answer->verdict], answer, failures);
}

static void
port_release(void *context, struct export_item *item)
{
	struct exporter *exporter = context;

	close_fd(&item->fd);
	if (item->file)
		spool_file_release(exporter->spool, item->file);
	item->file = NULL;
}

/* xorshift64*, Vigna 2016: jitter needs no more. */
static uint64_t
port_random(void *context)
{
	struct exporter *exporter = context;

	exporter->random ^= exporter->random >> 12;
	exporter->random ^= exporter->random << 25;
	exporter->random ^= exporter->random >> 27;
	return exporter->random * 0x2545f4914f6cdd1du >> 16;
}

/* ---- the spool ---- */

static struct export_item *
item_with_file(const struct exporter *exporter, const struct spool_file *file)
{
	struct export_item *item;

	for (size_t i = 0; (item = queue_at(exporter->queue, i)); i++)
		if (item->file == file)
			return item;
	return NULL;
}

static bool
spool_give_up(void *context, struct spool_file *file)
{
	struct exporter *exporter = context;
	struct export_item *item = item_with_file(exporter, file);

	if (!item || item->in_flight)
		return false;
	item->file = NULL;
	spool_file_remove(exporter->spool, file);
	queue_drop(exporter->queue, item);
	return true;
}

static void
spool_lost(void *context, enum spool_loss loss, bool is_own)
{
	struct exporter *exporter = context;

	exporter->report.dropped++;
	say_spool(exporter, loss == SPOOL_OLD ? SPOOL_EVENT_LOST_OLD : SPOOL_EVENT_LOST_FULL, 0, is_own, "");
}

static void
spool_skipped(void *context, const char *name, int error)
{
	say_spool(context, SPOOL_EVENT_SKIPPED, -error, /* is_own= */ false, name);
}

/* An own one was stored by a predecessor that may not have lived to say so. */
static void
spool_take(void *context, struct spool_file *file, const struct profile_facts *facts)
{
	struct exporter *exporter = context;
	static struct export_item item;
	struct export_item *added;

	item = (struct export_item){.fd = -1, .file = file, .facts = *facts};
	item.is_own = strcmp(facts->runtime_id, exporter->settings.delivery->runtime_id) == 0;
	item.is_left_out = is_left_out(exporter, facts);
	for (unsigned i = 0; i < exporter->settings.delivery->count; i++)
		if (spool_file_is_marked(file, exporter->identity[i]))
			item.accepted |= 1u << i;
	if (item.is_own)
		say_settled(exporter, facts->sequence);
	if (queue_add(exporter->queue, &item, &added) < 0)
		spool_file_release(exporter->spool, file);
}

static void
look_into_spool(struct exporter *exporter)
{
	if (!exporter->spool)
		return;
	exporter->next_look_ms =
		now_ms() + SPOOL_LOOK_MS + (int64_t)(port_random(exporter) % (SPOOL_LOOK_MS / 4));
	(void)spool_claim(exporter->spool, clock_ns(CLOCK_REALTIME), spool_take);
	exporter->was_window_full = spool_held(exporter->spool) >= SPOOL_WINDOW;
}

static int
store(struct exporter *exporter, const struct export_item *item, struct spool_file **ret)
{
	uint8_t *pprof;
	size_t size;
	int result = memory_file_read(item->fd, &pprof, &size);

	if (result < 0)
		return result;
	say_working(exporter, &item->facts);
	result = spool_store(exporter->spool, &item->facts, pprof, size, clock_ns(CLOCK_REALTIME), ret);
	say_working(exporter, NULL);
	free(pprof);
	return result;
}

/* Success and failure of the spool as a whole, and when to try again. */
static void
judge_store(struct exporter *exporter, int result)
{
	if (result < 0) {
		say_spool(exporter, SPOOL_EVENT_FAILS, -result, /* is_own= */ true, "");
		retry_failed(&exporter->spool_retry, -1, queue_is_hurried(exporter->queue),
			     port_random(exporter), now_ms());
	} else if (!exporter->was_spool_told || exporter->spool_retry.failures > 0) {
		say_spool(exporter, SPOOL_EVENT_WORKS, 0, /* is_own= */ true, "");
		retry_succeeded(&exporter->spool_retry);
	}
	exporter->was_spool_told = true;
}

/* From memory to disk. What is there needs the supervisor no longer; more than a window of locks is not held.
 */
static bool
move_to_spool(struct exporter *exporter, struct export_item *item)
{
	struct spool_file *file = NULL;
	int result = store(exporter, item, &file);

	judge_store(exporter, result);
	if (result < 0)
		return false;
	close_fd(&item->fd);
	item->file = file;
	for (unsigned i = 0; file && i < exporter->settings.delivery->count; i++)
		if (item->accepted & 1u << i)
			mark(exporter, item, i);
	say_settled(exporter, item->facts.sequence);
	return true;
}

/* A disk that was full when they came. */
static void
catch_up_with_spool(struct exporter *exporter)
{
	struct export_item *item;

	while (exporter->spool && now_ms() >= exporter->spool_retry.next_ms &&
	       (item = oldest_in_memory(exporter)) && move_to_spool(exporter, item))
		if (!item->file)
			queue_drop(exporter->queue, item); /* somebody else has it already */
}

static bool
has_more_in_spool(const struct exporter *exporter)
{
	return exporter->was_window_full && spool_held(exporter->spool) < SPOOL_WINDOW / 2;
}

/* ---- from the supervisor ---- */

static void
fill_facts(const struct exporter *exporter, const struct profile_message *head, struct profile_facts *ret)
{
	const struct worker_config *config = exporter->settings.config;

	*ret = (struct profile_facts){
		.sequence = head->sequence,
		.start_ns = head->start_ns,
		.end_ns = head->end_ns,
		.target_pid = config->target_pid,
	};
	memcpy(ret->runtime_id, exporter->settings.delivery->runtime_id, sizeof(ret->runtime_id));
	memcpy(ret->service, config->service, sizeof(ret->service));
	memcpy(ret->environment, config->environment, sizeof(ret->environment));
	memcpy(ret->version, config->version, sizeof(ret->version));
	memcpy(ret->tags, config->tags, sizeof(ret->tags));
	memcpy(ret->container_id, exporter->settings.start->container_id, sizeof(ret->container_id));
}

/* Into the spool first, if there is one. Sent from there only while there is room for another lock. */
static int
accept_profile(struct exporter *exporter, const struct profile_message *head, struct export_item *item)
{
	struct export_item *added;

	if (exporter->spool && spool_has(exporter->spool, item->facts.sequence)) {
		close_fd(&item->fd);
		say_settled(exporter, item->facts.sequence);
		return 0;
	}
	if (!item->is_left_out)
		add_self_report(exporter, head, item);
	if (exporter->spool && !item->is_left_out && now_ms() >= exporter->spool_retry.next_ms &&
	    move_to_spool(exporter, item)) {
		if (!item->file)
			return 0;
		if (spool_held(exporter->spool) > SPOOL_WINDOW) {
			exporter->was_window_full = true;
			spool_file_release(exporter->spool, item->file);
			return 0;
		}
	}
	int result = queue_add(exporter->queue, item, &added);
	if (result < 0)
		port_release(exporter, item);
	return result;
}

static int
take_profile(struct exporter *exporter, struct message *message)
{
	const struct profile_message *head = message_expect(message, MESSAGE_PROFILE, sizeof(*head), 1);
	static struct export_item item;

	if (!head)
		return -EBADMSG;
	item = (struct export_item){.is_own = true, .fd = message_take_fd(message, 0)};
	if (memfd_check_sealed(item.fd) < 0) {
		close_fd(&item.fd);
		return -EBADMSG;
	}
	item.accepted = head->accepted & ((1u << exporter->settings.delivery->count) - 1);
	fill_facts(exporter, head, &item.facts);
	item.is_left_out = is_left_out(exporter, &item.facts);
	return accept_profile(exporter, head, &item);
}

static int
take_drop(struct exporter *exporter, struct message *message)
{
	const struct profile_reference *drop = message_expect(message, MESSAGE_DROP, sizeof(*drop), 0);
	struct export_item *item;

	if (!drop)
		return -EBADMSG;
	for (size_t i = 0; (item = queue_at(exporter->queue, i)); i++) {
		if (!item->is_own || item->file || item->facts.sequence != drop->sequence)
			continue;
		exporter->report.dropped++;
		queue_drop(exporter->queue, item);
		break;
	}
	return 0;
}

static int
take_finish(struct exporter *exporter, struct message *message)
{
	const struct exporter_finish *finish = message_expect(message, MESSAGE_FINISH, sizeof(*finish), 0);

	if (!finish)
		return -EBADMSG;
	queue_hurry(exporter->queue, now_ms() + finish->grace_ms, now_ms());
	retry_hurry(&exporter->spool_retry, now_ms());
	look_into_spool(exporter);
	return 0;
}

/* A debug file, or why there is none. */
static void
say_fetched(struct exporter *exporter, const char *build_id, int fd)
{
	struct fetched_message fetched = {.error = fd < 0 ? -fd : 0};

	strncpy(fetched.build_id, build_id, sizeof(fetched.build_id) - 1);
	int result = channel_send(exporter->settings.control, MESSAGE_FETCHED, &fetched, sizeof(fetched), &fd,
				  fd >= 0);
	if (result < 0 && exporter->failure == 0)
		exporter->failure = result;
}

static int
take_fetch(struct exporter *exporter, struct message *message)
{
	const struct fetch_message *fetch = message_expect(message, MESSAGE_FETCH, sizeof(*fetch), 0);
	const struct network *network = exporter->settings.network;

	if (!fetch || !IS_TERMINATED(fetch->build_id))
		return -EBADMSG;
	int result = network ? network->fetch(network->context, fetch->build_id) : -ENOENT;
	if (result < 0)
		say_fetched(exporter, fetch->build_id, result);
	return 0;
}

static int
take_message(struct exporter *exporter, struct message *message)
{
	if (message->kind == MESSAGE_FETCH) /* nothing of a profile: not counted */
		return take_fetch(exporter, message);
	exporter->taken++;
	switch (message->kind) {
	case MESSAGE_PROFILE:
		return take_profile(exporter, message);
	case MESSAGE_DROP:
		return take_drop(exporter, message);
	case MESSAGE_FINISH:
		return take_finish(exporter, message);
	default:
		message_discard(message);
		return -EBADMSG;
	}
}

static int
take_messages(struct exporter *exporter)
{
	static struct message message;
	int result;

	while ((result = channel_receive(exporter->settings.control, &message, 0)) == 0) {
		result = take_message(exporter, &message);
		if (result < 0)
			return result;
	}
	return result == -ETIMEDOUT ? 0 : result;
}

/* ---- the loop ---- */

static bool
is_outdated(const struct exporter *exporter)
{
	const struct network *network = exporter->settings.network;

	return network && network->is_outdated(network->context);
}

static void
take_answers(struct exporter *exporter)
{
	const struct network *network = exporter->settings.network;
	struct network_answer answer;

	while (network && network->take(network->context, &answer)) {
		if (!answer.transfer) {
			OWNED_FD file = answer.debug_file;
			say_fetched(exporter, answer.build_id, file);
			continue;
		}
		count_answer(exporter, &answer.delivery);
		queue_answer(exporter->queue, transfers_destination(exporter->transfers, answer.transfer),
			     &answer.delivery, now_ms());
	}
}

static void
advance(struct exporter *exporter)
{
	if (exporter->spool && (now_ms() >= exporter->next_look_ms || has_more_in_spool(exporter)))
		look_into_spool(exporter);
	catch_up_with_spool(exporter);
	if (!is_outdated(exporter))
		queue_advance(exporter->queue, now_ms());
	say_status(exporter);
}

static int
timeout_ms(const struct exporter *exporter)
{
	int64_t now = now_ms(), next = queue_next_ms(exporter->queue, now);

	if (exporter->spool && exporter->next_look_ms < next)
		next = exporter->next_look_ms;
	if (waits_for_spool(exporter) && exporter->spool_retry.next_ms < next)
		next = exporter->spool_retry.next_ms;
	if (has_more_in_spool(exporter))
		next = now;
	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}

/* Whether the supervisor has something to say. */
static bool
wait_for_events(const struct exporter *exporter)
{
	struct pollfd control = {.fd = exporter->settings.control, .events = POLLIN};
	const struct network *network = exporter->settings.network;
	int timeout = timeout_ms(exporter);

	if (network)
		return network->wait(network->context, control.fd, timeout);
	return poll(&control, 1, timeout) > 0;
}

static int
run(struct exporter *exporter)
{
	int result = 0;

	look_into_spool(exporter); /* what a predecessor stored is settled before READY asks for it */
	for (unsigned i = 0; i < exporter->settings.delivery->count; i++)
		say_destination(exporter, i, DESTINATION_UNTRIED, &(const struct delivery_answer){0}, 0);
	say(exporter, MESSAGE_READY, NULL, 0);
	while (result == 0 && exporter->failure == 0) {
		advance(exporter);
		if (is_outdated(exporter) && !queue_is_in_flight(exporter->queue))
			return 0;
		if (wait_for_events(exporter))
			result = take_messages(exporter);
		take_answers(exporter);
	}
	return result < 0 ? result : exporter->failure;
}

static int
prepare(struct exporter *exporter)
{
	const struct delivery_config *delivery = exporter->settings.delivery;
	const struct queue_port port = {exporter,     port_start,   port_accepted, port_done,
					port_changed, port_release, port_random};
	const struct spool_settings spool = {
		.folder = exporter->settings.spool,
		.service = exporter->settings.config->service,
		.environment = exporter->settings.config->environment,
		.runtime_id = delivery->runtime_id,
		.max_bytes = delivery->spool_max_bytes,
		.max_age_s = delivery->spool_max_age_s,
		.context = exporter,
		.give_up = spool_give_up,
		.lost = spool_lost,
		.skipped = spool_skipped,
	};

	if (getrandom(&exporter->random, sizeof(exporter->random), 0) < 0 || exporter->random == 0)
		exporter->random = (uint64_t)clock_ns(CLOCK_REALTIME);
	for (unsigned i = 0; i < delivery->count; i++)
		exporter->identity[i] = spool_destination(&delivery->destination[i]);
	exporter->queue = queue_new(delivery->count, &port);
	exporter->transfers =
		transfers_new(delivery, exporter->settings.network, exporter->settings.network_problem);
	if (!exporter->queue || !exporter->transfers)
		return -ENOMEM;
	return exporter->settings.spool < 0 ? 0 : spool_new(&spool, &exporter->spool);
}

int
exporter_run(const struct exporter_settings *settings)
{
	static struct exporter exporter;

	exporter = (struct exporter){.settings = *settings};
	int result = prepare(&exporter);
	if (result == 0)
		result = run(&exporter);
	return result == -EPIPE ? 0 : result;
}
