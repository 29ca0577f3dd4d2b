#pragma once
/* What an attacker needs to play a part in our protocol: a program of ours with sockets of the attacker's at
 * its fixed descriptors, the parts of a valid request to lie with, and the proof that nothing is left over.
 */

#include "ipc/channel.h"

#include <stdbool.h>
#include <sys/types.h>

/* How the child is started; everything else of ours that is not close-on-exec is left for it to find. */
enum peer_start_flag {
	PEER_TRACED = 1,       /* stopped at its first instruction, for ptrace(2) */
	PEER_SHARES_FS = 2,    /* with us: working folder and umask (clone(2), CLONE_FS) */
	PEER_CLOSED_SHIFT = 4, /* bits 4-6: standard descriptors it starts without */
};

/* fork and exec with this environment, the channels at descriptors 3 and 4; -1: closed. */
pid_t peer_start(char *const argv[], char *const envp[], int launch, int handover, unsigned flags);

struct worker_config peer_config(void);
int peer_seal(const void *bytes, size_t size); /* as the launcher seals its configuration */
struct launch_request peer_request(void);      /* one that is granted */
#define PEER_LAUNCH_FDS 3
void peer_launch_fds(
	int ret_fds[static PEER_LAUNCH_FDS]); /* what comes with it: configuration, folder, delivery */
void peer_send_raw(int channel, uint32_t kind, uint32_t size_in_head, const void *body, size_t size,
		   const int *fds, size_t fd_count);

/* Reads until the other side has closed. Any descriptor that arrives ends the test: nobody sends us one.
 * The failure of the first message of that kind, or -1 when there was none. */
int peer_wait_for(int channel, enum message_kind kind);

/* The status of `child` and, because we are a child subreaper, the end of everything it left behind. Ends the
 * test when that takes more than 20 s. */
int peer_reap_all(pid_t child);
