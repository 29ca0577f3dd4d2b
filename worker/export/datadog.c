/* What ddprof sends: a multipart form of event.json and the profile, compressed by zstd. docs/formats.md has
 * the fields, one by one. */

#include "worker/export/format_kinds.h"

#include "worker/export/buffer.h"
#include "worker/export/compress.h"
#include "worker/export/utc.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTACHMENT "profile.pprof"
#define PROFILE_MAX (10u << 20) /* compressed; the backend does not look at larger ones */
#define ORIGIN "ddprof"         /* what the backend knows native profiles of one service by */
#define BOUNDARY_MAX 80

#if defined(__x86_64__)
#define CPU "amd64"
#define PLATFORM "x86_64-unknown-linux-gnu"
#elif defined(__aarch64__)
#define CPU "arm64"
#define PLATFORM "aarch64-unknown-linux-gnu"
#else
#error "what does the backend call this processor?"
#endif

/* ---- tags ---- */

/* A comma would begin the next tag. */
static void
add_tag(struct buffer *tags, const char *key, const char *value)
{
	if (!value[0])
		return;
	if (tags->used > 0)
		buffer_add_text(tags, ",");
	buffer_add_text(tags, key);
	buffer_add_text(tags, ":");
	for (; *value; value++)
		buffer_add(tags, *value == ',' ? "_" : value, 1);
}

static void
add_tag_number(struct buffer *tags, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	add_tag(tags, key, text);
}

/* In ddprof's order, and with its spelling. An agent adds the host itself. */
static char *
make_tags(const struct format_input *input)
{
	const struct profile_facts *facts = input->facts;
	struct buffer tags = {0};

	add_tag(&tags, "language", "native");
	add_tag(&tags, "env", facts->environment);
	add_tag(&tags, "version", facts->version);
	add_tag(&tags, "service", facts->service);
	add_tag(&tags, "profiler_version", DDPROF_VERSION);
	add_tag(&tags, "runtime-id", format_runtime_id(input));
	if (input->destination->is_agentless)
		add_tag(&tags, "host", input->config->hostname);
	if (facts->tags[0]) {
		buffer_add_text(&tags, ",");
		buffer_add_text(&tags, facts->tags);
	}
	add_tag_number(&tags, "number_of_cpu_cores", input->config->cpus_configured);
	add_tag_number(&tags, "number_hw_concurent_threads", input->config->cpus_online);
	add_tag_number(&tags, "profile_seq", facts->sequence);
	add_tag(&tags, "include_kernel", facts->is_kernel_included ? "true" : "false");
	add_tag(&tags, "ddprof.custom_ctx", "container_id");
	add_tag(&tags, "cpu_arch", CPU);
	add_tag(&tags, "runtime_platform", PLATFORM);
	return buffer_take_text(&tags);
}

/* ---- event.json ---- */

static json_t *
json_time(int64_t time_ns)
{
	struct utc utc = utc_of(time_ns / 1000000000);
	char text[64];

	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", utc.year, utc.month, utc.day,
		 utc.hour, utc.minute, utc.second, (int)(time_ns % 1000000000));
	return json_string(text);
}

static json_t *
attachments(void)
{
	json_t *list = json_array();

	if (json_array_append_new(list, json_string(ATTACHMENT)) < 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

/* NULL: out of memory, or a text that is not UTF-8. */
static char *
make_event(const struct format_input *input)
{
	const struct profile_facts *facts = input->facts;
	char *tags = make_tags(input), *text = NULL;

	if (!tags)
		return NULL;
	json_object_seed(1); /* or jansson reads /dev/urandom, which the sandbox does not have */
	json_t *event = json_object();
	const struct {
		const char *key;
		json_t *value;
	} members[] = {
		{"attachments", attachments()},
		{"end", json_time(facts->end_ns)},
		{"endpoint_counts", json_null()},
		{"family", json_string("native")},
		{"info", json_object()},
		{"internal", json_object()},
		{"process_tags", json_null()},
		{"start", json_time(facts->start_ns)},
		{"tags_profiler", json_string(tags)},
		{"version", json_string("4")},
	};
	bool is_complete = event;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		is_complete =
			json_object_set_new(event, members[i].key, members[i].value) == 0 && is_complete;
	if (is_complete)
		text = json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(event);
	free(tags);
	return text;
}

/* ---- multipart ---- */

/* 4 x 16 hexadecimal digits, as reqwest makes them; not random, but different for each profile, and never
 * part of it. */
static void
make_boundary(const struct format_input *input, uint64_t salt, char ret[BOUNDARY_MAX])
{
	uint64_t hash = 0xcbf29ce484222325u ^ salt ^ (uint64_t)input->facts->end_ns; /* FNV-1a */
	size_t used = 0;

	for (const char *at = format_runtime_id(input); *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	for (int i = 0; i < 4; i++) {
		hash = (hash ^ input->facts->sequence ^ (uint64_t)i) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
		used += (size_t)snprintf(ret + used, BOUNDARY_MAX - used, "%s%016llx", i > 0 ? "-" : "",
					 (unsigned long long)hash);
	}
}

static void
choose_boundary(const struct format_input *input, const uint8_t *profile, size_t size, char ret[BOUNDARY_MAX])
{
	uint64_t salt = 0;

	do
		make_boundary(input, salt++, ret);
	while (memmem(profile, size, ret, strlen(ret)));
}

static void
put_body(struct buffer *body, const char *boundary, const char *event, const uint8_t *profile, size_t size)
{
	buffer_format(body,
		      "--%s\r\nContent-Disposition: form-data; name=\"event\"; filename=\"event.json\"\r\n"
		      "Content-Type: application/json\r\n\r\n",
		      boundary);
	buffer_add_text(body, event);
	buffer_format(body,
		      "\r\n--%s\r\nContent-Disposition: form-data; name=\"" ATTACHMENT
		      "\"; filename=\"" ATTACHMENT "\"\r\n\r\n",
		      boundary);
	buffer_add(body, profile, size);
	buffer_format(body, "\r\n--%s--\r\n", boundary);
}

static int
make_body(const struct format_input *input, const char *event, struct buffer *body,
	  char boundary[BOUNDARY_MAX])
{
	uint8_t *profile;
	size_t size;
	int result = compress_zstd(input->pprof, input->pprof_size, &profile, &size);

	if (result < 0)
		return result;
	if (size > PROFILE_MAX) {
		free(profile);
		return -ERANGE;
	}
	choose_boundary(input, profile, size, boundary);
	put_body(body, boundary, event, profile, size);
	free(profile);
	return body->has_failed ? -ENOMEM : 0;
}

/* ---- headers ---- */

static bool
is_in_container(const char *container_id)
{
	return container_id[0] && strcmp(container_id, "none") != 0 && strcmp(container_id, "unknown") != 0;
}

static int
add_headers(const struct format_input *input, const char *boundary, struct format_output *ret)
{
	const char *container = input->facts->container_id;
	bool has_container = is_in_container(container);
	char type[128], entity[CONTAINER_ID_MAX + 8];

	snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", boundary);
	snprintf(entity, sizeof(entity), "ci-%s", container);
	const struct {
		const char *name, *value;
	} headers[] = {
		{"Content-Type", type},
		{"DD-EVP-ORIGIN", ORIGIN},
		{"DD-EVP-ORIGIN-VERSION", DDPROF_VERSION},
		{"datadog-container-id", has_container ? container : ""},
		{"datadog-entity-id", has_container ? entity : input->config->entity_id},
		{"datadog-external-env", input->config->external_env},
	};
	int result = 0;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && result == 0; i++)
		result = format_add_header(ret, headers[i].name, headers[i].value);
	return result;
}

int
format_datadog(const struct format_input *input, struct format_output *ret)
{
	struct buffer body = {0};
	char boundary[BOUNDARY_MAX];
	char *event = make_event(input);
	int result = event ? make_body(input, event, &body, boundary) : -ENOMEM;

	free(event);
	ret->body = body.bytes;
	ret->body_size = body.used;
	return result < 0 ? result : add_headers(input, boundary, ret);
}
