/* What is made of a pprof on standard input, for readers that are not ours: the URL, the headers, an empty
 * line and the body on standard output. Arguments are NAME=VALUE. */

#include "worker/export/format_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct delivery_config config;
static struct delivery_destination destination;
static struct profile_facts facts;

#define TEXT(name, field)                                    \
	{                                                    \
		name, field, sizeof(field), NULL, NULL, NULL \
	}
#define NUMBER_32(name, field)                      \
	{                                           \
		name, NULL, 0, &(field), NULL, NULL \
	}
#define NUMBER_64(name, field)                      \
	{                                           \
		name, NULL, 0, NULL, &(field), NULL \
	}
#define TIME(name, field)                           \
	{                                           \
		name, NULL, 0, NULL, NULL, &(field) \
	}
static const struct {
	const char *name;
	char *text;
	size_t size;
	uint32_t *number_32;
	uint64_t *number_64;
	int64_t *time;
} settings[] = {
	NUMBER_32("kind", destination.kind),
	NUMBER_32("agentless", destination.is_agentless),
	NUMBER_32("gzip", destination.has_gzip),
	TEXT("url", destination.url),
	TEXT("headers", destination.headers),
	TEXT("prefix", destination.file_prefix),
	NUMBER_32("cpus_configured", config.cpus_configured),
	NUMBER_32("cpus_online", config.cpus_online),
	TEXT("config_runtime_id", config.runtime_id),
	TEXT("hostname", config.hostname),
	TEXT("entity_id", config.entity_id),
	TEXT("external_env", config.external_env),
	TEXT("attributes", config.resource_attributes),
	NUMBER_64("sequence", facts.sequence),
	TIME("start", facts.start_ns),
	TIME("end", facts.end_ns),
	NUMBER_32("pid", facts.target_pid),
	NUMBER_32("kernel", facts.is_kernel_included),
	TEXT("runtime_id", facts.runtime_id),
	TEXT("service", facts.service),
	TEXT("environment", facts.environment),
	TEXT("version", facts.version),
	TEXT("tags", facts.tags),
	TEXT("container_id", facts.container_id),
};

static bool
set(const char *argument)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		size_t length = strlen(settings[i].name);
		const char *value = argument + length + 1;

		if (strncmp(argument, settings[i].name, length) != 0 || argument[length] != '=')
			continue;
		if (settings[i].text)
			snprintf(settings[i].text, settings[i].size, "%s", value);
		if (settings[i].number_32)
			*settings[i].number_32 = (uint32_t)strtoul(value, NULL, 10);
		if (settings[i].number_64)
			*settings[i].number_64 = strtoull(value, NULL, 10);
		if (settings[i].time)
			*settings[i].time = strtoll(value, NULL, 10);
		return true;
	}
	return false;
}

static uint8_t *
read_all(size_t *ret_size)
{
	size_t capacity = 64u << 20, size;
	uint8_t *bytes = malloc(capacity);

	size = bytes ? fread(bytes, 1, capacity, stdin) : 0;
	*ret_size = size;
	return bytes;
}

int
main(int argc, char **argv)
{
	struct format_output output = {0};
	size_t size;

	for (int i = 1; i < argc; i++) {
		if (!set(argv[i])) {
			fprintf(stderr, "what is %s?\n", argv[i]);
			return 2;
		}
	}
	uint8_t *pprof = read_all(&size);
	const struct format_input input = {&config, &destination, &facts, pprof, size};
	bool is_files = destination_is_files(destination.kind);
	int result = !pprof     ? -ENOMEM
		     : is_files ? format_file(&input, &output)
				: format_request(&input, &output);
	free(pprof);
	if (result < 0) {
		fprintf(stderr, "%s\n", strerror(-result));
		return 1;
	}
	printf("%s\n", output.url);
	for (size_t i = 0; output.headers[i]; i++)
		printf("%s\n", output.headers[i]);
	printf("\n");
	fwrite(output.body, 1, output.body_size, stdout);
	format_output_destroy(&output);
	return 0;
}
