/* Samples in: find the stack, then add the values to the one sample of this stack and thread. Everything is
 * compared in full; hashes only find candidates. */
#include "worker/profile/profile.h"

#include "worker/profile/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct profile *
profile_new(size_t memory_limit_bytes)
{
	struct profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return NULL;
	profile->budget.limit = memory_limit_bytes;
	profile->wide = RECORD_TABLE(struct location_record, sizeof(struct location_record));
	profile->samples = RECORD_TABLE(struct sample_record, SAMPLE_KEY_SIZE);
	profile->pseudo_frames = RECORD_TABLE(struct pseudo_record, sizeof(struct pseudo_record));
	return profile;
}

void
profile_clear(struct profile *profile)
{
	/* Freed, not kept for reuse: the next period may need its memory in other tables. */
	string_table_clear(&profile->strings, &profile->budget);
	memset(profile->known_names, 0, sizeof(profile->known_names));
	stack_table_clear(&profile->stacks, &profile->budget);
	record_table_clear(&profile->wide, &profile->budget);
	record_table_clear(&profile->samples, &profile->budget);
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

static __attribute__((noinline)) int
pack_wide_frame(struct profile *profile, const struct profile_frame *frame, uint64_t *ret)
{
	struct location_record record = {.address = frame->address, .mapping = frame->mapping};
	uint32_t number;
	int error = record_table_put(&profile->wide, &profile->budget, &record, &number);

	if (!error)
		*ret = FRAME_IS_WIDE | number;
	return error;
}

static int
intern_stack(struct profile *profile, const struct profile_sample *sample, uint32_t *ret)
{
	size_t depth = 0;
	int error;
	uint64_t *stack = stack_table_begin(&profile->stacks, &profile->budget, sample->frame_count, &error);

	if (!stack)
		return error;
	for (size_t i = 0; i < sample->frame_count; i++) {
		const struct profile_frame *frame = &sample->frames[i];

		if (__builtin_expect(is_pseudo_frame_unknown(profile, frame), 0))
			continue;
		stack[depth] = (uint64_t)frame->mapping << FRAME_ADDRESS_BITS | frame->address;
		if (__builtin_expect(
			    frame->address >> FRAME_ADDRESS_BITS | frame->mapping >> FRAME_MAPPING_BITS, 0))
			error = pack_wide_frame(profile, frame, &stack[depth]);
		if (error)
			return error;
		depth++;
	}
	return stack_table_put(&profile->stacks, &profile->budget, depth, ret);
}

static int
intern_names(struct profile *profile, const char *process, const char *thread, struct sample_record *ret)
{
	int error = string_table_put(&profile->strings, &profile->budget, process, &ret->process_name);

	return error ? error
		     : string_table_put(&profile->strings, &profile->budget, thread, &ret->thread_name);
}

static bool
is_same_name(const char known[static KNOWN_NAME_BYTES], const char *name)
{
	return strncmp(known, name, KNOWN_NAME_BYTES) == 0; /* what is known ends within */
}

static int
find_names(struct profile *profile, const struct profile_sample *sample, struct sample_record *ret)
{
	struct known_names *known = &profile->known_names[sample->tid % KNOWN_NAMES];
	const char *process = sample->process_name ? sample->process_name : "";
	const char *thread = sample->thread_name ? sample->thread_name : "";

	if (known->process_name && is_same_name(known->process, process) &&
	    is_same_name(known->thread, thread)) {
		ret->process_name = known->process_name;
		ret->thread_name = known->thread_name;
		return 0;
	}
	int error = intern_names(profile, process, thread, ret);
	if (error || strlen(process) >= KNOWN_NAME_BYTES || strlen(thread) >= KNOWN_NAME_BYTES)
		return error;
	known->process_name = ret->process_name;
	known->thread_name = ret->thread_name;
	strcpy(known->process, process);
	strcpy(known->thread, thread);
	return 0;
}

static int
intern_sample(struct profile *profile, const struct profile_sample *sample, struct sample_record *ret)
{
	int error;

	*ret = (struct sample_record){.pid = sample->pid, .tid = sample->tid};
	error = intern_stack(profile, sample, &ret->stack);
	return error ? error : find_names(profile, sample, ret);
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
