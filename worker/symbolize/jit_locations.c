#include "worker/symbolize/jit_locations.h"

#include "worker/profile/decode.h"
#include "worker/profile/jit_mapping.h"
#include "worker/profile/record_table.h"

#include <string.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Sample Sample;

struct line_record {
	uint64_t function_id; /* key: */
	int64_t line;
	uint64_t location_id; /* of the first that has it */
};

struct alias_record {
	uint64_t id; /* key: of a location that is dropped */
	uint64_t kept_id;
};

struct job {
	Profile *profile;
	struct budget *budget;
	struct record_table mappings; /* ids */
	struct record_table lines;
	struct record_table aliases;
};

static bool
is_jit_name(const Profile *profile, int64_t index)
{
	uint32_t unused;

	return jit_mapping_parse(pprof_string(profile, index), &unused);
}

/* Strings go out whether anything refers to them or not. (A process that is called so, label and all, is
 * called "jit" from here on.) */
static void
overwrite_name(const Profile *profile, int64_t index)
{
	static const char plain[] = "jit";
	char *name = profile->string_table[index];

	memcpy(name, plain, sizeof(plain)); /* shorter than any that is parsed */
}

static int
take_mappings(struct job *job)
{
	Profile *profile = job->profile;
	size_t kept = 0;

	for (size_t i = 0; i < profile->n_mapping; i++) {
		uint32_t unused;

		if (!is_jit_name(profile, profile->mapping[i]->filename))
			continue;
		int error = record_table_put(&job->mappings, job->budget, &profile->mapping[i]->id, &unused);
		if (error)
			return error;
	}
	for (size_t i = 0; i < profile->n_mapping; i++) {
		Mapping *mapping = profile->mapping[i];

		if (record_table_find(&job->mappings, &mapping->id) == HASH_INDEX_NONE)
			profile->mapping[kept++] = mapping;
		else if (is_jit_name(profile, mapping->filename))
			overwrite_name(profile, mapping->filename);
	}
	profile->n_mapping = kept;
	return 0;
}

/* True: another location stands for it. */
static int
merge(struct job *job, const Location *location, bool *ret_is_dropped)
{
	struct line_record line = {
		.function_id = location->line[0]->function_id,
		.line = location->line[0]->line,
		.location_id = location->id,
	};
	struct alias_record alias = {.id = location->id};
	uint32_t number;
	int error = record_table_put(&job->lines, job->budget, &line, &number);

	if (error)
		return error;
	alias.kept_id = ((const struct line_record *)record_table_at(&job->lines, number))->location_id;
	*ret_is_dropped = alias.kept_id != alias.id;
	return *ret_is_dropped ? record_table_put(&job->aliases, job->budget, &alias, &number) : 0;
}

static int
hide_locations(struct job *job)
{
	Profile *profile = job->profile;
	size_t kept = 0;

	for (size_t i = 0; i < profile->n_location; i++) {
		Location *location = profile->location[i];
		bool is_dropped = false;

		if (location->mapping_id &&
		    record_table_find(&job->mappings, &location->mapping_id) != HASH_INDEX_NONE) {
			location->mapping_id = location->address = 0;
			int error = location->n_line == 1 ? merge(job, location, &is_dropped) : 0;
			if (error)
				return error;
		}
		if (!is_dropped)
			profile->location[kept++] = location;
	}
	profile->n_location = kept;
	return 0;
}

static void
follow_aliases(const struct job *job, Sample *sample)
{
	for (size_t i = 0; i < sample->n_location_id; i++) {
		uint32_t number = record_table_find(&job->aliases, &sample->location_id[i]);

		if (number != HASH_INDEX_NONE)
			sample->location_id[i] =
				((const struct alias_record *)record_table_at(&job->aliases, number))
					->kept_id;
	}
}

int
jit_locations_hide(Profile *profile, struct budget *budget)
{
	struct job job = {
		.profile = profile,
		.budget = budget,
		.mappings = RECORD_TABLE(uint64_t, sizeof(uint64_t)),
		.lines = RECORD_TABLE(struct line_record, offsetof(struct line_record, location_id)),
		.aliases = RECORD_TABLE(struct alias_record, sizeof(uint64_t)),
	};
	int error = take_mappings(&job);

	if (!error && job.mappings.count > 0)
		error = hide_locations(&job);
	for (size_t i = 0; i < profile->n_sample && !error && job.aliases.count > 0; i++)
		follow_aliases(&job, profile->sample[i]);
	record_table_clear(&job.mappings, budget);
	record_table_clear(&job.lines, budget);
	record_table_clear(&job.aliases, budget);
	return error;
}
