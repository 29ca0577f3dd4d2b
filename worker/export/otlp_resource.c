/* In order of precedence, each key once: what the caller said of the service, OTEL_RESOURCE_ATTRIBUTES, what
 * we know ourselves, the caller's tags. */

#include "worker/export/otlp_resource.h"

#include "ipc/key_values.h"
#include "worker/export/format_kinds.h"
#include "worker/export/otlp_messages.h"
#include "worker/export/tags.h"

#include <string.h>

#define ATTRIBUTES_MAX 256

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#elif defined(__aarch64__)
#define HOST_ARCH "arm64"
#endif

struct resource {
	struct arena *arena;
	Otlp__KeyValue **list;
	Otlp__AnyValue **values;
	size_t count;
};

static char *
copy(struct resource *r, const char *text, size_t length)
{
	char *copied = arena_allocate(r->arena, length + 1);

	if (copied)
		memcpy(copied, text, length);
	return copied;
}

/* The value to fill in, or NULL: the key is there already, or there is no room. */
static Otlp__AnyValue *
begin(struct resource *r, const char *key, size_t length)
{
	for (size_t i = 0; i < r->count; i++)
		if (strncmp(r->list[i]->key, key, length) == 0 && r->list[i]->key[length] == '\0')
			return NULL;
	char *copied = r->count < ATTRIBUTES_MAX ? copy(r, key, length) : NULL;
	if (!copied)
		return NULL;
	r->list[r->count]->key = copied;
	r->list[r->count]->value = r->values[r->count];
	return r->values[r->count++];
}

static void
add(struct resource *r, const char *key, size_t key_length, const char *value, size_t length)
{
	Otlp__AnyValue *any = length > 0 && key_length > 0 ? begin(r, key, key_length) : NULL;

	if (!any)
		return;
	any->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	any->string_value = copy(r, value, length);
}

static void
add_text(struct resource *r, const char *key, const char *value)
{
	add(r, key, strlen(key), value, strlen(value));
}

static void
add_number(struct resource *r, const char *key, int64_t value)
{
	Otlp__AnyValue *any = begin(r, key, strlen(key));

	if (!any)
		return;
	any->value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	any->int_value = value;
}

/* The launcher checked them: what cannot be read now is left out. */
static void
add_given(struct resource *r, const char *attributes)
{
	struct key_value pair;

	while (key_values_next(&attributes, &pair) > 0)
		add_text(r, pair.key, pair.value);
}

static void
add_known(struct resource *r, const struct format_input *input)
{
	const char *container = input->facts->container_id;
	bool is_in_container = strcmp(container, "none") != 0 && strcmp(container, "unknown") != 0;

	add_text(r, "service.instance.id", format_runtime_id(input));
	add_text(r, "host.name", input->config->hostname);
	add_text(r, "host.arch", HOST_ARCH);
	add_text(r, "os.type", "linux");
	if (input->facts->target_pid > 0)
		add_number(r, "process.pid", input->facts->target_pid);
	add_text(r, "container.id", is_in_container ? container : "");
}

Otlp__Resource *
otlp_resource(const struct format_input *input, struct arena *arena)
{
	const struct profile_facts *facts = input->facts;
	Otlp__Resource **made = NEW_MESSAGES(arena, Otlp__Resource, OTLP__RESOURCE__INIT, 1);
	struct resource r = {
		.arena = arena,
		.list = NEW_MESSAGES(arena, Otlp__KeyValue, OTLP__KEY_VALUE__INIT, ATTRIBUTES_MAX),
		.values = NEW_MESSAGES(arena, Otlp__AnyValue, OTLP__ANY_VALUE__INIT, ATTRIBUTES_MAX),
	};

	struct tag tag;

	if (!made || !r.list || !r.values)
		return NULL;
	add_text(&r, "service.name", facts->service[0] ? facts->service : "unknown_service");
	add_text(&r, "service.version", facts->version);
	add_text(&r, "deployment.environment.name", facts->environment);
	add_given(&r, input->config->resource_attributes);
	add_known(&r, input);
	for (const char *at = facts->tags; tag_next(&at, &tag);)
		add(&r, tag.key, tag.key_length, tag.value, tag.value_length);
	made[0]->attributes = r.list;
	made[0]->n_attributes = r.count;
	return arena->exhausted ? NULL : made[0];
}
