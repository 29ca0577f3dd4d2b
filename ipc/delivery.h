#pragma once
/* Where profiles go, decided by the launcher from the command line and environment and sealed in a memfd of
 * its own: one struct delivery_config, and behind it the PEM texts that it counts. It holds keys and
 * passwords. The supervisor passes the descriptor on and never reads it; the exporter alone does. */

#include <stdbool.h>
#include <stdint.h>

#define DESTINATIONS_MAX 8
#define DESTINATION_URL_MAX 2048
#define DESTINATION_HEADERS_MAX 8192
#define DELIVERY_TEXT 512
#define UNIX_SOCKET_PATH_MAX 108 /* sun_path of unix(7), with the NUL */
#define DELIVERY_PEM_MAX (4u << 20)

enum destination_kind {
	DESTINATION_FOLDER = 1, /* gzip files below FD_OUTPUT */
	DESTINATION_PREFIX,     /* zstd files below FD_PREFIX: <prefix><UTC>.pprof.zst */
	DESTINATION_DATADOG,    /* an agent's or the site's /profiling/v1/input or /api/v2/profile */
	DESTINATION_OTLP,       /* OTLP/HTTP profiles, binary protobuf */
	DESTINATION_PYROSCOPE,  /* /ingest of Grafana Pyroscope */
	DESTINATION_KINDS,
};

/* One place, complete: the exporter adds nothing but what it knows of a profile. Strings are NUL-terminated.
 */
struct delivery_destination {
	uint32_t kind;         /* enum destination_kind */
	uint32_t timeout_ms;   /* of one request as a whole */
	uint32_t is_agentless; /* DESTINATION_DATADOG: the site's own intake, with a key */
	uint32_t has_gzip; /* DESTINATION_OTLP: the body goes gzip-compressed (OTEL_EXPORTER_OTLP_COMPRESSION)
			    */
	char name[DELIVERY_TEXT];               /* for messages: no key, password or query in it */
	char url[DESTINATION_URL_MAX];          /* http:// or https://, with the whole path; "" for files */
	char unix_socket[UNIX_SOCKET_PATH_MAX]; /* connect to this instead of the URL's host; "": no */
	char headers[DESTINATION_HEADERS_MAX];  /* "Name: value" lines, each ended by '\n'; secret */
	char file_prefix[DELIVERY_TEXT]; /* DESTINATION_PREFIX: the last component of the prefix; may be "" */
};

struct delivery_config {
	uint32_t count;
	struct delivery_destination destination[DESTINATIONS_MAX];

	char runtime_id[40];              /* UUID version 4 of this launch, lower-case */
	char hostname[DELIVERY_TEXT];     /* DD_HOSTNAME, else what the kernel calls the host */
	char entity_id[DELIVERY_TEXT];    /* "ci-<id>", "in-<inode>" or "" */
	char external_env[DELIVERY_TEXT]; /* DD_EXTERNAL_ENV or "" */
	char resource_attributes[4096];   /* OTEL_RESOURCE_ATTRIBUTES, checked, as given */
	char proxy_http[DESTINATION_URL_MAX], proxy_https[DESTINATION_URL_MAX], no_proxy[DESTINATION_URL_MAX];
	char statsd_socket[UNIX_SOCKET_PATH_MAX]; /* --internal_stats; "": none */

	uint32_t cpus_configured, cpus_online;

	char debuginfod_urls[DESTINATION_URL_MAX]; /* --debuginfod: servers, separated by spaces; "": none */

	uint64_t spool_max_bytes; /* with FD_SPOOL */
	uint64_t spool_max_age_s;

	/* Sizes of the PEM texts behind this struct, in this order; 0: none. */
	uint32_t ca_size;          /* instead of the system's certificate authorities */
	uint32_t certificate_size; /* the client's */
	uint32_t key_size;
};

/* Of a destination: files below one of the exporter's folders, and no requests. */
bool destination_is_files(uint32_t kind);

/* Whether anything of it needs a socket. If not, the exporter is a program that has no code for one. */
bool delivery_has_network(const struct delivery_config *delivery);
