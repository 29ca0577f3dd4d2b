/* Which options there are, what their values may look like, and how each value is read. Policy as data: a new
 * option is a row here and a field in options.h. */

#include "launcher/option_table.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "launcher/quote.h"
#include "policy/kept_capabilities.h"

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
#define VALUE(field) offsetof(struct option_values, field)

#define NAME_RANGE TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters"
#define PATH_RANGE TEXT_OF(OPTION_PATH_MAX) " bytes without control characters"

/* clang-format off */
const struct option_row option_table[OPTION_COUNT] = {
	[OPTION_SERVICE] = {
		.name = "service", .letter = 'S', .variable = "DD_SERVICE", .other_variables = {"OTEL_SERVICE_NAME"},
		.placeholder = "NAME",
		.help_default = "the command's base name",
		.help = "Service the profiles belong to; the first part of their file names.",
		.accepts = "1 to " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.service), .min = 1, .max = OPTION_NAME_MAX,
	},
	[OPTION_ENVIRONMENT] = {
		.name = "environment", .letter = 'E', .variable = "DD_ENV", .placeholder = "NAME",
		.default_text = "", .help_default = "none",
		.help = "Deployment environment: the profiles' 'env' tag.",
		.accepts = "at most " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.environment), .max = OPTION_NAME_MAX,
	},
	[OPTION_SERVICE_VERSION] = {
		.name = "service_version", .letter = 'V', .variable = "DD_VERSION", .placeholder = "VERSION",
		.default_text = "", .help_default = "none",
		.help = "Version of the service: the profiles' 'version' tag.",
		.accepts = "at most " NAME_RANGE,
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.version), .max = OPTION_NAME_MAX,
	},
	[OPTION_TAGS] = {
		.name = "tags", .letter = 'T', .variable = "DD_TAGS", .placeholder = "KEY:VALUE,...",
		.default_text = "", .help_default = "none",
		.help = "More tags. Each is at most " TEXT_OF(OPTION_TAG_MAX) " bytes, begins with a letter and goes on "
			"with letters, digits and _-:./\\ only.",
		.accepts = "at most " TEXT_OF(OPTION_TAGS_MAX) " bytes of KEY:VALUE,...",
		.kind = OPTION_KIND_TAGS, .offset = VALUE(options.tags), .max = OPTION_TAGS_MAX,
	},
	[OPTION_OUTPUT] = {
		.name = "output", .variable = "DDPROF_OUTPUT",
		.placeholder = "DIR",
		.help_default = "the current folder, if nothing else is chosen and no Datadog agent answers",
		.help = "Folder the profiles are written to, as gzip-compressed pprof files. It is opened with your "
			"rights, before the command runs.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.output), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_PPROF_PREFIX] = {
		.name = "debug_pprof_prefix", .variable = "DD_PROFILING_PPROF_PREFIX",
		.placeholder = "PREFIX",
		.help_default = "none",
		.help = "Also write each profile as PREFIX<YYYYmmddTHHMMSSZ>.pprof.zst, compressed by zstd.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.pprof_prefix), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_URL] = {
		.name = "url", .letter = 'U', .variable = "DD_TRACE_AGENT_URL",
		.placeholder = "URL",
		.help_default = "none",
		.help = "The Datadog agent profiles go to: host:port, http(s)://host[:port][/base], unix:///path or "
			"/path of its socket. Goes before --host and --port.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.url), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_HOST] = {
		.name = "host", .letter = 'H', .variable = "DD_AGENT_HOST",
		.placeholder = "HOST",
		.help_default = "localhost, if --port is given",
		.help = "Host of the Datadog agent profiles go to.",
		.accepts = "1 to " TEXT_OF(OPTION_HOST_MAX) " characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.host), .min = 1, .max = OPTION_HOST_MAX,
		.is_shared = true,
	},
	[OPTION_PORT] = {
		.name = "port", .letter = 'P', .variable = "DD_TRACE_AGENT_PORT",
		.placeholder = "PORT",
		.default_text = TEXT_OF(OPTION_AGENT_PORT_DEFAULT),
		.help = "Port of the Datadog agent profiles go to.",
		.accepts = "a port from 1 to 65535",
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.delivery.port), .min = 1, .max = 65535,
		.is_shared = true,
	},
	[OPTION_AGENTLESS] = {
		.name = "agentless", .variable = "DD_PROFILING_AGENTLESS",
		.placeholder = "BOOL",
		.default_text = "false",
		.help = "Whether to send profiles to Datadog's own intake, without an agent. Needs an API key.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.delivery.agentless),
	},
	[OPTION_SITE] = {
		.name = "site", .variable = "DD_SITE",
		.placeholder = "SITE",
		.help_default = "datadoghq.com",
		.help = "Datadog site of --agentless.",
		.accepts = "1 to " TEXT_OF(OPTION_HOST_MAX) " characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.site), .min = 1, .max = OPTION_HOST_MAX,
		.is_shared = true,
	},
	[OPTION_INTAKE_URL] = {
		.name = "intake_url", .variable = "DD_APM_PROFILING_DD_URL",
		.placeholder = "URL",
		.help_default = "none",
		.help = "With --agentless: the intake's URL, whole, instead of the site's.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.intake_url), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_API_KEY_FILE] = {
		.name = "api_key_file", .variable = "DDPROF_API_KEY_FILE",
		.placeholder = "FILE",
		.help_default = "none",
		.help = "File that holds the API key of --agentless. Keeps it out of the environment, which the command "
			"inherits.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.api_key_file), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_API_KEY] = {
		.name = "api_key", .variable = "DD_API_KEY",
		.placeholder = "KEY",
		.help_default = "none",
		.help = "API key of --agentless. Only from the environment.",
		.instead = "put the key into DD_API_KEY, or better into a file that only you can read, for --api_key_file",
		.accepts = "1 to " TEXT_OF(OPTION_SECRET_MAX) " printable ASCII characters",
		.kind = OPTION_KIND_SECRET, .offset = VALUE(options.delivery.api_key), .min = 1, .max = OPTION_SECRET_MAX,
		.is_shared = true,
	},
	[OPTION_HOSTNAME] = {
		.name = "hostname", .variable = "DD_HOSTNAME",
		.placeholder = "NAME",
		.help_default = "the kernel's",
		.help = "Host name that profiles carry.",
		.accepts = "1 to " TEXT_OF(OPTION_HOST_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.hostname), .min = 1, .max = OPTION_HOST_MAX,
		.is_shared = true,
	},
	[OPTION_EXTERNAL_ENV] = {
		.name = "external_env", .variable = "DD_EXTERNAL_ENV",
		.placeholder = "TEXT",
		.help_default = "none",
		.help = "What the cluster says of this container, for the agent.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.external_env), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_RUNTIME_ID] = {
		.name = "runtime_id", .variable = "DD_PROFILING_RUNTIME_ID",
		.placeholder = "UUID",
		.help_default = "a random one",
		.help = "Identifies the run of the service.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.runtime_id), .min = 1, .max = OPTION_NAME_MAX,
	},
	[OPTION_OTLP] = {
		.name = "otlp", .variable = "DDPROF_OTLP",
		.placeholder = "BOOL",
		.default_text = "false",
		.help = "Whether to send profiles to --otlp_endpoint, as OTLP. Not needed with --otlp_url.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.delivery.otlp),
	},
	[OPTION_OTLP_URL] = {
		.name = "otlp_url", .variable = "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT",
		.placeholder = "URL",
		.help_default = "none",
		.help = "Send profiles to this URL, as OTLP (v1development) over HTTP. Used as it is: the path of most "
			"receivers is /v1development/profiles.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.otlp_url), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_ENDPOINT] = {
		.name = "otlp_endpoint", .variable = "OTEL_EXPORTER_OTLP_ENDPOINT",
		.placeholder = "URL",
		.help_default = "http://localhost:4318",
		.help = "Where --otlp sends to, less /v1development/profiles, which is appended. Alone it chooses "
			"nothing: it may have been set for traces.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.otlp_endpoint), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_HEADERS] = {
		.name = "otlp_headers", .variable = "OTEL_EXPORTER_OTLP_PROFILES_HEADERS",
		.other_variables = {"OTEL_EXPORTER_OTLP_HEADERS"},
		.placeholder = "HEADERS",
		.help_default = "none",
		.help = "Headers of OTLP requests: name=value,name=value, values percent-encoded. Only from the "
			"environment.",
		.instead = "put them into OTEL_EXPORTER_OTLP_PROFILES_HEADERS",
		.accepts = "1 to " TEXT_OF(OPTION_SECRET_MAX) " printable ASCII characters",
		.kind = OPTION_KIND_SECRET, .offset = VALUE(options.delivery.otlp_headers), .min = 1, .max = OPTION_SECRET_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_TIMEOUT] = {
		.name = "otlp_timeout", .variable = "OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT",
		.other_variables = {"OTEL_EXPORTER_OTLP_TIMEOUT"},
		.placeholder = "MS",
		.help_default = "10000",
		.help = "Longest time for one OTLP request, in milliseconds.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.otlp_timeout), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_COMPRESSION] = {
		.name = "otlp_compression", .variable = "OTEL_EXPORTER_OTLP_PROFILES_COMPRESSION",
		.other_variables = {"OTEL_EXPORTER_OTLP_COMPRESSION"},
		.placeholder = "METHOD",
		.help_default = "none",
		.help = "gzip or none.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.otlp_compression), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_PROTOCOL] = {
		.name = "otlp_protocol", .variable = "OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL",
		.other_variables = {"OTEL_EXPORTER_OTLP_PROTOCOL"},
		.placeholder = "PROTOCOL",
		.help_default = "http/protobuf",
		.help = "http/protobuf is the only one.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.otlp_protocol), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_CERTIFICATE] = {
		.name = "otlp_certificate", .variable = "OTEL_EXPORTER_OTLP_PROFILES_CERTIFICATE",
		.other_variables = {"OTEL_EXPORTER_OTLP_CERTIFICATE"},
		.placeholder = "FILE",
		.help_default = "none",
		.help = "As --ca_file, for OTLP.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.otlp_certificate), .min = 1, .max = OPTION_PATH_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_CLIENT_CERTIFICATE] = {
		.name = "otlp_client_certificate", .variable = "OTEL_EXPORTER_OTLP_PROFILES_CLIENT_CERTIFICATE",
		.other_variables = {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		.placeholder = "FILE",
		.help_default = "none",
		.help = "As --client_certificate, for OTLP.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.otlp_client_certificate), .min = 1, .max = OPTION_PATH_MAX,
		.is_shared = true,
	},
	[OPTION_OTLP_CLIENT_KEY] = {
		.name = "otlp_client_key", .variable = "OTEL_EXPORTER_OTLP_PROFILES_CLIENT_KEY",
		.other_variables = {"OTEL_EXPORTER_OTLP_CLIENT_KEY"},
		.placeholder = "FILE",
		.help_default = "none",
		.help = "As --client_key, for OTLP.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.otlp_client_key), .min = 1, .max = OPTION_PATH_MAX,
		.is_shared = true,
	},
	[OPTION_RESOURCE_ATTRIBUTES] = {
		.name = "resource_attributes", .variable = "OTEL_RESOURCE_ATTRIBUTES",
		.placeholder = "KEY=VALUE,...",
		.help_default = "none",
		.help = "What OTLP says of the service, values percent-encoded. service.name, "
			"deployment.environment.name and service.version also stand in for --service, --environment and "
			"--service_version.",
		.accepts = "1 to " TEXT_OF(OPTION_ATTRIBUTES_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.resource_attributes), .min = 1, .max = OPTION_ATTRIBUTES_MAX,
		.is_shared = true,
	},
	[OPTION_PYROSCOPE_URL] = {
		.name = "pyroscope_url", .variable = "PYROSCOPE_SERVER_ADDRESS",
		.placeholder = "URL",
		.help_default = "none",
		.help = "Send profiles to this Grafana Pyroscope server; /ingest is appended.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.pyroscope_url), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_PYROSCOPE_USER] = {
		.name = "pyroscope_user", .variable = "PYROSCOPE_BASIC_AUTH_USER",
		.placeholder = "NAME",
		.help_default = "none",
		.help = "User for the Pyroscope server.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.pyroscope_user), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_PYROSCOPE_PASSWORD] = {
		.name = "pyroscope_password", .variable = "PYROSCOPE_BASIC_AUTH_PASSWORD",
		.placeholder = "PASSWORD",
		.help_default = "none",
		.help = "Password for the Pyroscope server. Only from the environment.",
		.instead = "put it into PYROSCOPE_BASIC_AUTH_PASSWORD",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " printable ASCII characters",
		.kind = OPTION_KIND_SECRET, .offset = VALUE(options.delivery.pyroscope_password), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_PYROSCOPE_TENANT] = {
		.name = "pyroscope_tenant", .variable = "PYROSCOPE_TENANT_ID",
		.placeholder = "NAME",
		.help_default = "none",
		.help = "Tenant (X-Scope-OrgID) at the Pyroscope server.",
		.accepts = "1 to " TEXT_OF(OPTION_NAME_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.pyroscope_tenant), .min = 1, .max = OPTION_NAME_MAX,
		.is_shared = true,
	},
	[OPTION_CA_FILE] = {
		.name = "ca_file", .variable = "DDPROF_CA_FILE",
		.placeholder = "FILE",
		.help_default = "the system's",
		.help = "Certificate authorities (PEM) that servers are verified by.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.ca_file), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_CLIENT_CERTIFICATE] = {
		.name = "client_certificate", .variable = "DDPROF_CLIENT_CERTIFICATE",
		.placeholder = "FILE",
		.help_default = "none",
		.help = "Certificate (PEM) shown to servers that ask for one; needs --client_key.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.client_certificate), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_CLIENT_KEY] = {
		.name = "client_key", .variable = "DDPROF_CLIENT_KEY",
		.placeholder = "FILE",
		.help_default = "none",
		.help = "Its key (PEM), not encrypted.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.client_key), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_HTTP_PROXY] = {
		.name = "http_proxy", .variable = "http_proxy",
		.other_variables = {"all_proxy", "ALL_PROXY"},
		.placeholder = "URL",
		.help_default = "none",
		.help = "Proxy for http:// destinations, [http://][user:password@]host:port.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.http_proxy), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_HTTPS_PROXY] = {
		.name = "https_proxy", .variable = "https_proxy",
		.other_variables = {"HTTPS_PROXY", "all_proxy", "ALL_PROXY"},
		.placeholder = "URL",
		.help_default = "none",
		.help = "Proxy for https:// destinations.",
		.accepts = "a URL of 1 to " TEXT_OF(OPTION_URL_MAX) " printable ASCII characters without spaces",
		.kind = OPTION_KIND_URL, .offset = VALUE(options.delivery.https_proxy), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_NO_PROXY] = {
		.name = "no_proxy", .variable = "no_proxy",
		.other_variables = {"NO_PROXY"},
		.placeholder = "HOST,...",
		.help_default = "none",
		.help = "Hosts that are reached without a proxy: names, domains, addresses, or '*'.",
		.accepts = "1 to " TEXT_OF(OPTION_URL_MAX) " bytes of text without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.no_proxy), .min = 1, .max = OPTION_URL_MAX,
		.is_shared = true,
	},
	[OPTION_DO_EXPORT] = {
		.name = "do_export", .variable = "DD_PROFILING_DO_EXPORT",
		.placeholder = "BOOL",
		.default_text = "true",
		.help = "Whether profiles may leave this machine. With 'false' there are files only.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.delivery.do_export),
	},
	[OPTION_SPOOL] = {
		.name = "spool", .variable = "DD_PROFILING_SPOOL",
		.placeholder = "DIR",
		.help_default = "none",
		.help = "Folder where profiles wait that no destination has accepted yet. A later run sends them. "
			"Without it they wait in memory.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.spool), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_SPOOL_SIZE] = {
		.name = "spool_size", .variable = "DD_PROFILING_SPOOL_SIZE",
		.placeholder = "MIB",
		.default_text = TEXT_OF(OPTION_SPOOL_SIZE_DEFAULT_MIB),
		.help = "Most that may wait in the spool, in MiB; the oldest are dropped then, and counted.",
		.accepts = "a number of MiB from 1 to " TEXT_OF(OPTION_SPOOL_SIZE_MAX_MIB),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.delivery.spool_size_mib), .min = 1, .max = OPTION_SPOOL_SIZE_MAX_MIB,
	},
	[OPTION_SPOOL_AGE] = {
		.name = "spool_age", .variable = "DD_PROFILING_SPOOL_AGE",
		.placeholder = "HOURS",
		.default_text = TEXT_OF(OPTION_SPOOL_AGE_DEFAULT_H),
		.help = "Longest time a profile may wait in the spool, in hours.",
		.accepts = "a number of hours from 1 to " TEXT_OF(OPTION_SPOOL_AGE_MAX_H),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.delivery.spool_age_h), .min = 1, .max = OPTION_SPOOL_AGE_MAX_H,
	},
	[OPTION_EXPORT_GRACE] = {
		.name = "export_grace", .variable = "DD_PROFILING_EXPORT_GRACE",
		.placeholder = "SECONDS",
		.default_text = TEXT_OF(OPTION_EXPORT_GRACE_DEFAULT_S),
		.help = "How long, after the command's end, profiles that are not delivered yet are still offered; then they "
			"stay in the spool, or are lost without one.",
		.accepts = "a number of seconds from 0 to " TEXT_OF(OPTION_EXPORT_GRACE_MAX_S),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.export_grace_s), .max = OPTION_EXPORT_GRACE_MAX_S,
	},
	[OPTION_INTERNAL_STATS] = {
		.name = "internal_stats", .letter = 'b', .variable = "DD_PROFILING_INTERNAL_STATS",
		.placeholder = "PATH",
		.help_default = "none",
		.help = "Datagram socket of a statsd server that the profiler's own numbers are sent to; may begin with "
			"unix://.",
		.accepts = "a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.delivery.internal_stats), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_UPLOAD_PERIOD] = {
		.name = "upload_period", .letter = 'u', .variable = "DD_PROFILING_UPLOAD_PERIOD", .placeholder = "SECONDS",
		.default_text = TEXT_OF(OPTION_UPLOAD_PERIOD_DEFAULT_S),
		.help = "Time between two profiles. The last one, at the command's end, may cover less.",
		.accepts = "a number of seconds from " TEXT_OF(OPTION_UPLOAD_PERIOD_MIN_S)
			   " to " TEXT_OF(OPTION_UPLOAD_PERIOD_MAX_S),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.upload_period_s),
		.min = OPTION_UPLOAD_PERIOD_MIN_S, .max = OPTION_UPLOAD_PERIOD_MAX_S,
	},
	[OPTION_EVENT] = {
		.name = "event", .letter = 'e', .variable = "DD_PROFILING_NATIVE_EVENTS", .placeholder = "EVENT",
		.default_text = "sCPU freq=" TEXT_OF(EVENT_FREQUENCY_DEFAULT_HZ),
		.help = "What is sampled, and how often. May be repeated; '-e help' explains the grammar.",
		.accepts = "at most " TEXT_OF(OPTION_EVENTS_MAX) " bytes of the grammar '-e help' shows",
		.kind = OPTION_KIND_EVENTS, .offset = VALUE(events), .max = OPTION_EVENTS_MAX,
	},
	[OPTION_UNWIND] = {
		.name = "unwind", .variable = "DD_PROFILING_UNWIND", .placeholder = "METHOD",
		.default_text = "auto",
		.help = "How callers are found: 'dwarf' by the programs' unwinding tables in a copy of the stack; 'fp' by the "
			"kernel, which follows frame pointers: stacks through code without them are incomplete; 'auto' by what "
			"the first samples show.",
		.accepts = "auto, dwarf or fp",
		.kind = OPTION_KIND_METHOD, .offset = VALUE(options.unwind),
	},
	[OPTION_STACK_SAMPLE_SIZE] = {
		.name = "stack_sample_size", .variable = "DD_PROFILING_SAMPLE_STACK_USER", .placeholder = "BYTES",
		.help_default = "as needed",
		.help = "How much of the user stack each sample copies, always: a multiple of 8 from "
			TEXT_OF(OPTION_STACK_SAMPLE_MIN_BYTES) " to " TEXT_OF(OPTION_STACK_SAMPLE_MAX_BYTES)
			". Deeper stacks come out incomplete; '--unwind auto' then means 'dwarf'. Otherwise it begins with "
			TEXT_OF(STACK_DEFAULT_BYTES) " and follows what stacks need.",
		.accepts = "a number of bytes, multiple of 8, from " TEXT_OF(OPTION_STACK_SAMPLE_MIN_BYTES)
			   " to " TEXT_OF(OPTION_STACK_SAMPLE_MAX_BYTES),
		.kind = OPTION_KIND_NUMBER, .offset = VALUE(options.stack_sample_size), .multiple = 8,
		.min = OPTION_STACK_SAMPLE_MIN_BYTES, .max = OPTION_STACK_SAMPLE_MAX_BYTES,
	},
	[OPTION_INLINED_FUNCTIONS] = {
		.name = "inlined_functions", .letter = 'I', .variable = "DD_PROFILING_INLINED_FUNCTIONS",
		.placeholder = "BOOL", .default_text = "true",
		.help = "Whether to show functions that were inlined, source files and lines, where programs have debug "
			"information (DWARF).",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.inlined_functions),
	},
	[OPTION_DISABLE_SYMBOLIZATION] = {
		.name = "disable_symbolization", .variable = "DD_PROFILING_DISABLE_SYMBOLIZATION", .placeholder = "BOOL",
		.default_text = "false",
		.help = "Whether to leave out names: profiles have addresses, files with their paths and build ids only. "
			"ddprof-symbolizer names them later.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.disable_symbolization),
	},
	[OPTION_KERNEL_FRAMES] = {
		.name = "kernel_frames", .variable = "DD_PROFILING_KERNEL_FRAMES", .placeholder = "BOOL",
		.default_text = "true",
		.help = "Whether to show which functions time in the kernel was spent for, as frames '[kernel]', where the "
			"administrator's policy allows it (docs/policy.md), and above them the kernel's own if you may know "
			"them (root). Otherwise it is one such frame for all of it.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.kernel_frames),
	},
	[OPTION_DEBUGINFOD] = {
		.name = "debuginfod", .variable = "DD_PROFILING_DEBUGINFOD",
		.placeholder = "BOOL", .default_text = "false",
		.help = "Whether to ask the servers of DEBUGINFOD_URLS for debug files that are not on this host. They learn "
			"the build ids of what is profiled.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.delivery.debuginfod),
	},
	[OPTION_DEBUGINFOD_URLS] = {
		.name = "debuginfod_urls", .variable = "DEBUGINFOD_URLS",
		.placeholder = "URL...", .default_text = "", .help_default = "none",
		.help = "Servers of --debuginfod, separated by spaces, at most four; asked in this order.",
		.accepts = "at most " TEXT_OF(OPTION_URL_MAX) " bytes without control characters",
		.kind = OPTION_KIND_TEXT, .offset = VALUE(options.delivery.debuginfod_urls), .max = OPTION_URL_MAX,
	},
	[OPTION_ENABLE] = {
		.name = "enable", .variable = "DD_PROFILING_ENABLED", .placeholder = "BOOL",
		.default_text = "true",
		.help = "Whether to profile. With 'false' the command is executed and nothing else happens.",
		.accepts = "true, yes, on, 1, false, no, off or 0",
		.kind = OPTION_KIND_BOOLEAN, .offset = VALUE(options.enabled),
	},
	[OPTION_REQUIRE] = {
		.name = "require",
		.help = "When profiling is impossible, exit with 125 instead of running the command without it.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.require),
	},
	[OPTION_WAIT] = {
		.name = "wait",
		.help = "Stay as the command's parent, pass signals on, and exit with its status once the last profile "
			"is written. Otherwise this process becomes the command.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.wait),
	},
	[OPTION_DROP_CAPS] = {
		.name = "drop_caps",
		.help = "Run the command without capabilities, with no_new_privs, and with perf_event_open, bpf and the like "
			"refused (docs/syscalls.md); it is profiled all the same. If that cannot be had in full, exit with 125 "
			"instead of running it. Without this option the command has exactly the rights you have.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.drop_caps),
	},
	[OPTION_KEEP_CAP] = {
		.name = "keep_cap", .placeholder = "NAME", .help_default = "none",
		.help = "A capability that --drop_caps leaves to the command, such as cap_net_bind_service; you must have it. "
			"May be repeated.",
		.accepts = "the name of a capability, such as cap_net_bind_service",
		.kind = OPTION_KIND_CAPABILITY, .offset = VALUE(options.kept_capabilities),
	},
	[OPTION_LOG_LEVEL] = {
		.name = "log_level", .letter = 'l', .variable = "DD_PROFILING_NATIVE_LOG_LEVEL", .placeholder = "LEVEL",
		.default_text = "notice",
		.help = "The least severe message shown: debug, informational, notice, warn or error. "
			"The summary at the end is a notice.",
		.accepts = "debug, informational, notice, warn or error",
		.kind = OPTION_KIND_LEVEL, .offset = VALUE(options.log_level),
	},
	[OPTION_LOG_MODE] = {
		.name = "log_mode", .letter = 'o', .variable = "DD_PROFILING_NATIVE_LOG_MODE", .placeholder = "WHERE",
		.default_text = "stderr",
		.help = "Where messages go once the command runs: stdout, stderr, syslog, disabled, or a file's path. "
			"stdout and stderr mean syslog unless they are a terminal or a regular file: no pipe of yours is "
			"kept open.",
		.accepts = "stdout, stderr, syslog, disabled or a path of 1 to " PATH_RANGE,
		.kind = OPTION_KIND_PATH, .offset = VALUE(options.log_mode), .min = 1, .max = OPTION_PATH_MAX,
	},
	[OPTION_SHOW_CONFIG] = {
		.name = "show_config",
		.help = "Print every setting and where it comes from, then go on.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.show_config),
	},
	[OPTION_CHECK] = {
		.name = "check", .placeholder = "[--json]",
		.help = "Find out, by trying, whether profiling works for you here, and if not what the smallest fix is.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_PRINT_POLICY] = {
		.name = "print_policy", .placeholder = "[ROLE]",
		.help = "Print what is allowed: policy file, events and limits; with ROLE its system calls and filter.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_ATTEST] = {
		.name = "attest", .placeholder = "[PID]",
		.help = "Prove of every process of ours in running sessions (or in that of PID, the command's or any "
			"of ours) that it has no right left. Exit status 0: all holds; 1: something does not; "
			"2: no such session.",
		.kind = OPTION_KIND_AUDIT, .offset = VALUE(options.audit),
	},
	[OPTION_VERSION] = {
		.name = "version", .letter = 'v', .help = "Print the version and exit.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.print_version),
	},
	[OPTION_HELP] = {
		.name = "help", .letter = 'h', .help = "Print this and exit.",
		.kind = OPTION_KIND_FLAG, .offset = VALUE(options.help),
	},
};
/* clang-format on */

const struct log_level_row log_level_table[] = {
	{"debug", LOG_LEVEL_DEBUG},        {"informational", LOG_LEVEL_INFORMATIONAL},
	{"info", LOG_LEVEL_INFORMATIONAL}, {"notice", LOG_LEVEL_NOTICE},
	{"warn", LOG_LEVEL_WARN},          {"warning", LOG_LEVEL_WARN},
	{"error", LOG_LEVEL_ERROR},        {NULL, LOG_LEVEL_ERROR},
};

static const struct {
	const char *name;
	bool value;
} boolean_table[] = {
	{"true", true},   {"yes", true}, {"on", true},   {"1", true},
	{"false", false}, {"no", false}, {"off", false}, {"0", false},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Each parser returns 0 with *field set, or -EINVAL with *field untouched; ret_problem is empty, and is for
 * those who can say more than "'x' is not what this option accepts". */

static int
parse_path(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	size_t length = strlen(value);

	(void)ret_problem;
	if (length < row->min || length > row->max)
		return -EINVAL;
	for (const char *at = value; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return -EINVAL;
	}
	*(const char **)field = value;
	return 0;
}

/* Length of the UTF-8 character at text, 0 when it is malformed or a control character (C1 ones drive
 * terminals too). */
static size_t
utf8_printable_length(const char *text)
{
	/* By length: anything less is a control character or overlong. */
	static const uint32_t smallest[] = {0, 0x20, 0xa0, 0x800, 0x10000};
	unsigned char lead = (unsigned char)text[0];
	size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
	uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);

	/* The NUL at the end is no continuation byte: this never reads past it. */
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}

	bool is_surrogate = code >> 11 == 0xd800 >> 11;

	if (code < smallest[length] || code == 0x7f || code > 0x10ffff || is_surrogate)
		return 0;
	return length;
}

static int
parse_text(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	for (const char *at = value; *at;) {
		size_t length = utf8_printable_length(at);

		if (length == 0)
			return -EINVAL;
		at += length;
	}
	return parse_path(row, value, field, ret_problem);
}

static bool
is_visible(const char *text)
{
	while (*text > ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

/* Its grammar is url.c's business; here only what keeps it on one line. */
static int
parse_url(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	size_t length = strlen(value);

	if (is_visible(value) && length >= row->min && length <= row->max) {
		*(const char **)field = value;
		return 0;
	}
	snprintf(ret_problem, OPTION_PROBLEM_MAX, "the value is not %s", row->accepts);
	return -EINVAL;
}

/* A space may be part of a header's value. Whatever is wrong, the value is not repeated. */
static int
parse_secret(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	size_t length = strlen(value);
	bool is_printable = true;

	for (const char *at = value; *at; at++)
		is_printable = is_printable && *at >= ' ' && *at <= '~';
	if (is_printable && length >= row->min && length <= row->max) {
		*(const char **)field = value;
		return 0;
	}
	snprintf(ret_problem, OPTION_PROBLEM_MAX, "the value (not shown) is not %s", row->accepts);
	return -EINVAL;
}

/* ASCII whatever the locale: the launcher never calls setlocale, and a tag must mean the same everywhere. */
static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_tag_character(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || (c && strchr("_-:./\\", c));
}

static bool
is_tag(const char *tag, size_t length)
{
	if (length == 0 || length > OPTION_TAG_MAX || !is_letter(tag[0]) || tag[length - 1] == ':')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_tag_character(tag[i]))
			return false;
	}
	return memchr(tag, ':', length);
}

static int
parse_tags(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	if (strlen(value) > row->max)
		return -EINVAL;
	for (const char *at = value; *value; at++) { /* an empty value is no tags, not one empty tag */
		size_t length = strcspn(at, ",");

		if (!is_tag(at, length)) {
			snprintf(ret_problem, OPTION_PROBLEM_MAX,
				 "tag '%s' is not KEY:VALUE, at most " TEXT_OF(
					 OPTION_TAG_MAX) " bytes, first a letter, then letters, digits and "
							 "_-:./\\, no colon at the end",
				 quoted(at, length).text);
			return -EINVAL;
		}
		at += length;
		if (!*at)
			break;
	}
	*(const char **)field = value;
	return 0;
}

static int
parse_number(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	unsigned int number = 0;

	(void)ret_problem;
	for (const char *at = value; *at; at++) {
		if (*at < '0' || *at > '9' || number > row->max)
			return -EINVAL;
		number = number * 10 + (unsigned int)(*at - '0');
	}
	if (!*value || number < row->min || number > row->max ||
	    (row->multiple && number % row->multiple != 0))
		return -EINVAL;
	*(unsigned int *)field = number;
	return 0;
}

static int
parse_events(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	if (strlen(value) > row->max)
		return -EINVAL;
	return event_grammar_parse(value, field, ret_problem);
}

static int
parse_boolean(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (size_t i = 0; i < COUNT_OF(boolean_table); i++) {
		if (strcasecmp(value, boolean_table[i].name) == 0) {
			*(bool *)field = boolean_table[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static int
parse_level(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (const struct log_level_row *level = log_level_table; level->name; level++) {
		if (strcasecmp(value, level->name) == 0) {
			*(enum log_level *)field = level->level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *const unwind_method_names[] = {
	[UNWIND_AUTO] = "auto", [UNWIND_DWARF] = "dwarf", [UNWIND_FP] = "fp", NULL};

static int
parse_method(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)ret_problem;
	for (int method = 0; unwind_method_names[method]; method++) {
		if (strcasecmp(value, unwind_method_names[method]) == 0) {
			*(enum unwind_method *)field = (enum unwind_method)method;
			return 0;
		}
	}
	return -EINVAL;
}

static int
parse_capability(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	int capability = capability_from_name(value);

	(void)row;
	(void)ret_problem;
	if (capability < 0)
		return -EINVAL;
	*(uint64_t *)field |= CAPABILITY_BIT(capability);
	return 0;
}

static int
parse_flag(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)row;
	(void)value;
	(void)ret_problem;
	*(bool *)field = true;
	return 0;
}

static int
parse_audit(const struct option_row *row, const char *value, void *field, char *ret_problem)
{
	(void)value;
	(void)ret_problem;
	*(const char **)field = row->name;
	return 0;
}

static int (*const parsers[])(const struct option_row *, const char *, void *, char *) = {
	[OPTION_KIND_TEXT] = parse_text,     [OPTION_KIND_PATH] = parse_path,
	[OPTION_KIND_TAGS] = parse_tags,     [OPTION_KIND_NUMBER] = parse_number,
	[OPTION_KIND_EVENTS] = parse_events, [OPTION_KIND_BOOLEAN] = parse_boolean,
	[OPTION_KIND_LEVEL] = parse_level,   [OPTION_KIND_CAPABILITY] = parse_capability,
	[OPTION_KIND_FLAG] = parse_flag,     [OPTION_KIND_AUDIT] = parse_audit,
	[OPTION_KIND_METHOD] = parse_method, [OPTION_KIND_URL] = parse_url,
	[OPTION_KIND_SECRET] = parse_secret,
};

int
option_read_value(const struct option_row *row, const char *value, struct option_values *values,
		  char ret_problem[OPTION_PROBLEM_MAX])
{
	int error;

	ret_problem[0] = '\0';
	error = parsers[row->kind](row, value, (char *)values + row->offset, ret_problem);
	if (error && !ret_problem[0])
		snprintf(ret_problem, OPTION_PROBLEM_MAX, "'%s' is not %s", quoted(value, strlen(value)).text,
			 row->accepts);
	return error;
}
