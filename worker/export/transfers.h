#pragma once
/* One profile at a time on its way to each destination: its bytes as that destination wants them, written to
 * a file at once, or sent while others are. */

#include "worker/export/http.h"
#include "worker/export/queue.h"

struct transfers;

/* All borrowed. `client` may be NULL when no destination is on the network. */
struct transfers *transfers_new(const struct delivery_config *config, struct http_client *client);
void transfers_free(struct transfers *transfers); /* after the client */

/* What the queue's port wants of start(): true, and transfers_take() will have the answer, or *ret is it.
 * `pprof` is read only if it is needed: a profile that is sent again as it was is not made again. */
bool transfers_start(struct transfers *transfers, unsigned destination, const struct export_item *item,
		     bool is_hurried, struct delivery_answer *ret);

/* An answer of the network. */
bool transfers_take(struct transfers *transfers, unsigned *ret_destination, struct delivery_answer *ret);

/* The name of the file that was just written for a destination; "" if it is none. */
const char *transfers_file_name(const struct transfers *transfers, unsigned destination);

/* The destination is done with its profile, for better or worse. */
void transfers_forget(struct transfers *transfers, unsigned destination);
