#pragma once
/* The phases of ddprof-perf-open, in the order main() calls them. Each either succeeds or ends the
 * process through die(), which tells the launcher why. */

#include "ipc/failure.h"
#include "ipc/rings.h"

#include <sys/types.h>

struct opening {
	struct launch_request request;
	int launcher_fd[LAUNCH_FD_COUNT]; /* passed on unread; -1: not attached */
	pid_t parent;
	int supervisor; /* hand-over channel */
	struct ring_set rings;
};

_Noreturn void die(enum failure failure, int error);

void make_process_sane(struct opening *opening);
void install_fence(void);
void receive_request(struct opening *opening);
void start_supervisor(struct opening *opening);
void open_events(struct opening *opening);
void map_rings(struct opening *opening);
void drop_all_privileges(void);
void require_own_parent(const struct opening *opening);
void hand_over(struct opening *opening);
