#pragma once
/* Where profiles go: what the caller said, made into the exporter's configuration.
 *
 * In two steps, for they fail differently. Choosing is pure, and a mistake on the command line ends the
 * launch; opening touches files and sockets with the caller's rights, and when that fails the target still
 * runs. */

#include "ipc/delivery.h"
#include "ipc/log.h"
#include "launcher/options.h"

struct delivery_choice {
	struct delivery_config config;           /* complete, but for what is to be read from files */
	bool is_default;                         /* nothing was chosen: delivery_decide looks for an agent */
	bool may_export;                         /* ... if it may: --do_export */
	const char *output, *spool;              /* "": none */
	char prefix_folder[OPTION_PATH_MAX + 1]; /* "": none */
	const char *api_key_file;                /* "": none, or not needed */
	const char *ca_file, *client_certificate, *client_key;
	const struct launch_options *options; /* whom to name when one of these cannot be used */
	enum option_id ca_option, certificate_option, key_option;
	char service[OPTION_NAME_MAX + 1], environment[OPTION_NAME_MAX + 1], version[OPTION_NAME_MAX + 1];
};

/* 0, or -EINVAL with *ret_error filled as options_parse does. *ret borrows from the options, and *options
 * may be given names out of *ret (those that OTEL_RESOURCE_ATTRIBUTES knows and nothing else). */
int destinations_choose(struct launch_options *options, struct delivery_choice *ret,
			struct option_error *ret_error);

/* For --show_config: one line for each. No secrets. */
void destinations_print(const struct delivery_choice *choice, int fd);

/* Adds the agent that answered, or files in the current folder. `socket` is its path, or NULL for
 * localhost:8126. */
void destinations_add_agent(struct delivery_choice *choice, const char *socket);
void destinations_add_folder(struct delivery_choice *choice, const char *path);

/* False: it is no API key. */
bool destinations_add_api_key(struct delivery_destination *intake, const char *key);

/* All owned, close-on-exec, or -1. */
struct delivery_fds {
	int config, spool, prefix;
	bool has_network; /* delivery_has_network() of what `config` holds */
};
#define DELIVERY_FDS_NONE ((struct delivery_fds){-1, -1, -1, false})
void delivery_fds_close(struct delivery_fds *fds);

#define DELIVERY_PROBLEM_MAX 640
/* Where profiles go when nothing was chosen: to the agent that answers, else to files in the current folder.
 * Says which in `log`. */
void delivery_decide(struct delivery_choice *choice, const struct log *log);

/* Reads keys and certificates, opens folders, seals it all, and forgets what is secret. 0, or -errno with one
 * printable line. Of *choice only `output` is of use afterwards: who opens that folder is launch_start. */
int delivery_open(struct delivery_choice *choice, struct delivery_fds *ret,
		  char ret_problem[DELIVERY_PROBLEM_MAX]);

/* Whether a Datadog agent takes a connection within 50 ms: at its usual socket (*ret_socket is its path), or
 * at localhost:8126 (*ret_socket is NULL). */
bool agent_answers(const char **ret_socket);
