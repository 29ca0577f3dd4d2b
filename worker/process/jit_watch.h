#pragma once
/* Processes that make code at run time, and whether the supervisor has the map of it. A process maps the
 * memory first and opens the file later, so the supervisor is asked again, ever less often. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JIT_WATCH_MAX 64 /* beyond it, the one that was met first is no longer asked for */

/* All zeroes is empty. */
struct jit_watch {
	struct {
		uint32_t pid;
		bool is_held, has_ended;
		int64_t next_ns, interval_ns;
	} process[JIT_WATCH_MAX]; /* oldest first */
	size_t count;
};

void jit_watch_add(struct jit_watch *watch, uint32_t pid); /* known ones stay as they are */
/* It ended, or became another program. The supervisor hears of it once more if it has no map: that may still
 * be there. */
void jit_watch_end(struct jit_watch *watch, uint32_t pid);

/* 0: the map is held; -errno: it is not, yet. */
typedef int jit_watch_hold(void *context, uint32_t pid);

/* Asks for those whose time has come. `now_ns` is of any clock that does not go back. */
void jit_watch_ask(struct jit_watch *watch, int64_t now_ns, jit_watch_hold *hold, void *context);
