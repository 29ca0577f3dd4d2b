#pragma once
/* The steps of ddprof-launch between its command line and the target's first instruction. None of them
 * changes anything the target will inherit, but for what --drop_caps promises. */

#include "ipc/failure.h"
#include "ipc/log.h"
#include "launcher/destinations.h"
#include "launcher/options.h"

#include <stdbool.h>
#include <stdint.h>

/* Where messages go, decided once (log_destination.c). Before the target runs, standard error will do
 * whatever it is; afterwards only `worker`. */
struct log_destination {
	struct log launcher;
	struct log worker; /* its descriptor is owned, close-on-exec and passed to the worker */
};
void log_destination_open(const struct launch_options *options, struct log_destination *ret);

/* Asks the opener to profile the calling process from its next exec on, and waits for the answer. `output` is
 * the folder for profiles, "" for none; the rest of where they go is in `delivery`. `wait_fd` is the worker's
 * end of the wait channel, or -1. On success *ret_channel stays open until exec (close-on-exec: that is how
 * the worker learns of it). */
struct launch_outcome {
	enum failure failure;
	int error; /* errno, or 0 */
};
struct launch_outcome launch_start(const struct launch_options *options, const struct log_destination *log,
				   const char *output, const struct delivery_fds *delivery, int wait_fd,
				   int *ret_channel);

/* Between these two, SIGPIPE and SIGXFSZ do not end this process (write_signals.c). */
void write_signals_ignore(void);
void write_signals_restore(void);

/* Whether the caller has all that --keep_cap names: 0, or -EPERM after saying what it does not have. */
int target_check_kept(const struct launch_options *options, const struct log *log);

/* What --drop_caps takes from the calling process, for ever: all capabilities but `kept` (a mask as in
 * policy/kept_capabilities.h), privileges to come (no_new_privs), and the calls that policy/syscalls.c
 * refuses a target. Each is read back. 0, or -errno after saying what failed, with the rest untouched. */
int target_lose_privileges(uint64_t kept, const struct log *log);

/* Becomes the command, after the above if the options ask for it. Returns only when that is impossible, after
 * saying so: 125, 126 or 127. `channel` (or -1) is told first, so that no profile of nothing is written. */
int target_execute(const struct launch_options *options, char *const command[], const struct log *log,
		   int channel);

/* --wait: runs `launch` (which does not return) in a child in the same process group, forwards signals and
 * stops, waits for the last profile, and ends like the child ended. With --drop_caps it first loses what the
 * child will lose. `output`: the folder for profiles, for its last line. */
int wait_for_target(const struct launch_options *options, const struct log_destination *log,
		    const char *output, int (*launch)(void *context, int wait_fd), void *context);
