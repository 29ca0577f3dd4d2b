#pragma once
/* A recording in, a finished profile out. */

#include "worker/replay/files.h"
#include "worker/replay/recording.h"

struct replay_result {
	struct ledger ledger;
	uint64_t other_samples; /* of events that were not counted */
	bool counts_time;       /* the event does; else the profile counts samples only */
	bool is_cut;
};

/* `end_ns` is the recording's end, CLOCK_REALTIME. *ret_profile: a memfd with the symbolised pprof message,
 * owned by the caller. 0 or -errno. */
int replay_recording(struct recording *recording, struct replay_files *files, int64_t end_ns,
		     struct replay_result *ret, int *ret_profile);
