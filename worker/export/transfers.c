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
	const struct network *network;
	const char *problem; /* that there is none */
	struct transfer transfer[DESTINATIONS_MAX];
};

struct transfers *
transfers_new(const struct delivery_config *config, const struct network *network, const char *problem)
{
	struct transfers *transfers = calloc(1, sizeof(*transfers));

	if (transfers) {
		transfers->config = config;
		transfers->network = network;
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
	const struct delivery_destination *to = &transfers->config->destination[destination];
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
		.destination = to,
		.facts = &item->facts,
		.pprof = pprof,
		.pprof_size = size,
	};
	result = destination_is_files(to->kind) ? format_file(&input, &transfer->output)
						: transfers->network->format(&input, &transfer->output);
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
can_be_served(const struct transfers *transfers, unsigned destination, struct delivery_answer *ret)
{
	if (transfers->network || destination_is_files(transfers->config->destination[destination].kind))
		return true;
	*ret = (struct delivery_answer){.verdict = ANSWER_REFUSES, .retry_after_ms = -1};
	snprintf(ret->words, sizeof(ret->words), "%s", transfers->problem);
	return false;
}

static bool
post(struct transfers *transfers, unsigned destination, struct delivery_answer *ret)
{
	const struct network *network = transfers->network;
	struct transfer *transfer = &transfers->transfer[destination];
	int result = network->post(network->context, &transfers->config->destination[destination],
				   &transfer->output, transfer);

	if (result < 0)
		say_error(ret, ANSWER_TEMPORARY, -result);
	return result == 0;
}

bool
transfers_prepare(struct transfers *transfers, unsigned destination, const struct export_item *item,
		  struct delivery_answer *ret)
{
	if (!can_be_served(transfers, destination, ret))
		return false;
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

unsigned
transfers_destination(const struct transfers *transfers, const void *transfer)
{
	return (unsigned)((const struct transfer *)transfer - transfers->transfer);
}

const char *
transfers_file_name(const struct transfers *transfers, unsigned destination)
{
	uint32_t kind = transfers->config->destination[destination].kind;
	const char *name = transfers->transfer[destination].file_name;

	return destination_is_files(kind) && name ? name : "";
}
