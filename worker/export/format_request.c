/* By kind, then what all requests share: the destination's own headers, and who is asking. */

#include "worker/export/format_request.h"

#include "worker/export/buffer.h"
#include "worker/export/format_kinds.h"

#include <errno.h>
#include <string.h>

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
format_request(const struct format_input *input, struct format_output *ret)
{
	static int (*const formats[DESTINATION_KINDS])(const struct format_input *input,
						       struct format_output *ret) = {
		[DESTINATION_DATADOG] = format_datadog,
		[DESTINATION_OTLP] = format_otlp,
		[DESTINATION_PYROSCOPE] = format_pyroscope,
	};
	uint32_t kind = input->destination->kind;
	struct format_output output = {0};

	if (kind >= DESTINATION_KINDS || !formats[kind])
		return -EINVAL;
	int result = formats[kind](input, &output);
	if (result == 0 && !output.url)
		output.url = strdup(input->destination->url);
	if (result == 0 && !output.url)
		result = -ENOMEM;
	if (result == 0)
		result = add_own_headers(input->destination, &output);
	if (result < 0)
		format_output_destroy(&output);
	else
		*ret = output;
	return result;
}
