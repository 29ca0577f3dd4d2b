/* Formats, writes or posts, and translates what comes of it into the queue's terms. */

#include "worker/export/transfers.h"

#include "worker/base/memory_file.h"
#include "worker/export/file.h"
#include "worker/export/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
	uint64_t item; /* id of the item that `output` is of; 0: none */
	struct format_output output;
	const char *file_name; /* that it was written to; in `output` */
};

struct transfers {
	const struct delivery_config *config;
	struct http_client *client;
	const char *problem; /* that there is no client */
	struct transfer transfer[DESTINATIONS_MAX];
};

struct transfers *
transfers_new(const struct delivery_config *config, struct http_client *client, const char *problem)
{
	struct transfers *transfers = calloc(1, sizeof(*transfers));

	if (transfers) {
		transfers->config = config;
		transfers->client = client;
		transfers->problem = problem;
	}
	return transfers;
}

void
transfers_forget(struct transfers *transfers, unsigned destination)
{
	struct transfer *transfer = &transfers->transfer[destination];

	format_output_destroy(&transfer->output);
	*transfer = (struct transfer){0};
}

void
transfers_free(struct transfers *transfers)
{
	if (!transfers)
		return;
	for (unsigned i = 0; i < DESTINATIONS_MAX; i++)
		transfers_forget(transfers, i);
	free(transfers);
}

static void
say_error(struct delivery_answer *ret, enum verdict_of_destination verdict, int error)
{
	ret->verdict = verdict;
	ret->retry_after_ms = -1;
	snprintf(ret->words, sizeof(ret->words), "%s", strerror(error));
}

/* ---- the bytes ---- */

static int
format(struct transfers *transfers, unsigned destination, const struct export_item *item)
{
	struct transfer *transfer = &transfers->transfer[destination];
	uint8_t *pprof = NULL;
	size_t size = 0;

	if (transfer->item == item->id)
		return 0;
	transfers_forget(transfers, destination);
	int result = item->file ? spool_file_read(item->file, &pprof, &size)
				: memory_file_read(item->fd, &pprof, &size);
	if (result < 0)
		return result;
	const struct format_input input = {
		.config = transfers->config,
		.destination = &transfers->config->destination[destination],
		.facts = &item->facts,
		.pprof = pprof,
		.pprof_size = size,
	};
	result = format_profile(&input, &transfer->output);
	free(pprof);
	if (result == 0)
		transfer->item = item->id;
	return result;
}

/* Of the profile itself, and for ever; the rest may be otherwise next time. */
static enum verdict_of_destination
judge_format_error(int error)
{
	return error == EBADMSG || error == ERANGE || error == EFBIG ? ANSWER_PROFILE_REFUSED
								     : ANSWER_TEMPORARY;
}

/* ---- files ---- */

/* Some errors are this one file's. The others are the disk's, which may recover; but not within the grace. */
static enum verdict_of_destination
judge_file_error(int error, bool is_hurried)
{
	static const int of_the_file[] = {EISDIR, EEXIST, ENOTEMPTY, ENAMETOOLONG, EFBIG, EINVAL, EXDEV};

	for (size_t i = 0; i < sizeof(of_the_file) / sizeof(of_the_file[0]); i++)
		if (of_the_file[i] == error)
			return ANSWER_PROFILE_REFUSED;
	return is_hurried ? ANSWER_REFUSES : ANSWER_TEMPORARY;
}

static void
write_file(struct transfer *transfer, int folder, bool is_hurried, struct delivery_answer *ret)
{
	const struct format_output *output = &transfer->output;
	int result;

	transfer->file_name = output->url;
	if (output->otherwise)
		result = export_file_write_beside(folder, output->url, output->otherwise, output->body,
						  output->body_size, &transfer->file_name);
	else
		result = export_file_write(folder, output->url, output->body, output->body_size);
	if (result < 0) {
		say_error(ret, judge_file_error(-result, is_hurried), -result);
		return;
	}
	ret->verdict = ANSWER_ACCEPTED;
	ret->bytes = transfer->output.body_size;
}

/* ---- network ---- */

static bool
post(struct transfers *transfers, unsigned destination, struct delivery_answer *ret)
{
	const struct delivery_destination *to = &transfers->config->destination[destination];
	struct transfer *transfer = &transfers->transfer[destination];
	const struct http_request request = {
		.url = transfer->output.url,
		.unix_socket = to->unix_socket,
		.headers = (const char *const *)transfer->output.headers,
		.body = transfer->output.body,
		.body_size = transfer->output.body_size,
		.timeout_ms = to->timeout_ms,
	};

	if (!transfers->client) {
		*ret = (struct delivery_answer){.verdict = ANSWER_REFUSES, .retry_after_ms = -1};
		snprintf(ret->words, sizeof(ret->words), "%s", transfers->problem);
		return false;
	}
	int result = http_client_start(transfers->client, &request, transfer);
	if (result < 0)
		say_error(ret, ANSWER_TEMPORARY, -result);
	return result == 0;
}

static void
judge_http(const struct http_answer *answer, struct delivery_answer *ret)
{
	char status[48];

	*ret = (struct delivery_answer){
		.verdict = retry_judge(answer->status, answer->retry_after_ms >= 0),
		.status = answer->status,
		.retry_after_ms = answer->retry_after_ms,
		.bytes = answer->sent_bytes,
	};
	retry_status_text(answer->status, status, sizeof(status));
	if (answer->status == 0)
		snprintf(ret->words, sizeof(ret->words), "%s", answer->words);
	else
		snprintf(ret->words, sizeof(ret->words), "%s%s%.180s", status, answer->words[0] ? ": " : "",
			 answer->words);
}

bool
transfers_prepare(struct transfers *transfers, unsigned destination, const struct export_item *item,
		  struct delivery_answer *ret)
{
	int result = format(transfers, destination, item);

	if (result < 0)
		say_error(ret, judge_format_error(-result), -result);
	return result == 0;
}

bool
transfers_start(struct transfers *transfers, unsigned destination, bool is_hurried,
		struct delivery_answer *ret)
{
	switch (transfers->config->destination[destination].kind) {
	case DESTINATION_FOLDER:
		write_file(&transfers->transfer[destination], FD_OUTPUT, is_hurried, ret);
		return false;
	case DESTINATION_PREFIX:
		write_file(&transfers->transfer[destination], FD_PREFIX, is_hurried, ret);
		return false;
	default:
		return post(transfers, destination, ret);
	}
}

void
transfers_take(struct transfers *transfers, const struct http_answer *answer, unsigned *ret_destination,
	       struct delivery_answer *ret)
{
	*ret_destination = (unsigned)((const struct transfer *)answer->context - transfers->transfer);
	judge_http(answer, ret);
}

const char *
transfers_file_name(const struct transfers *transfers, unsigned destination)
{
	uint32_t kind = transfers->config->destination[destination].kind;
	const char *name = transfers->transfer[destination].file_name;

	return (kind == DESTINATION_FOLDER || kind == DESTINATION_PREFIX) && name ? name : "";
}
