/* A handful per program: searched one by one. */

#include "worker/unwind/root_tails.h"

#include <string.h>

static struct root_tail *
find(struct root_tails *tails, uint32_t program, const struct frame *call)
{
	for (size_t i = 0; i < tails->count; i++)
		if (tails->tail[i].program == program && frame_equals(&tails->tail[i].call, call))
			return &tails->tail[i];
	return NULL;
}

/* A walk may have got into the start code itself: then what is left of the tail. */
static int
callers_in(const struct root_tail *tail, const struct frame *call, const struct frame **ret_callers)
{
	const struct frame *end = tail->callers + tail->count;

	*ret_callers = tail->callers;
	if (frame_equals(&tail->call, call))
		return tail->count;
	while (*ret_callers < end)
		if (frame_equals((*ret_callers)++, call))
			return (int)(end - *ret_callers);
	return -1;
}

int
root_tails_find(const struct root_tails *tails, uint32_t program, const struct frame *call,
		const struct frame **ret_callers)
{
	for (size_t i = 0; i < tails->count; i++) {
		if (tails->tail[i].program != program || tails->tail[i].is_ambiguous)
			continue;
		int count = callers_in(&tails->tail[i], call, ret_callers);
		if (count >= 0)
			return count;
	}
	return -1;
}

static bool
is_same(const struct root_tail *tail, const struct frame *callers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (i >= tail->count || !frame_equals(&tail->callers[i], &callers[i]))
			return false;
	return tail->count == count;
}

bool
root_tails_learn(struct root_tails *tails, uint32_t program, const struct frame *frames, size_t count,
		 size_t call)
{
	const struct frame *callers = frames + call + 1;
	size_t caller_count = count - call - 1;
	struct root_tail *tail;

	if (caller_count > ROOT_TAIL_FRAMES)
		return false;
	tail = find(tails, program, &frames[call]);
	if (tail) {
		tail->is_ambiguous |= !is_same(tail, callers, caller_count);
		return false;
	}
	if (tails->count == ROOT_TAILS_MAX)
		return false;
	tail = &tails->tail[tails->count++];
	*tail = (struct root_tail){.program = program, .call = frames[call], .count = (uint8_t)caller_count};
	memcpy(tail->callers, callers, caller_count * sizeof(*callers));
	return true;
}
