/* By kind, then what all requests share: the destination's own headers, and who is asking. */

#include "worker/export/format_kinds.h"

#include "worker/export/buffer.h"
#include "worker/export/compress.h"
#include "worker/export/file_name.h"
#include "worker/export/utc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME_MAX 256
#define USER_AGENT "ddprof-launch/" DDPROF_VERSION

static int
add_header_line(struct format_output *output, const char *line, size_t length)
{
	size_t count = 0;

	while (output->headers[count])
		count++;
	if (count >= FORMAT_HEADERS_MAX)
		return -ENOMEM;
	output->headers[count] = strndup(line, length);
	return output->headers[count] ? 0 : -ENOMEM;
}

int
format_add_header(struct format_output *output, const char *name, const char *value)
{
	struct buffer line = {0};

	if (!value[0])
		return 0;
	buffer_add_text(&line, name);
	buffer_add_text(&line, ": ");
	buffer_add_text(&line, value);
	int result = line.has_failed ? -ENOMEM : add_header_line(output, (char *)line.bytes, line.used);
	buffer_destroy(&line);
	return result;
}

const char *
format_runtime_id(const struct format_input *input)
{
	return input->facts->runtime_id[0] ? input->facts->runtime_id : input->config->runtime_id;
}

static int
add_own_headers(const struct delivery_destination *destination, struct format_output *output)
{
	const char *at = destination->headers;
	int result = format_add_header(output, "User-Agent", USER_AGENT);

	while (result == 0 && *at) {
		size_t length = strcspn(at, "\n");

		result = add_header_line(output, at, length);
		at += length + (at[length] == '\n');
	}
	return result;
}

int
format_folder(const struct format_input *input, struct format_output *ret)
{
	const struct profile_facts *facts = input->facts;

	ret->url = malloc(FILE_NAME_MAX);
	if (!ret->url)
		return -ENOMEM;
	export_file_name(facts->service, facts->target_pid, facts->end_ns, facts->sequence, ret->url,
			 FILE_NAME_MAX);
	return compress_gzip(input->pprof, input->pprof_size, &ret->body, &ret->body_size);
}

static char *
prefix_name(const struct format_input *input, const char *suffix)
{
	struct utc time = utc_of(input->facts->end_ns / 1000000000);
	struct buffer name = {0};

	buffer_add_text(&name, input->destination->file_prefix);
	buffer_format(&name, "%04d%02d%02dT%02d%02d%02dZ%s.pprof.zst", time.year, time.month, time.day,
		      time.hour, time.minute, time.second, suffix);
	return buffer_take_text(&name);
}

/* As ddprof: <prefix>YYYYmmddTHHMMSSZ.pprof.zst. A second is long enough for two profiles, and a prefix may
 * be that of several services: who comes later has its PID and number in the name, too. */
int
format_prefix(const struct format_input *input, struct format_output *ret)
{
	char suffix[48];

	snprintf(suffix, sizeof(suffix), "-%u-%llu", input->facts->target_pid,
		 (unsigned long long)input->facts->sequence);
	ret->url = prefix_name(input, "");
	ret->otherwise = prefix_name(input, suffix);
	if (!ret->url || !ret->otherwise)
		return -ENOMEM;
	return compress_zstd(input->pprof, input->pprof_size, &ret->body, &ret->body_size);
}

static const struct {
	int (*format)(const struct format_input *input, struct format_output *ret);
	bool is_request;
} kinds[DESTINATION_KINDS] = {
	[DESTINATION_FOLDER] = {format_folder, false},      [DESTINATION_PREFIX] = {format_prefix, false},
	[DESTINATION_DATADOG] = {format_datadog, true},     [DESTINATION_OTLP] = {format_otlp, true},
	[DESTINATION_PYROSCOPE] = {format_pyroscope, true},
};

int
format_profile(const struct format_input *input, struct format_output *ret)
{
	uint32_t kind = input->destination->kind;
	struct format_output output = {0};

	if (kind >= DESTINATION_KINDS || !kinds[kind].format)
		return -EINVAL;
	int result = kinds[kind].format(input, &output);
	if (result == 0 && kinds[kind].is_request && !output.url)
		output.url = strdup(input->destination->url);
	if (result == 0 && !output.url)
		result = -ENOMEM;
	if (result == 0 && kinds[kind].is_request)
		result = add_own_headers(input->destination, &output);
	if (result < 0)
		format_output_destroy(&output);
	else
		*ret = output;
	return result;
}

/* The headers may hold a key. */
void
format_output_destroy(struct format_output *output)
{
	for (size_t i = 0; output->headers[i]; i++) {
		explicit_bzero(output->headers[i], strlen(output->headers[i]));
		free(output->headers[i]);
	}
	free(output->url);
	free(output->otherwise);
	free(output->body);
	*output = (struct format_output){0};
}
