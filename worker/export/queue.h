#pragma once
/* Which profile goes where next. Every destination is served by itself: oldest first, one at a time, with a
 * backoff of its own, so that one that is down holds up nobody else. Knows no file and no network: those are
 * behind struct queue_port. */

#include "worker/export/format.h"
#include "worker/export/retry.h"

struct spool_file;

/* A profile that waits. */
struct export_item {
	uint64_t id;                             /* never used again in this process */
	bool is_own;                             /* of this launch: the supervisor knows its sequence */
	bool is_left_out;                        /* ended the exporter before: kept, never touched */
	bool is_unwanted;                        /* dropped while it was in flight */
	uint32_t accepted, set_aside, in_flight; /* bit i: destination i */
	int fd;                                  /* memfd of the pprof (owned); -1: in the spool */
	struct spool_file *file;                 /* owned; NULL: in memory */
	struct profile_facts facts;
};

struct delivery_answer {
	enum verdict_of_destination verdict;
	int status;             /* of HTTP, or 0 */
	int64_t retry_after_ms; /* -1: not said */
	uint64_t bytes;         /* that were sent */
	char words[256];        /* the server's, or what went wrong; printable */
};

struct queue_port {
	void *context;
	/* Begins to send. True: on its way, queue_answer() will follow. False: *ret is the answer already. */
	bool (*start)(void *context, unsigned destination, const struct export_item *item,
		      struct delivery_answer *ret);
	/* A destination has it. Called before anything else is done with the item. */
	void (*accepted)(void *context, unsigned destination, struct export_item *item,
			 const struct delivery_answer *answer);
	/* All have it. */
	void (*done)(void *context, struct export_item *item);
	/* A destination answered otherwise than it did before, or failed for the second time in a row. */
	void (*changed)(void *context, unsigned destination, const struct delivery_answer *answer,
			unsigned failures);
	/* The item leaves the queue: what it owns is to be given up. */
	void (*release)(void *context, struct export_item *item);
	uint64_t (*random)(void *context);
};

#define QUEUE_MAX 160 /* what the supervisor keeps, a window of the spool, and some to spare */

struct queue;

/* `destinations` (at most DESTINATIONS_MAX) are told apart by their index only. NULL: no memory. */
struct queue *queue_new(unsigned destinations, const struct queue_port *port);
void queue_free(struct queue *queue); /* releases every item */

/* Takes its place by age. The queue owns a copy of *item from then on, without its id, which is set. 0,
 * -ENOBUFS or -ENOMEM (the caller keeps it). An item that every destination has is done at once. */
int queue_add(struct queue *queue, const struct export_item *item, struct export_item **ret);

/* Gives up an item. What is in flight is still waited for. */
void queue_drop(struct queue *queue, struct export_item *item);

/* Starts whatever is due. */
void queue_advance(struct queue *queue, int64_t now_ms);

/* The answer to what was started for a destination. */
void queue_answer(struct queue *queue, unsigned destination, const struct delivery_answer *answer,
		  int64_t now_ms);

/* The target is gone: ask again at once and then in short intervals, until the deadline. */
void queue_hurry(struct queue *queue, int64_t deadline_ms, int64_t now_ms);
bool queue_is_hurried(const struct queue *queue);

/* Whether any waiting profile may still be accepted before the deadline of queue_hurry() (without: ever). Who
 * refuses after that gives no hope, however long the grace. */
bool queue_has_hope(const struct queue *queue);

/* When queue_advance() has something to do; INT64_MAX: not before an answer or a new item. */
int64_t queue_next_ms(const struct queue *queue, int64_t now_ms);

bool queue_is_in_flight(const struct queue *queue);
unsigned queue_waiting(const struct queue *queue, unsigned destination); /* items it does not have */

/* The items, oldest first; NULL after the last. */
struct export_item *queue_at(const struct queue *queue, size_t index);
