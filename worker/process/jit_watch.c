#include "worker/process/jit_watch.h"

#include <string.h>

/* A map that is looked for every five seconds costs nothing; code that runs that long without one mostly has
 * none. */
#define INTERVAL_FIRST_NS ((int64_t)50000000)
#define INTERVAL_LAST_NS ((int64_t)5000000000)

static size_t
find(const struct jit_watch *watch, uint32_t pid)
{
	size_t i = 0;

	while (i < watch->count && watch->process[i].pid != pid)
		i++;
	return i;
}

static void
remove_at(struct jit_watch *watch, size_t index)
{
	watch->count--;
	memmove(&watch->process[index], &watch->process[index + 1],
		(watch->count - index) * sizeof(watch->process[0]));
}

void
jit_watch_add(struct jit_watch *watch, uint32_t pid)
{
	size_t index = find(watch, pid);

	if (index < watch->count && !watch->process[index].has_ended)
		return;
	if (index == JIT_WATCH_MAX) {
		remove_at(watch, 0);
		index--;
	}
	if (index == watch->count)
		watch->count++;
	watch->process[index].pid = pid;
	watch->process[index].is_held = watch->process[index].has_ended = false;
	watch->process[index].next_ns = 0;
	watch->process[index].interval_ns = INTERVAL_FIRST_NS;
}

void
jit_watch_end(struct jit_watch *watch, uint32_t pid)
{
	size_t index = find(watch, pid);

	if (index == watch->count)
		return;
	watch->process[index].has_ended = true;
	watch->process[index].next_ns = 0;
}

void
jit_watch_ask(struct jit_watch *watch, int64_t now_ns, jit_watch_hold *hold, void *context)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->count; i++) {
		bool is_due = !watch->process[i].is_held && now_ns >= watch->process[i].next_ns;

		if (is_due) {
			watch->process[i].is_held = hold(context, watch->process[i].pid) == 0;
			watch->process[i].next_ns = now_ns + watch->process[i].interval_ns;
			watch->process[i].interval_ns *= 2;
		}
		if (watch->process[i].interval_ns > INTERVAL_LAST_NS)
			watch->process[i].interval_ns = INTERVAL_LAST_NS;
		if (!watch->process[i].has_ended)
			watch->process[kept++] = watch->process[i];
	}
	watch->count = kept;
}
