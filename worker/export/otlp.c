/* pprof as OTLP profiles: one Profile for each sample type, all over one dictionary that holds what samples
 * refer to and nothing else. */

#include "worker/export/format_kinds.h"

#include "worker/export/compress.h"
#include "worker/export/otlp_dictionary.h"
#include "worker/export/otlp_messages.h"
#include "worker/export/otlp_resource.h"
#include "worker/export/sample_type.h"
#include "worker/export/saturate.h"
#include "worker/profile/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES_MAX (1u << 30)
#define DICTIONARY_BYTES_MAX (512u << 20)
#define TYPES_MAX 64
#define SCHEMA_VERSION "1" /* what the Collector calls the schema of 1.10 and 1.11; it refuses another's */
#define ATTRIBUTES_MAX 64  /* of a sample or a profile; we make five and some twenty */
#define UNKNOWN UINT32_MAX

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Function Function;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Label Label;

/* pprof's ids are any numbers. */
struct id_record {
	uint64_t id;            /* key until here */
	uint32_t index, number; /* in the pprof; in the dictionary, UNKNOWN until somebody refers to it */
};

struct sample_record {
	uint32_t stack, list; /* key until here */
};

struct conversion {
	const struct format_input *input;
	const Profile *profile;
	struct arena arena;
	struct dictionary dictionary;
	struct record_table functions, mappings, locations; /* struct id_record */
	struct record_table samples;                        /* struct sample_record */
	int64_t *values; /* sums: of sample i and type t at i * types + t */
	int error;
};

static void
fail(struct conversion *c, int error)
{
	if (!c->error)
		c->error = error;
}

/* ---- ids ---- */

/* The first of several with one id counts. */
static void
index_id(struct conversion *c, struct record_table *table, uint64_t id, size_t index)
{
	const struct id_record record = {.id = id, .index = (uint32_t)index, .number = UNKNOWN};
	uint32_t ignored;

	fail(c, record_table_put(table, &c->dictionary.budget, &record, &ignored));
}

static void
index_ids(struct conversion *c)
{
	for (size_t i = 0; i < c->profile->n_function && !c->error; i++)
		index_id(c, &c->functions, c->profile->function[i]->id, i);
	for (size_t i = 0; i < c->profile->n_mapping && !c->error; i++)
		index_id(c, &c->mappings, c->profile->mapping[i]->id, i);
	for (size_t i = 0; i < c->profile->n_location && !c->error; i++)
		index_id(c, &c->locations, c->profile->location[i]->id, i);
}

/* Valid until the next is added; NULL: no such id. */
static struct id_record *
find_id(const struct record_table *table, uint64_t id)
{
	uint32_t number = record_table_find(table, &id);

	return number == HASH_INDEX_NONE ? NULL : record_table_at(table, number);
}

/* ---- what samples refer to ---- */

static uint32_t
string_number(struct conversion *c, int64_t index)
{
	return dictionary_string(&c->dictionary, pprof_string(c->profile, index));
}

static uint32_t
function_number(struct conversion *c, uint64_t id)
{
	struct id_record *known = find_id(&c->functions, id);

	if (!known)
		return 0;
	if (known->number == UNKNOWN) {
		const Function *from = c->profile->function[known->index];
		const struct dictionary_function function = {
			.name = string_number(c, from->name),
			.system_name = string_number(c, from->system_name),
			.filename = string_number(c, from->filename),
			.start_line = from->start_line,
		};

		known->number = dictionary_function(&c->dictionary, &function);
	}
	return known->number;
}

/* Go has build ids of its own, with letters beyond 'f'. */
static uint32_t
build_id_attribute(struct conversion *c, const char *build_id)
{
	bool is_hexadecimal = build_id[strspn(build_id, "0123456789abcdef")] == '\0';

	if (!build_id[0])
		return 0;
	return dictionary_text_attribute(&c->dictionary,
					 is_hexadecimal ? "process.executable.build_id.gnu"
							: "process.executable.build_id.go",
					 build_id);
}

static uint32_t
mapping_number(struct conversion *c, uint64_t id)
{
	struct id_record *known = find_id(&c->mappings, id);

	if (!known)
		return 0;
	if (known->number == UNKNOWN) {
		const Mapping *from = c->profile->mapping[known->index];
		const struct dictionary_mapping mapping = {
			.memory_start = from->memory_start,
			.memory_limit = from->memory_limit,
			.file_offset = from->file_offset,
			.filename = string_number(c, from->filename),
			.attribute = build_id_attribute(c, pprof_string(c->profile, from->build_id)),
		};

		known->number = dictionary_mapping(&c->dictionary, &mapping);
	}
	return known->number;
}

static uint32_t
add_location(struct conversion *c, const Location *from)
{
	struct dictionary_line *lines = calloc(from->n_line + 1, sizeof(*lines));

	if (!lines) {
		fail(c, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; i < from->n_line; i++)
		lines[i] = (struct dictionary_line){
			.function = function_number(c, from->line[i]->function_id),
			.line = from->line[i]->line,
			.column = from->line[i]->column,
		};
	uint32_t number = dictionary_location(&c->dictionary, mapping_number(c, from->mapping_id),
					      from->address, lines, from->n_line);
	free(lines);
	return number;
}

static uint32_t
location_number(struct conversion *c, uint64_t id)
{
	struct id_record *known = find_id(&c->locations, id);

	if (!known) {
		fail(c, -EBADMSG);
		return 0;
	}
	if (known->number == UNKNOWN)
		known->number = add_location(c, c->profile->location[known->index]);
	return known->number;
}

static uint32_t
stack_number(struct conversion *c, const Sample *sample)
{
	uint32_t *stack = calloc(sample->n_location_id + 1, sizeof(*stack));

	if (!stack) {
		fail(c, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; i < sample->n_location_id && !c->error; i++)
		stack[i] = location_number(c, sample->location_id[i]);
	uint32_t number = c->error ? 0 : dictionary_stack(&c->dictionary, stack, sample->n_location_id);
	free(stack);
	return number;
}

/* ---- attributes ---- */

struct attributes {
	uint32_t number[ATTRIBUTES_MAX];
	size_t count;
};

static void
add_attribute(const struct conversion *c, struct attributes *list, uint32_t attribute)
{
	if (c->dictionary.error || list->count == ATTRIBUTES_MAX)
		return;
	uint32_t key = dictionary_attribute_key(&c->dictionary, attribute);
	for (size_t i = 0; i < list->count; i++)
		if (dictionary_attribute_key(&c->dictionary, list->number[i]) == key)
			return; /* a key appears once */
	list->number[list->count++] = attribute;
}

/* False: not a whole number that fits. */
static bool
read_number(const char *text, int64_t *ret)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 18 || text[digits])
		return false;
	*ret = strtoll(text, NULL, 10);
	return true;
}

static uint32_t
number_or_text(struct conversion *c, const char *key, const char *value)
{
	int64_t number;

	return read_number(value, &number) ? dictionary_number_attribute(&c->dictionary, key, number, "")
					   : dictionary_text_attribute(&c->dictionary, key, value);
}

/* By OpenTelemetry's semantic conventions. */
static const struct {
	const char *label, *key;
	bool is_number;
} label_keys[] = {
	{"process_id", "process.pid", true},     {"process_name", "process.executable.name", false},
	{"thread id", "thread.id", true},        {"thread_name", "thread.name", false},
	{"container_id", "container.id", false},
};

static uint32_t
label_attribute(struct conversion *c, const Label *label)
{
	const char *key = pprof_string(c->profile, label->key), *text = pprof_string(c->profile, label->str);

	if (label->str == 0)
		return dictionary_number_attribute(&c->dictionary, key, label->num,
						   pprof_string(c->profile, label->num_unit));
	for (size_t i = 0; i < sizeof(label_keys) / sizeof(label_keys[0]); i++)
		if (strcmp(key, label_keys[i].label) == 0)
			return label_keys[i].is_number
				       ? number_or_text(c, label_keys[i].key, text)
				       : dictionary_text_attribute(&c->dictionary, label_keys[i].key, text);
	return dictionary_text_attribute(&c->dictionary, key, text);
}

/* A label without a key says nothing; what the resource says of all samples need not be said of each. */
static bool
is_left_out(const struct conversion *c, const Label *label)
{
	const char *key = pprof_string(c->profile, label->key), *value = pprof_string(c->profile, label->str);

	if (strcmp(key, "container_id") != 0)
		return key[0] == '\0';
	return (strcmp(value, c->input->facts->container_id) == 0 || strcmp(value, "none") == 0 ||
		strcmp(value, "unknown") == 0);
}

static int
compare_numbers(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

/* Sorted, for their order is no part of a sample's identity. */
static uint32_t
label_list(struct conversion *c, const Sample *sample)
{
	struct attributes list = {.count = 0};

	for (size_t i = 0; i < sample->n_label && list.count < ATTRIBUTES_MAX; i++)
		if (!is_left_out(c, sample->label[i]))
			add_attribute(c, &list, label_attribute(c, sample->label[i]));
	qsort(list.number, list.count, sizeof(list.number[0]), compare_numbers);
	return dictionary_list(&c->dictionary, list.number, list.count);
}

/* "ddprof.samples=7", the ledger of the profile. */
static void
add_comment(struct conversion *c, const char *comment, struct attributes *list)
{
	const char *equals = strchr(comment, '=');
	char key[128];
	size_t length = equals ? (size_t)(equals - comment) : 0;

	if (!equals || length >= sizeof(key) || strncmp(comment, "ddprof.", 7) != 0)
		return;
	memcpy(key, comment, length);
	key[length] = '\0';
	add_attribute(c, list, number_or_text(c, key, equals + 1));
}

static uint32_t
comment_list(struct conversion *c)
{
	struct attributes list = {.count = 0};

	for (size_t i = 0; i < c->profile->n_comment && list.count < ATTRIBUTES_MAX; i++)
		add_comment(c, pprof_string(c->profile, c->profile->comment[i]), &list);
	return dictionary_list(&c->dictionary, list.number, list.count);
}

/* ---- samples ---- */

static void
add_values(int64_t *sums, const Sample *sample, size_t types)
{
	for (size_t i = 0; i < types && i < sample->n_value; i++)
		sums[i] = add_saturated(sums[i], sample->value[i]);
}

static void
collect_samples(struct conversion *c)
{
	size_t types = c->profile->n_sample_type;

	c->values = arena_allocate_array(&c->arena, c->profile->n_sample * types + 1, sizeof(*c->values));
	if (!c->values)
		fail(c, -ENOMEM);
	for (size_t i = 0; i < c->profile->n_sample && !c->error; i++) {
		const Sample *sample = c->profile->sample[i];
		const struct sample_record record = {.stack = stack_number(c, sample),
						     .list = label_list(c, sample)};
		uint32_t number = 0;

		fail(c, record_table_put(&c->samples, &c->dictionary.budget, &record, &number));
		fail(c, c->dictionary.error);
		if (!c->error)
			add_values(&c->values[number * types], sample, types);
	}
}

static Otlp__Sample **
samples_message(struct conversion *c, size_t type)
{
	size_t types = c->profile->n_sample_type;
	Otlp__Sample **list = NEW_MESSAGES(&c->arena, Otlp__Sample, OTLP__SAMPLE__INIT, c->samples.count);

	for (uint32_t i = 0; list && i < c->samples.count; i++) {
		const struct sample_record *from = record_table_at(&c->samples, i);

		list[i]->stack_index = (int32_t)from->stack;
		list[i]->attribute_indices = dictionary_list_at(&c->dictionary, from->list, &c->arena,
								&list[i]->n_attribute_indices);
		list[i]->values = &c->values[i * types + type];
		list[i]->n_values = 1;
	}
	return list;
}

/* ---- profiles ---- */

static Otlp__ValueType *
type_message(struct conversion *c, const Perftools__Profiles__ValueType *from)
{
	Otlp__ValueType **made = NEW_MESSAGES(&c->arena, Otlp__ValueType, OTLP__VALUE_TYPE__INIT, 1);
	char name[SAMPLE_TYPE_MAX];

	if (!made)
		return NULL;
	sample_type_rename(pprof_string(c->profile, from->type), name);
	made[0]->type_strindex = (int32_t)dictionary_string(&c->dictionary, name);
	made[0]->unit_strindex = (int32_t)string_number(c, from->unit);
	return made[0];
}

#define PROFILE_ID_BYTES 16

/* The same for the same profile, when it is sent again; of no two others: FNV-1a, twice. */
static void
make_profile_id(const struct format_input *input, size_t type, uint8_t ret[PROFILE_ID_BYTES])
{
	const uint64_t parts[] = {input->facts->sequence, (uint64_t)input->facts->start_ns, type};
	uint64_t halves[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};

	for (size_t i = 0; i < 2; i++) {
		for (const char *at = format_runtime_id(input); *at; at++)
			halves[i] = (halves[i] ^ (unsigned char)*at) * 0x100000001b3u;
		for (size_t byte = 0; byte < sizeof(parts); byte++)
			halves[i] = (halves[i] ^ ((const uint8_t *)parts)[byte]) * 0x100000001b3u;
		halves[i] |= 1; /* all zero means none */
	}
	memcpy(ret, halves, PROFILE_ID_BYTES);
}

static void
fill_profile(struct conversion *c, size_t type, uint32_t comments, Otlp__Profile *ret)
{
	uint8_t *id = arena_allocate(&c->arena, PROFILE_ID_BYTES);

	ret->sample_type = type_message(c, c->profile->sample_type[type]);
	ret->samples = samples_message(c, type);
	ret->n_samples = c->samples.count;
	ret->time_unix_nano = (uint64_t)c->profile->time_nanos;
	ret->duration_nano = (uint64_t)c->profile->duration_nanos;
	if (c->profile->period_type)
		ret->period_type = type_message(c, c->profile->period_type);
	ret->period = c->profile->period;
	ret->attribute_indices =
		dictionary_list_at(&c->dictionary, comments, &c->arena, &ret->n_attribute_indices);
	ret->profile_id = (ProtobufCBinaryData){PROFILE_ID_BYTES, id};
	if (id)
		make_profile_id(c->input, type, id);
	if (c->arena.exhausted)
		fail(c, -ENOMEM);
}

static Otlp__ScopeProfiles *
scope_message(struct conversion *c)
{
	static char name[] = "ddprof-launch", version[] = DDPROF_VERSION;
	size_t types = c->profile->n_sample_type;
	Otlp__ScopeProfiles **scope =
		NEW_MESSAGES(&c->arena, Otlp__ScopeProfiles, OTLP__SCOPE_PROFILES__INIT, 1);
	Otlp__InstrumentationScope **who =
		NEW_MESSAGES(&c->arena, Otlp__InstrumentationScope, OTLP__INSTRUMENTATION_SCOPE__INIT, 1);
	Otlp__Profile **profiles = NEW_MESSAGES(&c->arena, Otlp__Profile, OTLP__PROFILE__INIT, types);
	uint32_t comments = comment_list(c);

	if (!scope || !who || !profiles)
		return NULL;
	who[0]->name = name;
	who[0]->version = version;
	scope[0]->scope = who[0];
	for (size_t i = 0; i < types && !c->error; i++)
		fill_profile(c, i, comments, profiles[i]);
	scope[0]->profiles = profiles;
	scope[0]->n_profiles = types;
	return scope[0];
}

static Otlp__ExportProfilesServiceRequest *
request_message(struct conversion *c)
{
	Otlp__ExportProfilesServiceRequest **request =
		NEW_MESSAGES(&c->arena, Otlp__ExportProfilesServiceRequest,
			     OTLP__EXPORT_PROFILES_SERVICE_REQUEST__INIT, 1);
	Otlp__ResourceProfiles **resource =
		NEW_MESSAGES(&c->arena, Otlp__ResourceProfiles, OTLP__RESOURCE_PROFILES__INIT, 1);
	Otlp__ScopeProfiles **scopes = arena_allocate(&c->arena, sizeof(*scopes));

	if (!request || !resource || !scopes)
		return NULL;
	scopes[0] = scope_message(c);
	resource[0]->scope_profiles = scopes;
	resource[0]->n_scope_profiles = 1;
	resource[0]->resource = otlp_resource(c->input, &c->arena);
	request[0]->resource_profiles = resource;
	request[0]->n_resource_profiles = 1;
	if (!c->error)
		request[0]->dictionary =
			dictionary_message(&c->dictionary, &c->arena); /* now it is complete */
	bool is_complete = scopes[0] && resource[0]->resource && request[0]->dictionary;
	return is_complete ? request[0] : NULL;
}

/* ---- the whole ---- */

static int
pack(const Otlp__ExportProfilesServiceRequest *request, bool has_gzip, struct format_output *ret)
{
	size_t size = otlp__export_profiles_service_request__get_packed_size(request);
	uint8_t *bytes = malloc(size + 1);

	if (!bytes)
		return -ENOMEM;
	otlp__export_profiles_service_request__pack(request, bytes);
	if (!has_gzip) {
		ret->body = bytes;
		ret->body_size = size;
		return 0;
	}
	int result = compress_gzip(bytes, size, &ret->body, &ret->body_size);
	free(bytes);
	return result;
}

static int
convert(struct conversion *c, struct format_output *ret)
{
	index_ids(c);
	if (!c->error)
		collect_samples(c);
	const Otlp__ExportProfilesServiceRequest *request = c->error ? NULL : request_message(c);
	fail(c, c->dictionary.error);
	if (!request)
		fail(c, -ENOMEM);
	if (c->error)
		return c->error == -ENOSPC ? -ERANGE : c->error;
	return pack(request, c->input->destination->has_gzip, ret);
}

static int
decode_and_convert(const struct format_input *input, struct format_output *ret)
{
	Profile *profile = NULL;
	struct conversion c = {
		.input = input,
		.arena.limit = ARENA_BYTES_MAX,
		.functions = RECORD_TABLE(struct id_record, sizeof(uint64_t)),
		.mappings = RECORD_TABLE(struct id_record, sizeof(uint64_t)),
		.locations = RECORD_TABLE(struct id_record, sizeof(uint64_t)),
		.samples = RECORD_TABLE(struct sample_record, sizeof(struct sample_record)),
	};
	int result = pprof_decode(input->pprof, input->pprof_size, &c.arena, &profile);

	if (result == 0 && profile->n_sample_type > TYPES_MAX)
		result = -EBADMSG;
	dictionary_init(&c.dictionary, DICTIONARY_BYTES_MAX);
	c.profile = profile;
	if (result == 0)
		result = convert(&c, ret);
	record_table_clear(&c.functions, &c.dictionary.budget);
	record_table_clear(&c.mappings, &c.dictionary.budget);
	record_table_clear(&c.locations, &c.dictionary.budget);
	record_table_clear(&c.samples, &c.dictionary.budget);
	dictionary_destroy(&c.dictionary);
	arena_destroy(&c.arena);
	return result;
}

int
format_otlp(const struct format_input *input, struct format_output *ret)
{
	int result = decode_and_convert(input, ret);

	if (result == 0)
		result = format_add_header(ret, "Content-Type", "application/x-protobuf");
	if (result == 0)
		result = format_add_header(ret, "OTLP-Profiles-Development-Version", SCHEMA_VERSION);
	if (result == 0 && input->destination->has_gzip)
		result = format_add_header(ret, "Content-Encoding", "gzip");
	return result;
}
