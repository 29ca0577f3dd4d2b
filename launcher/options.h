#pragma once
/* The command line and environment of ddprof-launch, read once into one struct.
 *
 * One constant table (option_table.c) describes every option; parsing (options.c), --help, --show_config and
 * docs/Commands.md (options_print.c) all come from it. Command line beats environment beats default, option
 * by option. Nothing is allocated and nothing is changed: every string is borrowed from argv, envp or the
 * program itself. */

#include "ipc/log_level.h"
#include "policy/levels.h"
#include "policy/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest values accepted, in bytes. They travel to the worker in fixed-size messages. */
#define OPTION_NAME_MAX 200 /* service, environment, version; the limit of a Datadog tag value */
#define OPTION_TAG_MAX 200  /* one tag of --tags */
#define OPTION_TAGS_MAX 4096
#define OPTION_PATH_MAX 4095 /* PATH_MAX without the NUL */
#define OPTION_EVENTS_MAX 1024
#define OPTION_URL_MAX 2047
#define OPTION_SECRET_MAX 8000 /* headers: several tokens */
#define OPTION_ATTRIBUTES_MAX 4095
#define OPTION_HOST_MAX 253 /* of a DNS name */

#define OPTION_AGENT_PORT_DEFAULT 8126
#define OPTION_SPOOL_SIZE_DEFAULT_MIB 256
#define OPTION_SPOOL_SIZE_MAX_MIB 1048576
#define OPTION_SPOOL_AGE_DEFAULT_H 168
#define OPTION_SPOOL_AGE_MAX_H 8760
#define OPTION_EXPORT_GRACE_DEFAULT_S 10
#define OPTION_EXPORT_GRACE_MAX_S 600

#define OPTION_UPLOAD_PERIOD_MIN_S 1
#define OPTION_UPLOAD_PERIOD_MAX_S 3600
#define OPTION_UPLOAD_PERIOD_DEFAULT_S 59

/* bytes, a multiple of 8 */
#define OPTION_STACK_SAMPLE_MIN_BYTES STACK_MIN_BYTES
#define OPTION_STACK_SAMPLE_MAX_BYTES STACK_MAX_BYTES

enum launch_exit {
	LAUNCH_EXIT_FAILURE = 125, /* we failed, and were asked not to go on then */
	LAUNCH_EXIT_CANNOT_EXECUTE = 126,
	LAUNCH_EXIT_NOT_FOUND = 127,
};

enum option_origin {
	OPTION_FROM_DEFAULT,
	OPTION_FROM_ENVIRONMENT,
	OPTION_FROM_COMMAND_LINE,
};

/* The options in the order in which every listing shows them. */
enum option_id {
	OPTION_SERVICE,
	OPTION_ENVIRONMENT,
	OPTION_SERVICE_VERSION,
	OPTION_TAGS,
	OPTION_OUTPUT,
	OPTION_PPROF_PREFIX,
	OPTION_URL,
	OPTION_HOST,
	OPTION_PORT,
	OPTION_AGENTLESS,
	OPTION_SITE,
	OPTION_INTAKE_URL,
	OPTION_API_KEY_FILE,
	OPTION_API_KEY,
	OPTION_HOSTNAME,
	OPTION_EXTERNAL_ENV,
	OPTION_RUNTIME_ID,
	OPTION_OTLP,
	OPTION_OTLP_URL,
	OPTION_OTLP_ENDPOINT,
	OPTION_OTLP_HEADERS,
	OPTION_OTLP_TIMEOUT,
	OPTION_OTLP_COMPRESSION,
	OPTION_OTLP_PROTOCOL,
	OPTION_OTLP_CERTIFICATE,
	OPTION_OTLP_CLIENT_CERTIFICATE,
	OPTION_OTLP_CLIENT_KEY,
	OPTION_RESOURCE_ATTRIBUTES,
	OPTION_PYROSCOPE_URL,
	OPTION_PYROSCOPE_USER,
	OPTION_PYROSCOPE_PASSWORD,
	OPTION_PYROSCOPE_TENANT,
	OPTION_CA_FILE,
	OPTION_CLIENT_CERTIFICATE,
	OPTION_CLIENT_KEY,
	OPTION_HTTP_PROXY,
	OPTION_HTTPS_PROXY,
	OPTION_NO_PROXY,
	OPTION_DO_EXPORT,
	OPTION_SPOOL,
	OPTION_SPOOL_SIZE,
	OPTION_SPOOL_AGE,
	OPTION_EXPORT_GRACE,
	OPTION_INTERNAL_STATS,
	OPTION_UPLOAD_PERIOD,
	OPTION_EVENT,
	OPTION_UNWIND,
	OPTION_STACK_SAMPLE_SIZE,
	OPTION_INLINED_FUNCTIONS,
	OPTION_DISABLE_SYMBOLIZATION,
	OPTION_KERNEL_FRAMES,
	OPTION_DEBUGINFOD,
	OPTION_DEBUGINFOD_URLS,
	OPTION_ENABLE,
	OPTION_REQUIRE,
	OPTION_WAIT,
	OPTION_DROP_CAPS,
	OPTION_KEEP_CAP,
	OPTION_LOG_LEVEL,
	OPTION_LOG_MODE,
	OPTION_SHOW_CONFIG,
	OPTION_CHECK,
	OPTION_PRINT_POLICY,
	OPTION_ATTEST,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION_COUNT,
};

/* Where profiles go, as the caller said it; "" is not said. What is no number is only checked by those who
 * use it (destinations.h): most of these variables are also read by others, and a tracer's is no reason to
 * complain.
 */
struct delivery_options {
	const char *output; /* folder for the profiles */
	const char *pprof_prefix;
	const char *url, *host; /* of the Datadog agent */
	unsigned int port;
	bool agentless;
	const char *site, *intake_url;
	const char *api_key_file, *api_key;
	const char *hostname, *external_env, *runtime_id;
	bool otlp;
	const char *otlp_url;      /* whole, for profiles alone */
	const char *otlp_endpoint; /* of all signals */
	const char *otlp_headers, *otlp_timeout, *otlp_compression, *otlp_protocol;
	const char *otlp_certificate, *otlp_client_certificate, *otlp_client_key;
	const char *resource_attributes;
	const char *pyroscope_url, *pyroscope_user, *pyroscope_password, *pyroscope_tenant;
	const char *ca_file, *client_certificate, *client_key;
	const char *http_proxy, *https_proxy, *no_proxy;
	bool do_export; /* false: files only */
	const char *spool;
	unsigned int spool_size_mib, spool_age_h;
	const char *internal_stats;
	bool debuginfod;
	const char *debuginfod_urls;
};

struct launch_options {
	const char *service;     /* never empty; may hold any byte but control characters, '/' included */
	const char *environment; /* "" when not given, as are the next two */
	const char *version;     /* of the service */
	const char *tags;        /* "k:v,k:v", every tag valid */
	struct delivery_options delivery;
	unsigned int upload_period_s;
	unsigned int export_grace_s; /* after the command's end */
	unsigned int frequency_hz;   /* of sCPU */
	enum unwind_method unwind;
	unsigned int stack_sample_size; /* bytes; 0: as much as stacks turn out to need */
	enum log_level log_level;
	const char *log_mode; /* "stdout", "stderr", "syslog", "disabled", else a file's path */
	bool inlined_functions;
	bool disable_symbolization;
	bool kernel_frames;
	bool enabled; /* false: only execute the command */
	bool show_config;
	bool require; /* no profiling, no command: exit 125 */
	bool wait;    /* stay as the command's parent */
	bool drop_caps;
	uint64_t kept_capabilities; /* bits of linux/capability.h; only with drop_caps */
	bool help;
	bool print_version;
	bool event_help;   /* "-e help": print the event grammar */
	const char *audit; /* the auditor's command to become, with the arguments from command_index on */
	int command_index; /* of the command in argv; argc when there is none */
	char warning[680]; /* about the environment, "" if there is none: as in struct option_error */
	enum option_origin origins[OPTION_COUNT];
	const char *variables[OPTION_COUNT]; /* which one it is from, when it is from the environment */
	bool is_unreadable[OPTION_COUNT];    /* it is set, but to nothing that --help describes */
};

struct option_error {
	enum option_origin origin; /* OPTION_FROM_COMMAND_LINE: give up; OPTION_FROM_ENVIRONMENT: run the
				      target anyway */
	char text[640]; /* one line, no newline, printable: option or variable, value, what is accepted */
};

/* Reads options up to the first argument that is none, or up to "--"; what follows is the command and is not
 * looked at. argv[argc] and the end of envp are NULL. "--help", "--version", "-e help" and the auditor's
 * commands end the reading at once, and the environment is not consulted. A variable that is empty, or
 * overridden on the command line, is not looked at; with
 * --enable false no variable is found at fault, for nothing of it is going to be used.
 *
 * Returns 0, or -EINVAL with *ret_error filled. After an error of the command line *ret is untouched; after
 * one of the environment it is complete, with the default in place of every bad value, so that the command
 * can still be run. Only the first error is told. Strings in *ret live as long as argv and envp. */
int options_parse(int argc, char *const argv[], char *const envp[], struct launch_options *ret,
		  struct option_error *ret_error);

/* Each prints to fd; a failed write is not reported. For "-e help" see event_grammar_print. */
void options_print_help(int fd);
void options_print_config(const struct launch_options *options,
			  int fd);   /* each value, and where it came from */
void options_print_markdown(int fd); /* docs/Commands.md, whole */
