/* The message out, part by part (sink.h): first what refers to strings, then the strings themselves, for
 * the string table grows while the rest is written. */
#include "worker/profile/profile.h"

#include "ipc/text.h"
#include "worker/profile/decode.h"
#include "worker/profile/sink.h"
#include "worker/profile/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

struct mapping_record {
	uint32_t number; /* the caller's; key until here */
	uint32_t id;     /* pprof's, from 1; 0: the caller does not know it */
	struct profile_mapping described;
};

struct function_record {
	uint32_t name, filename; /* string numbers */
};

struct encoder {
	struct profile *profile;
	const struct profile_header *header;
	struct sink sink;
	struct record_table mappings;
	uint32_t known_mappings;
	struct record_table functions; /* the id is the number plus 1 */
	struct record_table locations; /* location_record; the id is the number plus 1 */
	uint64_t *stack;               /* location ids of the deepest one */
};

/* The table may grow while we write: it is emitted last. */
static uint32_t
string(struct encoder *e, const char *text)
{
	uint32_t number = 0;
	int error = string_table_put(&e->profile->strings, &e->profile->budget, text, &number);

	sink_fail(&e->sink, error);
	return number;
}

/* ASCII decimals, without the locale that stdio would consult. */
static uint32_t
decimal_string(struct encoder *e, uint32_t value)
{
	char digits[11];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	return string(e, at);
}

static void
put_string(struct encoder *e, char *text)
{
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	size_t size = strlen(text), capacity = size * TEXT_ESCAPE_MAX + sizeof("…");
	char *escaped = NULL;

	if (!text_is_printable(text, size)) {
		escaped = malloc(capacity);
		if (!escaped) {
			sink_fail(&e->sink, -ENOMEM);
			return;
		}
		text_escape(escaped, capacity, text, size);
		text = escaped;
	}
	part.n_string_table = 1;
	part.string_table = &text;
	sink_put(&e->sink, &part);
	free(escaped);
}

static void
put_strings(struct encoder *e)
{
	(void)string(e, ""); /* the first one, even when nothing else was said */
	for (uint32_t i = 0; i < e->profile->strings.count && !e->sink.error; i++)
		put_string(e, e->profile->strings.bytes + e->profile->strings.entries[i].offset);
}

static void
put_header(struct encoder *e)
{
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	ValueType cpu_time = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	ValueType cpu_samples = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	ValueType *types[] = {&cpu_time, &cpu_samples};

	cpu_time.type = string(e, "cpu-time");
	cpu_time.unit = string(e, "nanoseconds");
	cpu_samples.type = string(e, "cpu-samples");
	cpu_samples.unit = string(e, "count");
	part.n_sample_type = sizeof(types) / sizeof(types[0]);
	part.sample_type = types;
	part.period_type = &cpu_time;
	part.period = e->header->period_ns;
	part.time_nanos = e->header->time_ns;
	part.duration_nanos = e->header->duration_ns;
	part.default_sample_type = cpu_time.type; /* `go tool pprof` would take the last one */
	sink_put(&e->sink, &part);
}

static void
put_comments(struct encoder *e)
{
	for (const char *const *comment = e->header->comments; comment && *comment; comment++) {
		Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
		int64_t number = string(e, *comment);

		part.n_comment = 1;
		part.comment = &number;
		sink_put(&e->sink, &part);
	}
}

enum { LABELS_MAX = 5 };

struct labels {
	Label storage[LABELS_MAX];
	Label *pointers[LABELS_MAX];
	size_t count;
};

static void
add_label(struct encoder *e, struct labels *labels, const char *key, uint32_t value)
{
	Label *label = &labels->storage[labels->count];

	if (value == 0) /* "" says nothing */
		return;
	perftools__profiles__label__init(label);
	label->key = string(e, key);
	label->str = value;
	labels->pointers[labels->count++] = label;
}

/* Every location once; callers first, in the order in which stacks came. */
static void
collect_locations(struct encoder *e)
{
	const struct stack_table *stacks = &e->profile->stacks;
	size_t deepest = 0;

	for (uint32_t i = 0; i < stacks->count && !e->sink.error; i++) {
		const struct stack_record *stack = &stacks->records[i];

		for (uint32_t at = stack->depth; at > 0; at--) {
			struct location_record location =
				profile_location_of(e->profile, stacks->frames[stack->start + at - 1]);
			uint32_t number = 0;

			sink_fail(&e->sink,
				  record_table_put(&e->locations, &e->profile->budget, &location, &number));
		}
		deepest = stack->depth > deepest ? stack->depth : deepest;
	}
	e->stack = calloc(deepest + 1, sizeof(*e->stack));
	if (!e->stack)
		sink_fail(&e->sink, -ENOMEM);
}

/* Location ids, leaf first. */
static size_t
collect_stack(struct encoder *e, uint32_t number)
{
	const struct stack_table *stacks = &e->profile->stacks;
	const struct stack_record *stack = &stacks->records[number];

	for (uint32_t i = 0; i < stack->depth; i++) {
		struct location_record location =
			profile_location_of(e->profile, stacks->frames[stack->start + i]);

		e->stack[i] = (uint64_t)record_table_find(&e->locations, &location) + 1;
	}
	return stack->depth;
}

static void
put_sample(struct encoder *e, const struct sample_record *record)
{
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT, *pointer = &sample;
	int64_t values[] = {record->cpu_time_ns, record->count};
	struct labels labels;

	labels.count = 0;
	add_label(e, &labels, "container_id", string(e, e->header->container_id));
	add_label(e, &labels, "process_id", decimal_string(e, record->pid));
	add_label(e, &labels, "thread id", decimal_string(e, record->tid)); /* ddprof's spelling */
	add_label(e, &labels, "process_name", record->process_name);
	add_label(e, &labels, "thread_name", record->thread_name);

	sample.n_location_id = collect_stack(e, record->stack);
	sample.location_id = e->stack;
	sample.n_value = sizeof(values) / sizeof(values[0]);
	sample.value = values;
	sample.n_label = labels.count;
	sample.label = labels.pointers;
	part.n_sample = 1;
	part.sample = &pointer;
	sink_put(&e->sink, &part);
}

static void
put_samples(struct encoder *e)
{
	for (uint32_t i = 0; i < e->profile->samples.count && !e->sink.error; i++)
		put_sample(e, record_table_at(&e->profile->samples, i));
}

static uint64_t
function_id(struct encoder *e, const char *name, const char *filename)
{
	struct function_record record = {.name = string(e, name), .filename = string(e, filename)};
	uint32_t number = 0;
	int error = record_table_put(&e->functions, &e->profile->budget, &record, &number);

	sink_fail(&e->sink, error);
	return (uint64_t)number + 1;
}

static uint64_t
pseudo_function_id(struct encoder *e, uint64_t pseudo_frame)
{
	const struct profile *profile = e->profile;
	const struct pseudo_record *pseudo =
		record_table_at(&profile->pseudo_frames, (uint32_t)(pseudo_frame - 1));

	return function_id(e, string_table_at(&profile->pseudo_strings, pseudo->function),
			   string_table_at(&profile->pseudo_strings, pseudo->filename));
}

/* "libfoo.so+0x1234" */
static uint64_t
address_function_id(struct encoder *e, const char *path, uint64_t address)
{
	const char *base = pprof_basename(path);
	char *name = malloc(strlen(base) + sizeof("+0x0123456789abcdef"));
	uint64_t id = 0;

	if (!name) {
		sink_fail(&e->sink, -ENOMEM);
		return 0;
	}
	pprof_address_name(name, base, address);
	id = function_id(e, name, base);
	free(name);
	return id;
}

static void
put_location(struct encoder *e, uint32_t number)
{
	const struct location_record *record = record_table_at(&e->locations, number);
	const struct mapping_record *mapping =
		record_table_at(&e->mappings, record_table_find(&e->mappings, &record->mapping));
	Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	Location location = PERFTOOLS__PROFILES__LOCATION__INIT, *location_pointer = &location;
	Line line = PERFTOOLS__PROFILES__LINE__INIT, *line_pointer = &line;

	location.id = (uint64_t)number + 1;
	if (record->mapping == 0) {
		line.function_id = pseudo_function_id(e, record->address);
	} else {
		const struct profile_mapping *described = &mapping->described;

		location.address = record->address;
		if (mapping->id != 0 && record->address >= described->memory_start &&
		    record->address < described->memory_limit)
			location.mapping_id = mapping->id;
		else if (mapping->id != 0) /* never inside a mapping that does not hold it */
			line.function_id = address_function_id(e, described->path, record->address);
	}
	if (line.function_id) {
		location.n_line = 1;
		location.line = &line_pointer;
	}
	part.n_location = 1;
	part.location = &location_pointer;
	sink_put(&e->sink, &part);
}

static void
put_locations(struct encoder *e)
{
	for (uint32_t i = 0; i < e->locations.count && !e->sink.error; i++)
		put_location(e, i);
}

static void
put_functions(struct encoder *e)
{
	for (uint32_t i = 0; i < e->functions.count && !e->sink.error; i++) {
		const struct function_record *record = record_table_at(&e->functions, i);
		Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
		Function function = PERFTOOLS__PROFILES__FUNCTION__INIT, *pointer = &function;

		function.id = (uint64_t)i + 1;
		function.name = record->name;
		function.filename = record->filename;
		part.n_function = 1;
		part.function = &pointer;
		sink_put(&e->sink, &part);
	}
}

static void
put_mappings(struct encoder *e)
{
	for (uint32_t i = 0; i < e->mappings.count && !e->sink.error; i++) {
		const struct mapping_record *record = record_table_at(&e->mappings, i);
		Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
		Mapping mapping = PERFTOOLS__PROFILES__MAPPING__INIT, *pointer = &mapping;

		if (record->id == 0)
			continue;
		mapping.id = record->id;
		mapping.memory_start = record->described.memory_start;
		mapping.memory_limit = record->described.memory_limit;
		mapping.file_offset = record->described.file_offset;
		mapping.filename = string(e, record->described.path);
		mapping.build_id = string(e, record->described.build_id);
		part.n_mapping = 1;
		part.mapping = &pointer;
		sink_put(&e->sink, &part);
	}
}

/* Asks for every mapping number once; ids are given in order of first use. */
static void
describe_mappings(struct encoder *e,
		  bool (*describe)(void *context, uint32_t mapping, struct profile_mapping *ret),
		  void *context)
{
	for (uint32_t i = 0; i < e->locations.count && !e->sink.error; i++) {
		const struct location_record *location = record_table_at(&e->locations, i);
		struct mapping_record record = {.number = location->mapping};
		uint32_t number = 0;
		int error;

		if (record_table_find(&e->mappings, &record.number) != HASH_INDEX_NONE)
			continue;
		if (record.number && describe(context, record.number, &record.described))
			record.id = ++e->known_mappings;
		if (!record.described.path)
			record.described.path = "";
		error = record_table_put(&e->mappings, &e->profile->budget, &record, &number);
		sink_fail(&e->sink, error);
	}
}

int
profile_write(struct profile *profile, const struct profile_header *header,
	      bool (*describe)(void *context, uint32_t mapping, struct profile_mapping *ret), void *context,
	      int fd)
{
	struct encoder e = {.profile = profile, .header = header, .sink.fd = fd};
	size_t limit = profile->budget.limit;
	int error;

	profile->budget.limit = SIZE_MAX; /* what aggregation filled up must still be written */
	e.mappings = RECORD_TABLE(struct mapping_record, sizeof(uint32_t));
	e.functions = RECORD_TABLE(struct function_record, sizeof(struct function_record));
	e.locations = RECORD_TABLE(struct location_record, sizeof(struct location_record));

	collect_locations(&e);
	describe_mappings(&e, describe, context);
	if (!e.sink.error) {
		put_header(&e);
		put_comments(&e);
		put_samples(&e);
		put_mappings(&e);
		put_locations(&e);
		put_functions(&e);
		put_strings(&e);
		sink_flush(&e.sink);
	}

	free(e.stack);
	record_table_clear(&e.locations, &profile->budget);
	record_table_clear(&e.mappings, &profile->budget);
	record_table_clear(&e.functions, &profile->budget);
	profile->budget.limit = limit;
	error = e.sink.error;
	sink_destroy(&e.sink);
	return error;
}
