/* One pass over the samples. Names are resolved once per location, into chains of function numbers, so a
 * sample costs a few array reads per frame. */
#include "worker/report/account.h"

#include "ipc/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Location Location;

/* A name longer than this is cut; nobody reads further. */
enum { NAME_SIZE = 4096 };

/* Ids in a profile are its own business: this finds what they stand for. */
struct id_record {
	uint64_t id; /* key */
	uint32_t number, zero;
};

/* The functions of one location, innermost first: functions[first] up to functions[first + count - 1]. */
struct location_functions {
	uint32_t first, count;
};

struct pass {
	struct account *account;
	const Profile *profile;
	struct arena arena;
	struct record_table function_ids, mapping_ids, location_ids;
	struct location_functions *locations;
	uint32_t *functions;
	size_t function_count;
};

void
account_init(struct account *account)
{
	*account = (struct account){.budget.limit = SIZE_MAX, .start_ns = INT64_MAX};
	account->functions = RECORD_TABLE(struct account_function, sizeof(uint32_t));
}

void
account_destroy(struct account *account)
{
	string_table_clear(&account->names, &account->budget);
	record_table_clear(&account->functions, &account->budget);
	free(account->type);
	free(account->unit);
}

static void
add_saturating(int64_t *sum, int64_t value)
{
	int64_t result;

	if (__builtin_add_overflow(*sum, value, &result))
		result = value > 0 ? INT64_MAX : INT64_MIN;
	*sum = result;
}

static uint32_t
find_id(const struct record_table *ids, uint64_t id)
{
	uint32_t found = record_table_find(ids, &id);

	if (found == HASH_INDEX_NONE)
		return HASH_INDEX_NONE;
	return ((const struct id_record *)record_table_at(ids, found))->number;
}

static int
index_ids(struct pass *pass)
{
	const Profile *profile = pass->profile;
	struct budget *budget = &pass->account->budget;
	uint32_t unused;
	int error = 0;

	for (uint32_t i = 0; i < profile->n_function && !error; i++)
		error = record_table_put(&pass->function_ids, budget,
					 &(struct id_record){.id = profile->function[i]->id, .number = i},
					 &unused);
	for (uint32_t i = 0; i < profile->n_mapping && !error; i++)
		error = record_table_put(&pass->mapping_ids, budget,
					 &(struct id_record){.id = profile->mapping[i]->id, .number = i},
					 &unused);
	for (uint32_t i = 0; i < profile->n_location && !error; i++)
		error = record_table_put(&pass->location_ids, budget,
					 &(struct id_record){.id = profile->location[i]->id, .number = i},
					 &unused);
	return error;
}

/* Adds the function of that name (made printable) to the current location. */
static int
push_function(struct pass *pass, const char *raw)
{
	struct account *account = pass->account;
	struct account_function function = {.last_sample = 0};
	char name[NAME_SIZE];
	int error;

	text_escape(name, sizeof(name), raw, strnlen(raw, sizeof(name)));
	error = string_table_put(&account->names, &account->budget, name, &function.name);
	if (error)
		return error;
	return record_table_put(&account->functions, &account->budget, &function,
				&pass->functions[pass->function_count++]);
}

/* Code nobody named: "libfoo.so+0x1234". */
static int
push_address(struct pass *pass, const Location *location)
{
	uint32_t mapping = find_id(&pass->mapping_ids, location->mapping_id);
	const char *base = mapping == HASH_INDEX_NONE
				   ? ""
				   : pprof_basename(pprof_string(pass->profile,
								 pass->profile->mapping[mapping]->filename));
	char name[NAME_SIZE + 32];

	pprof_address_name(name, strlen(base) < NAME_SIZE ? base : "", location->address);
	return push_function(pass, name);
}

static int
resolve_location(struct pass *pass, size_t number)
{
	const Location *location = pass->profile->location[number];
	int error = 0;

	pass->locations[number].first = (uint32_t)pass->function_count;
	for (size_t i = 0; i < location->n_line && !error; i++) {
		uint32_t found = find_id(&pass->function_ids, location->line[i]->function_id);
		const Perftools__Profiles__Function *function =
			found == HASH_INDEX_NONE ? NULL : pass->profile->function[found];
		const char *name = function ? pprof_string(pass->profile, function->name) : "";

		if (!name[0] && function)
			name = pprof_string(pass->profile, function->system_name);
		error = name[0] ? push_function(pass, name) : push_address(pass, location);
	}
	if (location->n_line == 0)
		error = push_address(pass, location);
	pass->locations[number].count = (uint32_t)pass->function_count - pass->locations[number].first;
	return error;
}

static int
resolve_locations(struct pass *pass)
{
	const Profile *profile = pass->profile;
	size_t functions = 1;
	int error = 0;

	for (size_t i = 0; i < profile->n_location; i++)
		functions += profile->location[i]->n_line + 1;
	pass->functions = arena_allocate_array(&pass->arena, functions, sizeof(*pass->functions));
	pass->locations = arena_allocate_array(&pass->arena, profile->n_location, sizeof(*pass->locations));
	if (!pass->functions || !pass->locations)
		return -ENOMEM;
	for (size_t i = 0; i < profile->n_location && !error; i++)
		error = resolve_location(pass, i);
	return error;
}

static void
add_sample(struct pass *pass, const Perftools__Profiles__Sample *sample, int64_t value)
{
	struct account *account = pass->account;
	account->samples++;
	add_saturating(&account->total, value);
	for (size_t i = 0; i < sample->n_location_id; i++) {
		uint32_t number = find_id(&pass->location_ids, sample->location_id[i]);

		if (number == HASH_INDEX_NONE)
			continue;
		for (uint32_t f = 0; f < pass->locations[number].count; f++) {
			struct account_function *function = record_table_at(
				&account->functions, pass->functions[pass->locations[number].first + f]);

			if (i == 0 && f == 0)
				add_saturating(&function->flat, value);
			if (function->last_sample != account->samples)
				add_saturating(&function->cumulative, value);
			function->last_sample = account->samples;
		}
	}
}

#define NO_TYPE SIZE_MAX

static size_t
find_type(const Profile *profile, const char *type)
{
	for (size_t i = 0; type[0] && i < profile->n_sample_type; i++)
		if (strcmp(pprof_string(profile, profile->sample_type[i]->type), type) == 0)
			return i;
	return NO_TYPE;
}

/* CPU time is what most come for; then what the profile recommends; Go's CPU profiles say nothing and put
 * the count first. */
static size_t
choose_type(const Profile *profile, const char *wanted)
{
	const char *const candidates[] = {"cpu-time", pprof_string(profile, profile->default_sample_type),
					  "cpu"};

	if (wanted)
		return find_type(profile, wanted);
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		size_t found = find_type(profile, candidates[i]);

		if (found != NO_TYPE)
			return found;
	}
	return 0;
}

/* The first type that counts samples; NO_TYPE: every pprof sample is one. */
static size_t
find_count_type(const Profile *profile)
{
	static const char *const names[] = {"cpu-samples", "samples"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (find_type(profile, names[i]) != NO_TYPE)
			return find_type(profile, names[i]);
	return NO_TYPE;
}

static int
agree_on_type(struct account *account, const char *type, const char *unit)
{
	if (account->type)
		return strcmp(account->type, type) == 0 && strcmp(account->unit, unit) == 0 ? 0 : -EINVAL;
	account->type = strdup(type);
	account->unit = strdup(unit);
	return account->type && account->unit ? 0 : -ENOMEM;
}

static void
add_samples(struct pass *pass, size_t type)
{
	const Profile *profile = pass->profile;
	size_t count_type = find_count_type(profile);

	for (size_t i = 0; i < profile->n_sample; i++) {
		const Perftools__Profiles__Sample *sample = profile->sample[i];
		bool is_counted = count_type != NO_TYPE && count_type < sample->n_value;

		add_saturating(&pass->account->sample_count, is_counted ? sample->value[count_type] : 1);
		add_sample(pass, sample, type < sample->n_value ? sample->value[type] : 0);
	}
	add_saturating(&pass->account->duration_ns, profile->duration_nanos);
	if (profile->time_nanos && profile->time_nanos < pass->account->start_ns)
		pass->account->start_ns = profile->time_nanos;
}

int
account_add(struct account *account, const Profile *profile, const char *type)
{
	struct pass pass = {.account = account, .profile = profile, .arena.limit = SIZE_MAX};
	size_t chosen = choose_type(profile, account->type && !type ? account->type : type);
	int error;

	if (chosen == NO_TYPE)
		return -ENOENT;
	error = agree_on_type(account, pprof_string(profile, profile->sample_type[chosen]->type),
			      pprof_string(profile, profile->sample_type[chosen]->unit));
	if (error)
		return error;
	pass.function_ids = pass.mapping_ids = pass.location_ids =
		RECORD_TABLE(struct id_record, sizeof(uint64_t));
	error = index_ids(&pass);
	if (!error)
		error = resolve_locations(&pass);
	if (!error) {
		add_samples(&pass, chosen);
		profile_cost_add(&account->cost, profile);
	}
	record_table_clear(&pass.function_ids, &account->budget);
	record_table_clear(&pass.mapping_ids, &account->budget);
	record_table_clear(&pass.location_ids, &account->budget);
	arena_destroy(&pass.arena);
	return error ? -ENOMEM : 0;
}

const char *
account_name(const struct account *account, const struct account_function *function)
{
	return string_table_at(&account->names, function->name);
}

struct order {
	const struct account *account;
	enum account_order by;
};

/* Largest first by size: a profile that is the difference of two has negative values. */
static int
compare_values(int64_t a, int64_t b)
{
	uint64_t size_a = a < 0 ? -(uint64_t)a : (uint64_t)a, size_b = b < 0 ? -(uint64_t)b : (uint64_t)b;

	return (size_a < size_b) - (size_a > size_b);
}

static int
compare(const void *left, const void *right, void *context)
{
	const struct account_function *a = left, *b = right;
	const struct order *order = context;
	int by_flat = compare_values(a->flat, b->flat);
	int by_cumulative = compare_values(a->cumulative, b->cumulative);
	int first = order->by == BY_FLAT ? by_flat : by_cumulative;
	int second = order->by == BY_FLAT ? by_cumulative : by_flat;

	if (first || second)
		return first ? first : second;
	return strcmp(account_name(order->account, a), account_name(order->account, b));
}

int64_t
account_sort(const struct account *account, enum account_order by, const struct account_function **ret)
{
	struct order order = {.account = account, .by = by};
	size_t size = account->functions.count * sizeof(struct account_function);
	struct account_function *list = malloc(size + 1);

	if (!list)
		return -ENOMEM;
	if (size)
		memcpy(list, account->functions.records, size);
	qsort_r(list, account->functions.count, sizeof(*list), compare, &order);
	*ret = list;
	return account->functions.count;
}
