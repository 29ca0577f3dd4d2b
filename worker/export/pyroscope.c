/* POST /ingest?name=...&format=pprof: the body is the pprof itself, gzip-compressed, changed so that a server
 * takes it (docs/receivers.md): sample types renamed, and without labels. Labels of samples would become
 * labels of series, one series for each thread. */

#include "worker/export/format_kinds.h"

#include "worker/export/buffer.h"
#include "worker/export/compress.h"
#include "worker/export/sample_type.h"
#include "worker/export/saturate.h"
#include "worker/export/tags.h"
#include "worker/profile/decode.h"
#include "worker/profile/stack_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DECODED_BYTES_MAX (1u << 30)
#define LABELS_MAX 20 /* servers take 30 by default, their own among them */
#define LABEL_BYTES_MAX 200

/* ---- name{label=value,...} ---- */

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* `extra`: what is allowed besides letters and digits. */
static void
add_restricted(struct buffer *name, const char *text, size_t length, const char *extra)
{
	for (size_t i = 0; i < length; i++) {
		bool is_allowed = is_alphanumeric(text[i]) || strchr(extra, text[i]);

		buffer_add(name, is_allowed ? &text[i] : "_", 1);
	}
}

static void
add_label(struct buffer *name, const char *key, size_t key_length, const char *value, size_t value_length,
	  unsigned *count)
{
	if (key_length == 0 || value_length == 0 || *count >= LABELS_MAX)
		return;
	buffer_add_text(name, *count > 0 ? "," : "{");
	if (key[0] >= '0' && key[0] <= '9')
		buffer_add_text(name, "_");
	add_restricted(name, key, key_length, "_");
	buffer_add_text(name, "=");
	if (value_length > LABEL_BYTES_MAX)
		value_length = LABEL_BYTES_MAX;
	for (size_t i = 0; i < value_length; i++)
		buffer_add(name, strchr(",{}=", value[i]) ? "_" : &value[i], 1);
	++*count;
}

static char *
make_name(const struct profile_facts *facts)
{
	struct buffer name = {0};
	struct tag tag;
	unsigned count = 0;

	add_restricted(&name, facts->service, strlen(facts->service), "-_./");
	add_label(&name, "env", 3, facts->environment, strlen(facts->environment), &count);
	add_label(&name, "version", 7, facts->version, strlen(facts->version), &count);
	for (const char *at = facts->tags; tag_next(&at, &tag);)
		add_label(&name, tag.key, tag.key_length, tag.value, tag.value_length, &count);
	buffer_add_text(&name, count > 0 ? "}" : "");
	return buffer_take_text(&name);
}

/* ---- the URL ---- */

static void
add_encoded(struct buffer *url, const char *text)
{
	for (; *text; text++) {
		if (is_alphanumeric(*text) || strchr("-._~", *text))
			buffer_add(url, text, 1);
		else
			buffer_format(url, "%%%02X", (unsigned char)*text);
	}
}

static char *
make_url(const struct format_input *input, int64_t period_ns)
{
	char *name = make_name(input->facts);
	struct buffer url = {.has_failed = !name};

	buffer_add_text(&url, input->destination->url);
	buffer_add_text(&url, strchr(input->destination->url, '?') ? "&name=" : "?name=");
	add_encoded(&url, name ? name : "");
	free(name);
	buffer_format(&url, "&from=%lld&until=%lld", (long long)(input->facts->start_ns / 1000000000),
		      (long long)(input->facts->end_ns / 1000000000));
	if (period_ns > 0)
		buffer_format(&url, "&sampleRate=%lld", (long long)(1000000000 / period_ns));
	buffer_add_text(&url, "&format=pprof&spyName=ddprof-launch");
	return buffer_take_text(&url);
}

/* ---- the profile ---- */

/* A string of the table may also be a function's name: the new one is appended, not put in its place. */
static int
rename_type(Perftools__Profiles__Profile *profile, Perftools__Profiles__ValueType *type, struct arena *arena)
{
	char *name = type ? arena_allocate(arena, SAMPLE_TYPE_MAX) : NULL;

	if (!type)
		return 0;
	if (!name)
		return -ENOMEM;
	sample_type_rename(pprof_string(profile, type->type), name);
	type->type = (int64_t)profile->n_string_table;
	profile->string_table[profile->n_string_table++] = name;
	return 0;
}

static int
rename_types(Perftools__Profiles__Profile *profile, struct arena *arena)
{
	size_t room = profile->n_string_table + profile->n_sample_type + 1;
	char **strings = arena_allocate_array(arena, room, sizeof(*strings));

	if (!strings)
		return -ENOMEM;
	memcpy(strings, profile->string_table, profile->n_string_table * sizeof(*strings));
	profile->string_table = strings;
	int result = rename_type(profile, profile->period_type, arena);
	for (size_t i = 0; i < profile->n_sample_type && result == 0; i++)
		result = rename_type(profile, profile->sample_type[i], arena);
	return result;
}

/* Stacks that only labels told apart become one sample: a server refuses more than 16,000. */
static int
merge_samples(Perftools__Profiles__Profile *profile)
{
	struct budget budget = {.limit = DECODED_BYTES_MAX};
	struct stack_table stacks = {.count = 0};
	int result = 0;

	for (size_t i = 0; i < profile->n_sample && result == 0; i++) {
		Perftools__Profiles__Sample *sample = profile->sample[i], *first;
		size_t depth = sample->n_location_id;
		uint64_t *stack = stack_table_begin(&stacks, &budget, depth, &result);
		uint32_t known = stacks.count, number = 0;

		for (size_t j = 0; stack && j < depth; j++)
			stack[j] = sample->location_id[j];
		if (stack)
			result = stack_table_put(&stacks, &budget, depth, &number);
		sample->n_label = 0;
		if (result < 0 || number == known) {
			profile->sample[known] = sample;
			continue;
		}
		first = profile->sample[number];
		for (size_t j = 0; j < first->n_value && j < sample->n_value; j++)
			first->value[j] = add_saturated(first->value[j], sample->value[j]);
	}
	profile->n_sample = stacks.count;
	stack_table_clear(&stacks, &budget);
	return result == -ENOSPC ? -ERANGE : result;
}

static int
encode(const Perftools__Profiles__Profile *profile, struct format_output *ret)
{
	size_t size = perftools__profiles__profile__get_packed_size(profile);
	uint8_t *bytes = malloc(size + 1);

	if (!bytes)
		return -ENOMEM;
	perftools__profiles__profile__pack(profile, bytes);
	int result = compress_gzip(bytes, size, &ret->body, &ret->body_size);
	free(bytes);
	return result;
}

int
format_pyroscope(const struct format_input *input, struct format_output *ret)
{
	struct arena arena = {.limit = DECODED_BYTES_MAX};
	Perftools__Profiles__Profile *profile = NULL;
	int result = pprof_decode(input->pprof, input->pprof_size, &arena, &profile);

	if (result == 0)
		result = rename_types(profile, &arena);
	if (result == 0)
		result = merge_samples(profile);
	if (result == 0)
		result = encode(profile, ret);
	if (result == 0) {
		ret->url = make_url(input, profile->period);
		result = ret->url ? format_add_header(ret, "Content-Type", "application/octet-stream")
				  : -ENOMEM;
	}
	arena_destroy(&arena);
	return result;
}
