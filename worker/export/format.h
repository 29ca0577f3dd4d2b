#pragma once
/* One finished profile as each destination wants it: bytes in, bytes out. Pure functions; no file, no
 * network. */

#include "ipc/delivery.h"
#include "ipc/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is said of a profile besides its bytes. Survives in the spool, so that a later run sends it as the run
 * that made it would have. */
struct profile_facts {
	uint64_t sequence;        /* of this launch, from 0 */
	int64_t start_ns, end_ns; /* CLOCK_REALTIME */
	uint32_t target_pid;
	uint32_t is_kernel_included; /* kernel time is part of the samples */
	char runtime_id[40];
	char service[CONFIG_TEXT], environment[CONFIG_TEXT], version[CONFIG_TEXT];
	char tags[4096];                     /* the caller's: "k:v,k:v" */
	char container_id[CONTAINER_ID_MAX]; /* "" or "none": not in a container */
};

struct format_input {
	const struct delivery_config *config;
	const struct delivery_destination *destination;
	const struct profile_facts *facts;
	const uint8_t *pprof; /* uncompressed profile.proto */
	size_t pprof_size;
};

#define FORMAT_HEADERS_MAX 48
/* A request's content; everything owned. */
struct format_output {
	uint8_t *body;
	size_t body_size;
	char *url;       /* the destination's, with what this profile adds to the query */
	char *otherwise; /* of a file: its name if another one is called `url` already; NULL: it takes its
			    place */
	char *headers[FORMAT_HEADERS_MAX + 1]; /* NULL-terminated; the destination's own included */
};

/* For a destination whose kind is files: `url` is the file's name below the folder, and there are no headers.
 * 0 or -ENOMEM. Nothing is left behind on failure. (The others: worker/export/format_request.h.) */
int format_file(const struct format_input *input, struct format_output *ret);
void format_output_destroy(struct format_output *output); /* also of a zeroed one */
