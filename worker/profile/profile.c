/* Samples in: intern the stack from its root, then add the values to the one sample of this stack and
 * thread. Everything is compared in full; hashes only find candidates. */
#include "worker/profile/profile.h"

#include "worker/profile/tables.h"

#include <errno.h>
#include <stdlib.h>

struct profile *
profile_new(size_t memory_limit_bytes)
{
	struct profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return NULL;
	profile->budget.limit = memory_limit_bytes;
	profile->locations = RECORD_TABLE(struct location_record, sizeof(struct location_record));
	profile->nodes = RECORD_TABLE(struct node_record, offsetof(struct node_record, location));
	profile->samples = RECORD_TABLE(struct sample_record, SAMPLE_KEY_SIZE);
	profile->pseudo_frames = RECORD_TABLE(struct pseudo_record, sizeof(struct pseudo_record));
	return profile;
}

void
profile_clear(struct profile *profile)
{
	/* Freed, not kept for reuse: the next period may need its memory in other tables. */
	string_table_clear(&profile->strings, &profile->budget);
	record_table_clear(&profile->locations, &profile->budget);
	record_table_clear(&profile->nodes, &profile->budget);
	record_table_clear(&profile->samples, &profile->budget);
	profile->recent.depth = 0;
	profile->depth_max = 0;
	profile->sample_count = 0;
}

void
profile_free(struct profile *profile)
{
	if (!profile)
		return;
	profile_clear(profile);
	string_table_clear(&profile->pseudo_strings, &profile->budget);
	record_table_clear(&profile->pseudo_frames, &profile->budget);
	free(profile);
}

uint64_t
profile_pseudo_frame(struct profile *profile, const char *function, const char *filename)
{
	struct pseudo_record record;
	uint32_t number;

	if (string_table_put(&profile->pseudo_strings, &profile->budget, function, &record.function) ||
	    string_table_put(&profile->pseudo_strings, &profile->budget, filename, &record.filename) ||
	    record_table_put(&profile->pseudo_frames, &profile->budget, &record, &number))
		return 0;
	return (uint64_t)number + 1;
}

static bool
is_pseudo_frame_unknown(const struct profile *profile, const struct profile_frame *frame)
{
	return frame->mapping == 0 && (frame->address == 0 || frame->address > profile->pseudo_frames.count);
}

static int
add_node(struct profile *profile, struct node_record *record, uint32_t *ret)
{
	struct location_record location = {.mapping = record->mapping, .address = record->address};
	int error = record_table_put(&profile->locations, &profile->budget, &location, &record->location);

	if (error)
		return error;
	record->depth = 1;
	if (record->caller)
		record->depth +=
			((const struct node_record *)record_table_at(&profile->nodes, record->caller - 1))
				->depth;
	error = record_table_put(&profile->nodes, &profile->budget, record, ret);
	if (!error && record->depth > profile->depth_max)
		profile->depth_max = record->depth;
	return error;
}

/* The node one frame below `*node`. */
static int
push_frame(struct profile *profile, const struct profile_frame *frame, uint32_t *node)
{
	struct node_record record = {.address = frame->address, .mapping = frame->mapping, .caller = *node};
	uint32_t number = record_table_find(&profile->nodes, &record);

	if (number == HASH_INDEX_NONE) {
		int error = add_node(profile, &record, &number);
		if (error)
			return error;
	}
	*node = number + 1;
	return 0;
}

static bool
is_same_frame(const struct profile_frame *a, const struct profile_frame *b)
{
	return a->address == b->address && a->mapping == b->mapping;
}

/* The same, through the stack added last, of which this one has the first `depth` frames. */
static int
push_frame_at(struct profile *profile, size_t depth, const struct profile_frame *frame, uint32_t *node)
{
	struct recent_stack *recent = &profile->recent;

	if (depth < recent->depth && is_same_frame(&recent->frames[depth], frame)) {
		*node = recent->nodes[depth];
		return 0;
	}
	int error = push_frame(profile, frame, node);
	if (error || depth >= RECENT_DEPTH)
		return error;
	recent->frames[depth] = *frame;
	recent->nodes[depth] = *node;
	recent->depth = depth + 1;
	return 0;
}

static int
intern_sample(struct profile *profile, const struct profile_sample *sample, struct sample_record *ret)
{
	size_t depth = 0;
	int error;

	*ret = (struct sample_record){.pid = sample->pid, .tid = sample->tid};
	for (size_t i = sample->frame_count; i > 0; i--) {
		const struct profile_frame *frame = &sample->frames[i - 1];

		if (is_pseudo_frame_unknown(profile, frame))
			continue;
		error = push_frame_at(profile, depth++, frame, &ret->node);
		if (error)
			return error;
	}
	error = string_table_put(&profile->strings, &profile->budget, sample->process_name,
				 &ret->process_name);
	if (error)
		return error;
	return string_table_put(&profile->strings, &profile->budget, sample->thread_name, &ret->thread_name);
}

static void
add_saturating(int64_t *sum, int64_t value)
{
	int64_t result;

	if (__builtin_add_overflow(*sum, value, &result))
		result = value > 0 ? INT64_MAX : INT64_MIN;
	*sum = result;
}

int
profile_add(struct profile *profile, const struct profile_sample *sample)
{
	struct sample_record record, *stored;
	uint32_t number;
	int error;

	error = intern_sample(profile, sample, &record);
	if (!error)
		error = record_table_put(&profile->samples, &profile->budget, &record, &number);
	if (error)
		return error;
	stored = record_table_at(&profile->samples, number);
	add_saturating(&stored->cpu_time_ns, sample->cpu_time_ns);
	add_saturating(&stored->count, sample->count);
	add_saturating(&profile->sample_count, sample->count);
	return 0;
}

size_t
profile_sample_count(const struct profile *profile)
{
	return (size_t)profile->sample_count;
}
