#pragma once
/* Debug files that nobody has here come through the exporter from a debuginfod server, if the caller wants
 * that
 * (--debuginfod). The symbolizer waits for one, but not long; what comes later serves the next profile. */

#include "ipc/protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct fetched_files;
struct message;
struct role_process;

/* How long the symbolizer waits in all for one profile. */
#define FETCH_PATIENCE_MS 5000
struct fetch {
	struct fetched_files *files;         /* NULL: not wanted */
	char build_id[2 * MAX_BUILD_ID + 1]; /* what the exporter was asked for; "": nothing */
	bool is_asked;                       /* ... or will be, once there is an exporter */
	bool is_awaited;                     /* the symbolizer waits for it */
	int64_t patience_ms;                 /* that is left for this profile */
	int64_t asked_ms;                    /* CLOCK_MONOTONIC: when the symbolizer began to wait */
};

/* A descriptor (borrowed), -ENOENT (no server has it), -EAGAIN (perhaps later), or -EINPROGRESS: the answer
 * will be sent to the symbolizer when there is one. `build_id` is that of a file which was opened for a
 * mapping: a role that was taken over cannot make others of its own words. */
int fetch_debug_file(struct fetch *fetch, const char *build_id, struct role_process *exporter,
		     int64_t now_ms);

/* The exporter's FETCHED. False: nothing like it was asked for. */
bool fetch_take(struct fetch *fetch, struct message *message, struct role_process *symbolizer,
		int64_t now_ms);

/* Asks an exporter that has become ready, and ends the symbolizer's wait when its time is up. When it is to
 * be called again, or 0: no matter. */
int64_t fetch_advance(struct fetch *fetch, struct role_process *exporter, struct role_process *symbolizer,
		      int64_t now_ms);

/* The symbolizer died: its successor asked nothing, and an answer would be taken for that to another
 * question. */
void fetch_symbolizer_died(struct fetch *fetch);

/* The exporter died. */
void fetch_exporter_died(struct fetch *fetch, struct role_process *symbolizer);

/* A profile was symbolised: the next may wait again. */
void fetch_next_profile(struct fetch *fetch);
