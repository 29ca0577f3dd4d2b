#pragma once
/* One profile at a time on its way to each destination: its bytes as that destination wants them, written to
 * a file at once, or sent while others are. */

#include "worker/export/network.h"

struct transfers;

/* All borrowed. `network` may be NULL when no destination is on the network, or when it could not be had:
 * `problem` then says why, and is what those destinations answer. */
struct transfers *transfers_new(const struct delivery_config *config, const struct network *network,
				const char *problem);
void transfers_free(struct transfers *transfers); /* after the network */

/* Makes of a profile what the destination wants; what it was the last time, if it is the same one. False:
 * *ret says what is wrong. */
bool transfers_prepare(struct transfers *transfers, unsigned destination, const struct export_item *item,
		       struct delivery_answer *ret);

/* Writes or begins to send what was prepared. As the queue wants it of start(): true, and the network will
 * have the answer, or *ret is it. May wait for a name server. */
bool transfers_start(struct transfers *transfers, unsigned destination, bool is_hurried,
		     struct delivery_answer *ret);

/* Whose answer the network has. */
unsigned transfers_destination(const struct transfers *transfers, const void *transfer);

/* The name of the file that was just written for a destination; "" if it is none. */
const char *transfers_file_name(const struct transfers *transfers, unsigned destination);

/* The destination is done with its profile, for better or worse. */
void transfers_forget(struct transfers *transfers, unsigned destination);
