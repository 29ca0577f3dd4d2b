/* Profiles made into requests: a pprof is refused, or what comes out is a message whose every number leads
 * somewhere, with the same samples' sums, and the same every time. */

#include "tests/fuzz/fuzz.h"

#include "worker/export/format_request.h"
#include "worker/profile/decode.h"

#include <errno.h>
#include <otlp.pb-c.h>
#include <string.h>

#define LIMIT (64u << 20)

static const struct delivery_config config = {.runtime_id = "8a5c1d0e-7f43-4b6d-9c2a-0123456789ab"};
static const struct profile_facts facts = {.service = "shop", .tags = "a:b", .start_ns = 1, .end_ns = 2};

typedef Otlp__ProfilesDictionary Dictionary;

static bool
is_index(int32_t index, size_t count)
{
	return index >= 0 && (size_t)index < count;
}

static void
check_attributes(const Dictionary *d, const int32_t *indices, size_t count)
{
	for (size_t i = 0; i < count; i++)
		CHECK(indices[i] > 0 && is_index(indices[i], d->n_attribute_table));
}

static void
check_tables(const Dictionary *d)
{
	CHECK(d->n_mapping_table && d->n_location_table && d->n_function_table && d->n_stack_table);
	CHECK(d->n_link_table == 1 && d->n_attribute_table && d->n_string_table && !d->string_table[0][0]);
	for (size_t i = 0; i < d->n_mapping_table; i++) {
		CHECK(is_index(d->mapping_table[i]->filename_strindex, d->n_string_table));
		check_attributes(d, d->mapping_table[i]->attribute_indices,
				 d->mapping_table[i]->n_attribute_indices);
	}
	for (size_t i = 0; i < d->n_function_table; i++) {
		CHECK(is_index(d->function_table[i]->name_strindex, d->n_string_table));
		CHECK(is_index(d->function_table[i]->system_name_strindex, d->n_string_table));
		CHECK(is_index(d->function_table[i]->filename_strindex, d->n_string_table));
	}
	for (size_t i = 0; i < d->n_location_table; i++) {
		CHECK(is_index(d->location_table[i]->mapping_index, d->n_mapping_table));
		for (size_t j = 0; j < d->location_table[i]->n_lines; j++)
			CHECK(is_index(d->location_table[i]->lines[j]->function_index, d->n_function_table));
	}
	for (size_t i = 0; i < d->n_stack_table; i++)
		for (size_t j = 0; j < d->stack_table[i]->n_location_indices; j++)
			CHECK(is_index(d->stack_table[i]->location_indices[j], d->n_location_table));
	for (size_t i = 1; i < d->n_attribute_table; i++) {
		CHECK(is_index(d->attribute_table[i]->key_strindex, d->n_string_table));
		CHECK(is_index(d->attribute_table[i]->unit_strindex, d->n_string_table));
		CHECK(d->attribute_table[i]->value);
	}
}

/* As unsigned numbers, so that nothing overflows: equal modulo 2^64, unless a sum stayed at its limit. */
static void
check_samples(const Dictionary *d, const Otlp__Profile *profile, const Perftools__Profiles__Profile *pprof,
	      size_t type)
{
	uint64_t wanted = 0, got = 0;
	bool is_limited = false;

	for (size_t i = 0; i < pprof->n_sample; i++)
		wanted += type < pprof->sample[i]->n_value ? (uint64_t)pprof->sample[i]->value[type] : 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		const Otlp__Sample *sample = profile->samples[i];

		CHECK(is_index(sample->stack_index, d->n_stack_table) && sample->n_values == 1);
		check_attributes(d, sample->attribute_indices, sample->n_attribute_indices);
		is_limited = is_limited || sample->values[0] == INT64_MAX || sample->values[0] == INT64_MIN;
		got += (uint64_t)sample->values[0];
	}
	CHECK(is_limited || got == wanted);
	CHECK(profile->n_samples <= pprof->n_sample);
}

static void
check_request(const struct format_output *output, const uint8_t *bytes, size_t size)
{
	struct arena arena = {.limit = LIMIT};
	Perftools__Profiles__Profile *pprof = NULL;
	Otlp__ExportProfilesServiceRequest *request =
		otlp__export_profiles_service_request__unpack(NULL, output->body_size, output->body);

	CHECK(request && request->dictionary && request->n_resource_profiles == 1);
	CHECK(request->resource_profiles[0]->n_scope_profiles == 1);
	const Otlp__ScopeProfiles *scope = request->resource_profiles[0]->scope_profiles[0];
	check_tables(request->dictionary);
	if (pprof_decode(bytes, size, &arena, &pprof) == 0) {
		CHECK(scope->n_profiles == pprof->n_sample_type);
		for (size_t i = 0; i < scope->n_profiles; i++)
			check_samples(request->dictionary, scope->profiles[i], pprof, i);
	}
	otlp__export_profiles_service_request__free_unpacked(request, NULL);
	arena_destroy(&arena);
}

static void
check_kind(const uint8_t *bytes, size_t size, uint32_t kind)
{
	const struct delivery_destination destination = {.kind = kind, .url = "http://h/p"};
	const struct format_input input = {&config, &destination, &facts, bytes, size};
	struct format_output one = {0}, other = {0};
	int result = format_request(&input, &one);

	CHECK(result == 0 || result == -EBADMSG || result == -ENOMEM || result == -ERANGE);
	CHECK(format_request(&input, &other) == result);
	CHECK(one.body_size == other.body_size);
	if (result == 0) {
		CHECK(memcmp(one.body, other.body, one.body_size) == 0 && strcmp(one.url, other.url) == 0);
		if (kind == DESTINATION_OTLP)
			check_request(&one, bytes, size);
	}
	format_output_destroy(&one);
	format_output_destroy(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	check_kind(bytes, size, DESTINATION_OTLP);
	check_kind(bytes, size, DESTINATION_PYROSCOPE);
	return 0;
}
