/* The two forms of files. */

#include "worker/export/format.h"

#include "worker/export/buffer.h"
#include "worker/export/compress.h"
#include "worker/export/file_name.h"
#include "worker/export/utc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME_MAX 256

static int
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
static int
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

int
format_file(const struct format_input *input, struct format_output *ret)
{
	bool is_folder = input->destination->kind == DESTINATION_FOLDER;
	struct format_output output = {0};
	int result = is_folder ? format_folder(input, &output) : format_prefix(input, &output);

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
