/* Items in one array by age, and one sender per destination that walks along it. */

#include "worker/export/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sender {
	struct retry retry;
	int64_t next_probe_ms;    /* of what was set aside */
	struct export_item *item; /* in flight */
	bool was_told;            /* of the state below */
	enum verdict_of_destination state;
	int status;
	bool is_hopeless; /* refused even when asked a last time */
};

struct queue {
	struct queue_port port;
	unsigned destinations;
	uint64_t last_id;
	bool is_hurried;
	int64_t deadline_ms;
	struct sender sender[DESTINATIONS_MAX];
	size_t count;
	struct export_item *item[QUEUE_MAX]; /* oldest first */
};

#define BIT(destination) (1u << (destination))

struct queue *
queue_new(unsigned destinations, const struct queue_port *port)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->port = *port;
	queue->destinations = destinations;
	queue->deadline_ms = INT64_MAX;
	return queue;
}

static void
release(struct queue *queue, struct export_item *item)
{
	queue->port.release(queue->port.context, item);
	free(item);
}

void
queue_free(struct queue *queue)
{
	if (!queue)
		return;
	for (size_t i = 0; i < queue->count; i++)
		release(queue, queue->item[i]);
	free(queue);
}

static void
remove_item(struct queue *queue, struct export_item *item)
{
	size_t at = 0;

	while (queue->item[at] != item)
		at++;
	queue->count--;
	memmove(&queue->item[at], &queue->item[at + 1], (queue->count - at) * sizeof(queue->item[0]));
	release(queue, item);
}

static bool
is_complete(const struct queue *queue, const struct export_item *item)
{
	return item->accepted == BIT(queue->destinations) - 1;
}

/* Numbers within a launch, the clock between launches. */
static bool
is_older(const struct export_item *a, const struct export_item *b)
{
	if (strcmp(a->facts.runtime_id, b->facts.runtime_id) == 0)
		return a->facts.sequence < b->facts.sequence;
	return a->facts.end_ns < b->facts.end_ns;
}

static void
finish_if_complete(struct queue *queue, struct export_item *item)
{
	if (!is_complete(queue, item) || item->in_flight)
		return;
	queue->port.done(queue->port.context, item);
	remove_item(queue, item);
}

int
queue_add(struct queue *queue, const struct export_item *item, struct export_item **ret)
{
	if (queue->count == QUEUE_MAX)
		return -ENOBUFS;
	struct export_item *added = malloc(sizeof(*added));
	if (!added)
		return -ENOMEM;
	*added = *item;
	added->id = ++queue->last_id;

	size_t at = queue->count++;
	for (; at > 0 && is_older(added, queue->item[at - 1]); at--)
		queue->item[at] = queue->item[at - 1];
	queue->item[at] = added;
	*ret = is_complete(queue, added) ? NULL : added;
	finish_if_complete(queue, added);
	return 0;
}

void
queue_drop(struct queue *queue, struct export_item *item)
{
	if (item->in_flight)
		item->is_unwanted = true;
	else
		remove_item(queue, item);
}

/* ---- one destination ---- */

static bool
lacks(const struct export_item *item, unsigned destination)
{
	return !(item->accepted & BIT(destination)) && !item->is_left_out && !item->is_unwanted;
}

static struct export_item *
oldest(const struct queue *queue, unsigned destination, bool is_set_aside)
{
	for (size_t i = 0; i < queue->count; i++)
		if (lacks(queue->item[i], destination) &&
		    !(queue->item[i]->set_aside & BIT(destination)) == !is_set_aside)
			return queue->item[i];
	return NULL;
}

/* What was set aside has its turn now and then, and only while others are taken. */
static struct export_item *
next_item(const struct queue *queue, unsigned destination, int64_t now_ms)
{
	const struct sender *sender = &queue->sender[destination];
	struct export_item *next = oldest(queue, destination, /* is_set_aside= */ false);
	struct export_item *aside = now_ms < sender->next_probe_ms || (next && sender->retry.failures > 0)
					    ? NULL
					    : oldest(queue, destination, /* is_set_aside= */ true);

	return aside ? aside : next;
}

static void
tell(struct queue *queue, unsigned destination, const struct delivery_answer *answer)
{
	struct sender *sender = &queue->sender[destination];

	bool did_not_pass = answer->verdict == ANSWER_TEMPORARY && sender->retry.failures == 2;

	if (sender->was_told && sender->state == answer->verdict && sender->status == answer->status &&
	    !did_not_pass)
		return;
	sender->was_told = true;
	sender->state = answer->verdict;
	sender->status = answer->status;
	queue->port.changed(queue->port.context, destination, answer, sender->retry.failures);
}

/* Taken after it was refused: whatever was wrong, all of them may be taken now. */
static void
forgive(struct queue *queue, unsigned destination)
{
	for (size_t i = 0; i < queue->count; i++)
		queue->item[i]->set_aside &= ~BIT(destination);
}

static int64_t
probe_time(struct queue *queue, int64_t now_ms)
{
	struct retry retry = {0};

	retry_refused(&retry, -1, queue->port.random(queue->port.context), now_ms);
	return retry.next_ms;
}

void
queue_answer(struct queue *queue, unsigned destination, const struct delivery_answer *answer, int64_t now_ms)
{
	struct sender *sender = &queue->sender[destination];
	struct export_item *item = sender->item;

	if (!item)
		return;
	sender->item = NULL;
	item->in_flight &= ~BIT(destination);
	switch (answer->verdict) {
	case ANSWER_ACCEPTED:
		item->accepted |= BIT(destination);
		if (item->set_aside & BIT(destination))
			forgive(queue, destination);
		retry_succeeded(&sender->retry);
		queue->port.accepted(queue->port.context, destination, item, answer);
		break;
	case ANSWER_TEMPORARY:
		retry_failed(&sender->retry, answer->retry_after_ms, queue->is_hurried,
			     queue->port.random(queue->port.context), now_ms);
		break;
	case ANSWER_REFUSES:
		sender->is_hopeless = queue->is_hurried;
		retry_refused(&sender->retry, answer->retry_after_ms, queue->port.random(queue->port.context),
			      now_ms);
		break;
	case ANSWER_PROFILE_REFUSED:
		item->set_aside |= BIT(destination);
		sender->next_probe_ms = probe_time(queue, now_ms);
		retry_succeeded(&sender->retry);
		break;
	}
	tell(queue, destination, answer);
	if (item->is_unwanted && !item->in_flight)
		remove_item(queue, item);
	else
		finish_if_complete(queue, item);
}

static void
advance_sender(struct queue *queue, unsigned destination, int64_t now_ms)
{
	struct sender *sender = &queue->sender[destination];

	while (!sender->item && now_ms >= sender->retry.next_ms) {
		struct delivery_answer answer = {.retry_after_ms = -1};
		struct export_item *item = next_item(queue, destination, now_ms);

		if (!item)
			return;
		sender->item = item;
		item->in_flight |= BIT(destination);
		if (!queue->port.start(queue->port.context, destination, item, &answer))
			queue_answer(queue, destination, &answer, now_ms);
	}
}

void
queue_advance(struct queue *queue, int64_t now_ms)
{
	for (unsigned i = 0; i < queue->destinations; i++)
		advance_sender(queue, i, now_ms);
}

void
queue_hurry(struct queue *queue, int64_t deadline_ms, int64_t now_ms)
{
	queue->is_hurried = true;
	queue->deadline_ms = deadline_ms;
	for (unsigned i = 0; i < queue->destinations; i++)
		retry_hurry(&queue->sender[i].retry, now_ms);
}

bool
queue_is_hurried(const struct queue *queue)
{
	return queue->is_hurried;
}

bool
queue_has_hope(const struct queue *queue)
{
	for (unsigned i = 0; i < queue->destinations; i++)
		if (queue->sender[i].item ||
		    (oldest(queue, i, /* is_set_aside= */ false) && !queue->sender[i].is_hopeless &&
		     queue->sender[i].retry.next_ms <= queue->deadline_ms))
			return true;
	return false;
}

static int64_t
next_of_sender(const struct queue *queue, unsigned destination, int64_t now_ms)
{
	const struct sender *sender = &queue->sender[destination];

	int64_t next = sender->retry.next_ms > now_ms ? sender->retry.next_ms : now_ms;

	if (sender->item)
		return INT64_MAX;
	if (oldest(queue, destination, /* is_set_aside= */ false))
		return next;
	if (oldest(queue, destination, /* is_set_aside= */ true))
		return sender->next_probe_ms > next ? sender->next_probe_ms : next;
	return INT64_MAX;
}

int64_t
queue_next_ms(const struct queue *queue, int64_t now_ms)
{
	int64_t earliest = INT64_MAX;

	for (unsigned i = 0; i < queue->destinations; i++) {
		int64_t next = next_of_sender(queue, i, now_ms);

		earliest = next < earliest ? next : earliest;
	}
	return earliest;
}

bool
queue_is_in_flight(const struct queue *queue)
{
	for (unsigned i = 0; i < queue->destinations; i++)
		if (queue->sender[i].item)
			return true;
	return false;
}

unsigned
queue_waiting(const struct queue *queue, unsigned destination)
{
	unsigned count = 0;

	for (size_t i = 0; i < queue->count; i++)
		count += !(queue->item[i]->accepted & BIT(destination));
	return count;
}

struct export_item *
queue_at(const struct queue *queue, size_t index)
{
	return index < queue->count ? queue->item[index] : NULL;
}
