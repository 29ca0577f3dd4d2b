/* Which destinations come of which options and variables, to the byte; what is refused, and in which words;
 * and that what is secret ends up in the sealed file and nowhere else. */

#include "launcher/destinations.h"

#include "ipc/fd.h"
#include "ipc/key_values.h"
#include "launcher/cgroup_inode.h"
#include "launcher/option_table.h"
#include "launcher/url.h"
#include "launcher/uuid.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX 8
#define KEY "0123456789abcdef0123456789abcdef"

static struct launch_options options;
static struct delivery_choice choice;
static struct option_error error;

/* Words and variables as the launcher gets them; both lists end with NULL. */
static int
choose(const char *const words[], const char *const environment[])
{
	static const char *argv[WORDS_MAX + 3];
	int argc = 1;

	argv[0] = "ddprof-launch";
	for (; words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	argv[argc++] = "svc";
	argv[argc] = NULL;
	if (options_parse(argc, (char *const *)argv, (char *const *)environment, &options, &error) < 0)
		fail_msg("the options were refused: %s", error.text);
	memset(&error, 0, sizeof(error));
	return destinations_choose(&options, &choice, &error);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING ((const char *const[]){NULL})

/* ---- chosen ---- */

#define AGENT "/profiling/v1/input"
static void
test_one_destination(void **state)
{
	static const struct {
		const char *words[WORDS_MAX], *environment[WORDS_MAX];
		uint32_t kind;
		const char *name, *url, *unix_socket, *headers;
	} rows[] = {
		{{"-U", "host:1"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at host:1",
		 "http://host:1" AGENT,
		 "",
		 ""},
		{{"-U", "[::1]:8126"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at [::1]:8126",
		 "http://[::1]:8126" AGENT,
		 "",
		 ""},
		{{"-U", "http://host"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at host",
		 "http://host" AGENT,
		 "",
		 ""},
		{{"-U", "HTTPS://host:8443/a/b//"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at host:8443",
		 "https://host:8443/a/b" AGENT,
		 "",
		 ""},
		{{"-U", "http://host/?x=y"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at host",
		 "http://host" AGENT "?x=y",
		 "",
		 ""},
		{{"-U", "unix:///run/a.sock"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at /run/a.sock",
		 "http://localhost" AGENT,
		 "/run/a.sock",
		 ""},
		{{"-U", "/run/a.sock"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at /run/a.sock",
		 "http://localhost" AGENT,
		 "/run/a.sock",
		 ""},
		{{NULL},
		 {"DD_TRACE_AGENT_URL=http://u:p%40@h"},
		 DESTINATION_DATADOG,
		 "Datadog agent at h",
		 "http://h" AGENT,
		 "",
		 "Authorization: Basic dTpwQA==\n"},
		{{"-H", "agent"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at agent:8126",
		 "http://agent:8126" AGENT,
		 "",
		 ""},
		{{"-H", "::1"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at [::1]:8126",
		 "http://[::1]:8126" AGENT,
		 "",
		 ""},
		{{"-H", "[fe80::1]", "-P", "9"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at [fe80::1]:9",
		 "http://[fe80::1]:9" AGENT,
		 "",
		 ""},
		{{"-P", "9"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at localhost:9",
		 "http://localhost:9" AGENT,
		 "",
		 ""},
		{{NULL},
		 {"DD_AGENT_HOST=10.0.0.1", "DD_TRACE_AGENT_PORT=7"},
		 DESTINATION_DATADOG,
		 "Datadog agent at 10.0.0.1:7",
		 "http://10.0.0.1:7" AGENT,
		 "",
		 ""},
		{{"-H", "no", "-U", "yes:1"},
		 {NULL},
		 DESTINATION_DATADOG,
		 "Datadog agent at yes:1",
		 "http://yes:1" AGENT,
		 "",
		 ""},
		{{"--agentless", "true"},
		 {"DD_API_KEY=" KEY},
		 DESTINATION_DATADOG,
		 "Datadog's intake at intake.profile.datadoghq.com",
		 "https://intake.profile.datadoghq.com/api/v2/profile",
		 "",
		 "DD-API-KEY: " KEY "\n"},
		/* The tracer's agent is none of its business. */
		{{"--agentless", "true", "--site", "datadoghq.eu"},
		 {"DD_API_KEY=" KEY, "DD_TRACE_AGENT_URL=http://agent", "DD_AGENT_HOST=agent"},
		 DESTINATION_DATADOG,
		 "Datadog's intake at intake.profile.datadoghq.eu",
		 "https://intake.profile.datadoghq.eu/api/v2/profile",
		 "",
		 "DD-API-KEY: " KEY "\n"},
		{{"--agentless", "true", "--intake_url", "http://h:1/x"},
		 {"DD_API_KEY=" KEY},
		 DESTINATION_DATADOG,
		 "Datadog's intake at h:1",
		 "http://h:1/x",
		 "",
		 "DD-API-KEY: " KEY "\n"},
		{{"--otlp_url", "http://h:4318/v1development/profiles"},
		 {NULL},
		 DESTINATION_OTLP,
		 "OTLP receiver at h:4318",
		 "http://h:4318/v1development/profiles",
		 "",
		 ""},
		{{"--otlp_url", "http://h"},
		 {NULL},
		 DESTINATION_OTLP,
		 "OTLP receiver at h",
		 "http://h",
		 "",
		 ""},
		{{"--otlp", "true"},
		 {NULL},
		 DESTINATION_OTLP,
		 "OTLP receiver at localhost:4318",
		 "http://localhost:4318/v1development/profiles",
		 "",
		 ""},
		{{"--otlp", "true"},
		 {"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/base/"},
		 DESTINATION_OTLP,
		 "OTLP receiver at c",
		 "https://c/base/v1development/profiles",
		 "",
		 ""},
		{{"--otlp", "true"},
		 {"OTEL_EXPORTER_OTLP_ENDPOINT=https://c",
		  "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=https://p/q"},
		 DESTINATION_OTLP,
		 "OTLP receiver at p",
		 "https://p/q",
		 "",
		 ""},
		{{"--otlp", "true"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=a=b%20c, Content-Type=x ,X-Y =z,"},
		 DESTINATION_OTLP,
		 "OTLP receiver at localhost:4318",
		 "http://localhost:4318/v1development/profiles",
		 "",
		 "a: b c\nX-Y: z\n"},
		{{"--otlp", "true"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=a=b", "OTEL_EXPORTER_OTLP_PROFILES_HEADERS=c=d"},
		 DESTINATION_OTLP,
		 "OTLP receiver at localhost:4318",
		 "http://localhost:4318/v1development/profiles",
		 "",
		 "c: d\n"},
		{{"--pyroscope_url", "http://h:4040"},
		 {NULL},
		 DESTINATION_PYROSCOPE,
		 "Pyroscope at h:4040",
		 "http://h:4040/ingest",
		 "",
		 ""},
		{{"--pyroscope_tenant", "t"},
		 {"PYROSCOPE_SERVER_ADDRESS=https://12:tok@h/x"},
		 DESTINATION_PYROSCOPE,
		 "Pyroscope at h",
		 "https://h/x/ingest",
		 "",
		 "Authorization: Basic MTI6dG9r\nX-Scope-OrgID: t\n"},
		{{"--pyroscope_url", "http://h"},
		 {"PYROSCOPE_BASIC_AUTH_USER=12", "PYROSCOPE_BASIC_AUTH_PASSWORD=token"},
		 DESTINATION_PYROSCOPE,
		 "Pyroscope at h",
		 "http://h/ingest",
		 "",
		 "Authorization: Basic MTI6dG9rZW4=\n"},
		{{"--output", "/x"}, {NULL}, DESTINATION_FOLDER, "/x", "", "", ""},
		{{"--debug_pprof_prefix", "/x/p_"}, {NULL}, DESTINATION_PREFIX, "/x/p_", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct delivery_destination *got = &choice.config.destination[0];

		if (choose(rows[i].words, rows[i].environment) < 0)
			fail_msg("row %zu was refused: %s", i, error.text);
		assert_false(choice.is_default);
		assert_int_equal(choice.config.count, 1);
		assert_int_equal(got->kind, rows[i].kind);
		assert_string_equal(got->name, rows[i].name);
		assert_string_equal(got->url, rows[i].url);
		assert_string_equal(got->unix_socket, rows[i].unix_socket);
		assert_string_equal(got->headers, rows[i].headers);
		assert_int_equal(got->timeout_ms, 10000);
		assert_int_equal(got->has_gzip, 0);
		assert_int_equal(got->is_agentless, strstr(got->name, "intake") != NULL);
	}
}

static void
test_nothing_chosen(void **state)
{
	/* None of these says that profiles are to go there. */
	static const char *const others[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=http://traces:4318",
					     "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
					     "OTEL_EXPORTER_OTLP_TIMEOUT=soon",
					     "OTEL_EXPORTER_OTLP_COMPRESSION=lzma",
					     "OTEL_EXPORTER_OTLP_HEADERS=?",
					     "OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere",
					     "DD_API_KEY=x",
					     "DD_SITE=?",
					     "PYROSCOPE_BASIC_AUTH_PASSWORD=x",
					     "http_proxy=?",
					     "OTEL_RESOURCE_ATTRIBUTES=?",
					     NULL};

	/* Nor, whatever they hold, is it a reason to complain. */
	static const char *const unreadable[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=a b",
						 "OTEL_EXPORTER_OTLP_HEADERS=\xff",
						 "OTEL_EXPORTER_OTLP_PROTOCOL=\n",
						 "OTEL_RESOURCE_ATTRIBUTES=\xff",
						 "DD_API_KEY=\t",
						 "DD_SITE=\t",
						 "PYROSCOPE_BASIC_AUTH_USER=\t",
						 "https_proxy=a b",
						 "DD_HOSTNAME=\t",
						 NULL};

	(void)state;
	assert_int_equal(choose(NOTHING, NOTHING), 0);
	assert_true(choice.is_default && choice.may_export);
	assert_int_equal(choose(NOTHING, unreadable), 0);
	assert_true(choice.is_default);
	assert_int_equal(choose(WORDS("--output", "x"), unreadable), 0);
	assert_int_equal(choose(NOTHING, others), 0);
	assert_true(choice.is_default);
	assert_int_equal(choice.config.count, 0);
	assert_string_equal(choice.ca_file, "");
}

static void
test_several_at_once(void **state)
{
	static const uint32_t kinds[] = {DESTINATION_FOLDER, DESTINATION_PREFIX, DESTINATION_DATADOG,
					 DESTINATION_OTLP, DESTINATION_PYROSCOPE};
	static const char *const environment[] = {"DDPROF_OUTPUT=/out",
						  "DD_PROFILING_PPROF_PREFIX=p",
						  "DD_AGENT_HOST=a",
						  "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT=http://o/",
						  "PYROSCOPE_SERVER_ADDRESS=http://p",
						  NULL};

	(void)state;
	assert_int_equal(choose(NOTHING, environment), 0);
	assert_int_equal(choice.config.count, COUNT_OF(kinds));
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		assert_int_equal(choice.config.destination[i].kind, kinds[i]);
	assert_string_equal(choice.output, "/out");

	/* Files only. */
	assert_int_equal(choose(WORDS("--do_export", "false"), environment), 0);
	assert_int_equal(choice.config.count, 2);
	assert_int_equal(choose(WORDS("--do_export", "false"), WORDS("DD_AGENT_HOST=a")), 0);
	assert_true(choice.is_default && !choice.may_export);
}

static void
test_prefix(void **state)
{
	static const struct {
		const char *prefix, *folder, *name;
	} rows[] = {
		{"/a/b/c_", "/a/b", "c_"}, {"/c_", "/", "c_"},      {"c_", ".", "c_"},
		{"a/", "a", ""},           {"../x/y", "../x", "y"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(choose(WORDS("--debug-pprof-prefix", rows[i].prefix), NOTHING), 0);
		assert_string_equal(choice.prefix_folder, rows[i].folder);
		assert_string_equal(choice.config.destination[0].file_prefix, rows[i].name);
	}
}

static void
test_the_rest_of_the_configuration(void **state)
{
	static const char *const environment[] = {
		"DD_HOSTNAME=web-1",
		"DD_EXTERNAL_ENV=it-false,cn-x",
		"DD_PROFILING_RUNTIME_ID=8A5C1D0E-7F43-4b6d-9c2a-0123456789ab",
		"http_proxy=http://p:1",
		"HTTPS_PROXY=http://q:2",
		"no_proxy=a,b",
		"DD_PROFILING_INTERNAL_STATS=unix:///run/statsd",
		"OTEL_EXPORTER_OTLP_TIMEOUT=2500",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/ca",
		"OTEL_RESOURCE_ATTRIBUTES=k=v%2C,deployment.environment.name=prod,service.version=7",
		NULL};
	char pattern[37];

	(void)state;
	assert_int_equal(
		choose(WORDS("--otlp", "1", "--spool", "/s", "--spool_size", "3", "--spool_age", "2"),
		       environment),
		0);
	const struct delivery_config *config = &choice.config;
	assert_string_equal(config->hostname, "web-1");
	assert_string_equal(config->external_env, "it-false,cn-x");
	assert_string_equal(config->runtime_id, "8a5c1d0e-7f43-4b6d-9c2a-0123456789ab");
	assert_string_equal(config->proxy_http, "http://p:1");
	assert_string_equal(config->proxy_https, "http://q:2");
	assert_string_equal(config->no_proxy, "a,b");
	assert_string_equal(config->statsd_socket, "/run/statsd");
	assert_string_equal(config->resource_attributes,
			    "k=v%2C,deployment.environment.name=prod,service.version=7");
	assert_int_equal(config->spool_max_bytes, 3 << 20);
	assert_int_equal(config->spool_max_age_s, 7200);
	assert_int_equal(config->destination[0].timeout_ms, 2500);
	assert_int_equal(config->destination[0].has_gzip, 1);
	assert_string_equal(choice.ca_file, "/ca");
	assert_string_equal(choice.spool, "/s");
	/* Names that only the attributes know; the command's own name is nothing anybody said. */
	assert_string_equal(options.service, "svc");
	assert_string_equal(options.environment, "prod");
	assert_string_equal(options.version, "7");
	assert_string_equal(options.variables[OPTION_ENVIRONMENT], "OTEL_RESOURCE_ATTRIBUTES");

	assert_int_equal(choose(WORDS("-E", "test", "--ca_file", "/mine", "--otlp", "1"), environment), 0);
	assert_string_equal(options.environment, "test");
	assert_string_equal(choice.ca_file, "/mine");
	assert_int_equal(choose(NOTHING, WORDS("OTEL_RESOURCE_ATTRIBUTES=service.name=shop")), 0);
	assert_string_equal(options.service, "shop");
	assert_int_equal(
		choose(NOTHING, WORDS("OTEL_RESOURCE_ATTRIBUTES=service.name=shop", "DD_SERVICE=other")), 0);
	assert_string_equal(options.service, "other");

	/* A random id: version 4, and another every time. */
	memcpy(pattern, config->runtime_id, sizeof(pattern));
	assert_int_equal(choose(NOTHING, NOTHING), 0);
	assert_string_not_equal(pattern, config->runtime_id);
	assert_int_equal(uuid_copy(config->runtime_id, pattern), 0);
	assert_int_equal(config->runtime_id[14], '4');
	assert_non_null(strchr("89ab", config->runtime_id[19]));
}

/* ---- refused ---- */

#define LOOKS "; it is to look like http://host:port or https://host"
#define AGENT_LOOKS "; it is to look like host:port, http://host:port, https://host, unix:///path or /path"
#define SOCKET_RULE "the socket's path is not absolute, or longer than 107 bytes"
#define LONG_PATH                                                                                     \
	"/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/123456789/" \
	"123456789"                                                                                   \
	"/12345678"

static void
test_refused(void **state)
{
	static const struct {
		const char *words[WORDS_MAX], *environment[WORDS_MAX], *error;
	} rows[] = {
		{{"-U", "host"}, {NULL}, "--url: the value names no port" AGENT_LOOKS},
		{{"-U", ":8126"}, {NULL}, "--url: the value names no host" AGENT_LOOKS},
		{{"-U", "host:"}, {NULL}, "--url: the value has a port that is not 1 to 65535" AGENT_LOOKS},
		{{"-U", "host:0"}, {NULL}, "--url: the value has a port that is not 1 to 65535" AGENT_LOOKS},
		{{"-U", "host:65536"},
		 {NULL},
		 "--url: the value has a port that is not 1 to 65535" AGENT_LOOKS},
		{{"-U", "host:99999999999"},
		 {NULL},
		 "--url: the value has a port that is not 1 to 65535" AGENT_LOOKS},
		{{"-U", "host:1/x"},
		 {NULL},
		 "--url: the value has a port that is not 1 to 65535" AGENT_LOOKS},
		{{"-U", "ho!st:1"},
		 {NULL},
		 "--url: the value has a character that no host name has" AGENT_LOOKS},
		{{"-U", "[::1:1"},
		 {NULL},
		 "--url: the value has an address that does not end in ']'" AGENT_LOOKS},
		{{"-U", "[]:1"}, {NULL}, "--url: the value names no host" AGENT_LOOKS},
		{{"-U", "http://"}, {NULL}, "--url: the value names no host" LOOKS},
		{{"-U", "http:///x"}, {NULL}, "--url: the value names no host" LOOKS},
		{{"-U", "http://h:x"}, {NULL}, "--url: the value has a port that is not 1 to 65535" LOOKS},
		{{"-U", "http://h/#x"},
		 {NULL},
		 "--url: the value has a #fragment, which is never sent" LOOKS},
		{{"-U", "http://h/<x>"},
		 {NULL},
		 "--url: the value has a character that no URL may hold" LOOKS},
		{{"-U", "ftp://h"}, {NULL}, "--url: the value does not begin with http:// or https://" LOOKS},
		{{NULL},
		 {"DD_TRACE_AGENT_URL=grpc://h"},
		 "DD_TRACE_AGENT_URL: the value does not begin with http:// or https://" LOOKS},
		{{"-U", "unix://run/x"}, {NULL}, "--url: " SOCKET_RULE},
		{{"-U", LONG_PATH}, {NULL}, "--url: " SOCKET_RULE},
		{{"-U", "http://u:TOPSECRET@h"},
		 {NULL},
		 "--url: a password on a command line is refused, for everybody on this machine can read it; "
		 "put the URL into its environment variable (see --help)"},
		{{NULL},
		 {"PYROSCOPE_SERVER_ADDRESS=http://u:TOP%@h"},
		 "PYROSCOPE_SERVER_ADDRESS: the user and password in it are too long or badly "
		 "percent-encoded"},
		{{NULL},
		 {"PYROSCOPE_SERVER_ADDRESS=http://u:%0d%0aX-A:b@h"},
		 "PYROSCOPE_SERVER_ADDRESS: the user and password in it are too long or badly "
		 "percent-encoded"},
		{{"-H", "h:1"},
		 {NULL},
		 "--host: a host is wanted, without a port (--port); --url takes both"},
		{{"-H", "a b"},
		 {NULL},
		 "--host: the value has a character that no host name has" AGENT_LOOKS},
		{{"--agentless", "1"},
		 {NULL},
		 "--agentless: needs an API key; set DD_API_KEY, or name a file that holds it with "
		 "--api_key_file"},
		{{NULL},
		 {"DD_PROFILING_AGENTLESS=1"},
		 "DD_PROFILING_AGENTLESS: needs an API key; set DD_API_KEY, or name a file that holds it "
		 "with --api_key_file"},
		{{"--agentless", "1"},
		 {"DD_API_KEY=TOPSECRET"},
		 "DD_API_KEY: the value (not shown) is no API key: one has at least 32 characters and no "
		 "spaces"},
		{{"--agentless", "1"},
		 {"DD_API_KEY=TOPSECRET 89abcdef0123456789abcdef"},
		 "DD_API_KEY: the value (not shown) is no API key: one has at least 32 characters and no "
		 "spaces"},
		{{"--agentless", "1", "-U", "datadoghq.com"},
		 {NULL},
		 "--url: names an agent, and --agentless goes without; choose one of them (--site names the "
		 "site)"},
		{{"--agentless", "1", "--site", "http://x"},
		 {"DD_API_KEY=" KEY},
		 "--site: is a domain, such as datadoghq.com or datadoghq.eu"},
		{{"--agentless", "1", "--site", "x/y"},
		 {"DD_API_KEY=" KEY},
		 "--site: is a domain, such as datadoghq.com or datadoghq.eu"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		 "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not spoken here; set "
		 "OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL to http/protobuf, and the endpoint to the receiver's "
		 "HTTP port (4318)"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_COMPRESSION=lzma"},
		 "OTEL_EXPORTER_OTLP_COMPRESSION: is gzip or none"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_TIMEOUT=0"},
		 "OTEL_EXPORTER_OTLP_TIMEOUT: is not a number of milliseconds from 1 to 3600000"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_TIMEOUT=10s"},
		 "OTEL_EXPORTER_OTLP_TIMEOUT: is not a number of milliseconds from 1 to 3600000"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_TIMEOUT=3600001"},
		 "OTEL_EXPORTER_OTLP_TIMEOUT: is not a number of milliseconds from 1 to 3600000"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=TOPSECRET"},
		 "OTEL_EXPORTER_OTLP_HEADERS: the value (not shown) is not name=value,name=value with values "
		 "percent-encoded"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=a b=c"},
		 "OTEL_EXPORTER_OTLP_HEADERS: the value (not shown) is not name=value,name=value with values "
		 "percent-encoded"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=a:=c"},
		 "OTEL_EXPORTER_OTLP_HEADERS: the value (not shown) is not name=value,name=value with values "
		 "percent-encoded"},
		{{"--otlp", "1"},
		 {"OTEL_EXPORTER_OTLP_HEADERS=a=b%0d%0aX: y"},
		 "OTEL_EXPORTER_OTLP_HEADERS: the value (not shown) is not name=value,name=value with values "
		 "percent-encoded"},
		{{"--otlp", "1"},
		 {"OTEL_RESOURCE_ATTRIBUTES=a=%zz"},
		 "OTEL_RESOURCE_ATTRIBUTES: is not key=value,key=value with values percent-encoded"},
		{{"--otlp_url", "h:1"},
		 {NULL},
		 "--otlp_url: the value does not begin with http:// or https://" LOOKS},
		{{"--otlp", "1", "-U", "https://a"},
		 {"OTEL_EXPORTER_OTLP_CERTIFICATE=/x"},
		 "OTEL_EXPORTER_OTLP_CERTIFICATE: would be used for the other https:// destinations too; "
		 "give --ca_file what is right for all of them"},
		{{"--client_certificate", "/c"},
		 {NULL},
		 "--client_certificate: a client certificate and its key go together: --client_certificate "
		 "and --client_key"},
		{{"--client_key", "/c"},
		 {NULL},
		 "--client_key: a client certificate and its key go together: --client_certificate and "
		 "--client_key"},
		{{"--pyroscope_url", "http://h"},
		 {"PYROSCOPE_BASIC_AUTH_PASSWORD=TOPSECRET"},
		 "PYROSCOPE_BASIC_AUTH_PASSWORD: there is no user; set PYROSCOPE_BASIC_AUTH_USER"},
		{{"--pyroscope_user", "u"},
		 {"PYROSCOPE_SERVER_ADDRESS=http://x:TOPSECRET@h"},
		 "--pyroscope_user: the URL names a user too; keep one of them"},
		{{"-b", "statsd"}, {NULL}, "--internal_stats: " SOCKET_RULE},
		{{"--runtime_id", "1234"},
		 {NULL},
		 "--runtime_id: is not a UUID, such as 8a5c1d0e-7f43-4b6d-9c2a-0123456789ab"},
		{{"--runtime_id", "8a5c1d0e+7f43-4b6d-9c2a-0123456789ab"},
		 {NULL},
		 "--runtime_id: is not a UUID, such as 8a5c1d0e-7f43-4b6d-9c2a-0123456789ab"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (choose(rows[i].words, rows[i].environment) != -EINVAL)
			fail_msg("row %zu was accepted; expected: %s", i, rows[i].error);
		assert_string_equal(error.text, rows[i].error);
		assert_int_equal(error.origin, rows[i].error[0] == '-' ? OPTION_FROM_COMMAND_LINE
								       : OPTION_FROM_ENVIRONMENT);
		assert_null(strstr(error.text, "TOPSECRET"));
	}
}

static void
test_too_long(void **state)
{
	static char url[2048] = "http://h/", headers[8000] = "OTEL_EXPORTER_OTLP_HEADERS=";

	(void)state;
	memset(url + strlen(url), 'a', 2047 - strlen(url));
	assert_int_equal(choose(WORDS("--otlp_url", url), NOTHING), 0);
	assert_int_equal(choose(WORDS("-U", url), NOTHING), -EINVAL); /* its path is appended */
	assert_string_equal(error.text, "--url: too long");
	while (strlen(headers) < sizeof(headers) - 8) /* "a=b," becomes "a: b\n" */
		memcpy(headers + strlen(headers), "a=b,", 5);
	assert_int_equal(choose(WORDS("--otlp", "1"), WORDS(headers)), -EINVAL);
	assert_string_equal(error.text, "OTEL_EXPORTER_OTLP_HEADERS: too long");
}

/* ---- key=value ---- */

static void
test_key_values(void **state)
{
	static const struct {
		const char *text, *key, *value;
		int result;
	} rows[] = {
		{"a=b", "a", "b", 1},
		{" a = b c\t,x", "a", "b c", 1},
		{"a=", "a", "", 1},
		{"a=b=c", "a", "b=c", 1},
		{",, a=%41%c3%a9", "a", "A\xc3\xa9", 1},
		{"", "", "", 0},
		{" , ,", "", "", 0},
		{"a", "", "", -EBADMSG},
		{"=b", "", "", -EBADMSG},
		{"a=%4", "", "", -EBADMSG},
		{"a=%", "", "", -EBADMSG},
		{"a=%4,b=1", "", "", -EBADMSG},
		{"a=%00", "", "", -EBADMSG},
		{"a=%0a", "", "", -EBADMSG},
		{"a=%ff", "", "", -EBADMSG},
		{"\xc3\xa9=1", "", "", -EBADMSG},
	};
	static struct key_value pair;
	static char longest[KEY_VALUE_VALUE_MAX + 3] = "a=";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *at = rows[i].text;

		assert_int_equal(key_values_next(&at, &pair), rows[i].result);
		if (rows[i].result != 1)
			continue;
		assert_string_equal(pair.key, rows[i].key);
		assert_string_equal(pair.value, rows[i].value);
	}
	memset(longest + 2, 'b', KEY_VALUE_VALUE_MAX - 1);
	const char *at = longest;
	assert_int_equal(key_values_next(&at, &pair), 1);
	longest[KEY_VALUE_VALUE_MAX + 1] = 'b';
	at = longest;
	assert_int_equal(key_values_next(&at, &pair), -EBADMSG);
}

/* ---- opened ---- */

static struct test_folder folder;
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static const char *
path_in(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder.path, name);
	return path;
}

#define PEM(what) "-----BEGIN " what "-----\nTOPSECRET\n-----END " what "-----\n"

/* Does `bytes` hold `text` anywhere? */
static bool
holds(const void *bytes, size_t size, const char *text)
{
	return memmem(bytes, size, text, strlen(text));
}

static void
test_what_is_sealed(void **state)
{
	static struct delivery_config config;
	struct delivery_fds fds = DELIVERY_FDS_NONE;
	char problem[DELIVERY_PROBLEM_MAX], pem[4096] = "";
	struct stat status;

	(void)state;
	test_folder_put(&folder, "key", KEY "\n");
	test_folder_put(&folder, "ca", PEM("CERTIFICATE"));
	test_folder_put(&folder, "cert", PEM("X509 CERTIFICATE"));
	test_folder_put(&folder, "private", PEM("PRIVATE KEY"));
	assert_int_equal(choose(WORDS("--agentless", "1", "--api_key_file", path_in("key")),
				(const char *const[]){"DDPROF_OUTPUT=/x", "DDPROF_CA_FILE=ca", NULL}),
			 0);
	choice.ca_file = path_in("ca");
	choice.client_certificate = path_in("cert");
	choice.client_key = path_in("private");
	choice.spool = path_in("spool");
	strcpy(choice.prefix_folder, folder.path);
	if (delivery_open(&choice, &fds, problem) < 0)
		fail_msg("%s", problem);

	assert_int_equal(pread(fds.config, &config, sizeof(config), 0), sizeof(config));
	assert_string_equal(config.destination[1].headers, "DD-API-KEY: " KEY "\n");
	assert_int_equal(config.ca_size, strlen(PEM("CERTIFICATE")));
	assert_int_equal(config.certificate_size, strlen(PEM("X509 CERTIFICATE")));
	assert_int_equal(config.key_size, strlen(PEM("PRIVATE KEY")));
	assert_true(pread(fds.config, pem, sizeof(pem) - 1, sizeof(config)) > 0);
	assert_string_equal(pem, PEM("CERTIFICATE") PEM("X509 CERTIFICATE") PEM("PRIVATE KEY"));
	assert_int_equal(fcntl(fds.config, F_GET_SEALS),
			 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(fstat(fds.spool, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_true(is_same_file(fds.prefix, folder.fd) || fds.prefix >= 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(fcntl(((int *)&fds)[i], F_GETFD), FD_CLOEXEC);
	/* The process that goes on to be the target has none of it left. */
	assert_false(holds(&choice, sizeof(choice), KEY));
	assert_false(holds(&choice, sizeof(choice), "TOPSECRET"));
	assert_string_equal(choice.output, "/x");
	delivery_fds_close(&fds);
}

static void
test_what_cannot_be_opened(void **state)
{
	static const struct {
		const char *api_key_file, *ca_file, *spool, *prefix_folder, *error;
	} rows[] = {
		{"none", "", "", "",
		 "--api_key_file '%s/none': No such file or directory; name a file that you can read and "
		 "that holds the key alone"},
		{"folder", "", "", "",
		 "--api_key_file '%s/folder': not a regular file; name a file that you can read and that "
		 "holds the key alone"},
		{"fifo", "", "", "",
		 "--api_key_file '%s/fifo': not a regular file; name a file that you can read and that holds "
		 "the key alone"},
		{"large", "", "", "",
		 "--api_key_file '%s/large': File too large; name a file that you can read and that holds "
		 "the key alone"},
		{"ca", "", "", "",
		 "--api_key_file: the file holds no API key: one has at least 32 characters and no spaces"},
		{"key", "none", "", "",
		 "--ca_file '%s/none': No such file or directory; name a PEM file that you can read"},
		{"key", "key", "", "",
		 "--ca_file: holds no PEM text (-----BEGIN ...); convert it with openssl"},
		{"key", "private", "", "", "--ca_file: holds no certificate (-----BEGIN CERTIFICATE-----)"},
		{"key", "", "a/b", "",
		 "--spool '%s/a/b': No such file or directory; name a folder that you can write"},
		{"key", "", "key", "", "--spool '%s/key': Not a directory; name a folder that you can write"},
		{"key", "", "", "none",
		 "--debug_pprof_prefix '%s/none': No such file or directory; name a folder that you can "
		 "write"},
	};
	static char large[5000];

	(void)state;
	memset(large, 'k', sizeof(large) - 1);
	test_folder_put(&folder, "key", KEY);
	test_folder_put(&folder, "ca", "x");
	test_folder_put(&folder, "large", large);
	test_folder_put(&folder, "private", PEM("PRIVATE KEY"));
	test_folder_put(&folder, "folder/x", "x");
	assert_int_equal(mkfifoat(folder.fd, "fifo", 0600), 0);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct delivery_fds fds = DELIVERY_FDS_NONE;
		char problem[DELIVERY_PROBLEM_MAX] = "", wanted[DELIVERY_PROBLEM_MAX];

		assert_int_equal(
			choose(WORDS("--agentless", "1", "--api_key_file", path_in(rows[i].api_key_file)),
			       NOTHING),
			0);
		choice.ca_file = rows[i].ca_file[0] ? path_in(rows[i].ca_file) : "";
		choice.spool = rows[i].spool[0] ? path_in(rows[i].spool) : "";
		if (rows[i].prefix_folder[0])
			strcpy(choice.prefix_folder, path_in(rows[i].prefix_folder));
		assert_true(delivery_open(&choice, &fds, problem) < 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(wanted, sizeof(wanted), rows[i].error, folder.path);
#pragma GCC diagnostic pop
		assert_string_equal(problem, wanted);
		assert_int_equal(fds.config, -1);
		assert_false(holds(&choice, sizeof(choice), KEY));
	}
}

static void
test_keys(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{PEM("EC PRIVATE KEY"), NULL},
		{PEM("CERTIFICATE"), "DDPROF_CLIENT_KEY: holds no private key (-----BEGIN PRIVATE KEY-----)"},
		{PEM("ENCRYPTED PRIVATE KEY"),
		 "DDPROF_CLIENT_KEY: the key is encrypted, and nobody is there to ask "
		 "for its password; decrypt it with openssl pkey"},
		{"x", "DDPROF_CLIENT_KEY: holds no PEM text (-----BEGIN ...); convert it with openssl"},
	};

	(void)state;
	test_folder_put(&folder, "cert", PEM("CERTIFICATE"));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct delivery_fds fds = DELIVERY_FDS_NONE;
		char problem[DELIVERY_PROBLEM_MAX] = "", name[] = {'k', (char)('0' + i), 0}, variable[160];

		test_folder_put(&folder, name, rows[i].text);
		snprintf(variable, sizeof(variable), "DDPROF_CLIENT_KEY=%s", path_in(name));
		assert_int_equal(choose(WORDS("--client_certificate", path_in("cert")), WORDS(variable)), 0);
		assert_int_equal(delivery_open(&choice, &fds, problem) < 0, rows[i].error != NULL);
		assert_string_equal(problem, rows[i].error ? rows[i].error : "");
		delivery_fds_close(&fds);
	}
}

static void
test_cgroup_inode(void **state)
{
	static const struct {
		const char *text, *folder;
	} rows[] = {
		{"0::/a/b\n", "a/b"},
		{"12:memory:/c\n3:cpu,cpuacct:/d\n", "memory/c"},
		{"3:cpu:/d\n0::/none\n", NULL},
		{"", NULL},
		{"0::", NULL},
	};
	char root[128], got[64], wanted[64];
	struct stat status;

	(void)state;
	test_folder_put(&folder, "root/a/b/x", "");
	test_folder_put(&folder, "root/memory/c/x", "");
	snprintf(root, sizeof(root), "%s", path_in("root"));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool is_host = stat("/proc/self/ns/cgroup", &status) == 0 && status.st_ino == 0xEFFFFFFBu;

		char name[] = {'c', (char)('0' + i), 0};

		test_folder_put(&folder, name, rows[i].text);
		cgroup_inode_text(path_in(name), root, got, sizeof(got));
		wanted[0] = '\0';
		if (rows[i].folder) {
			char path[256];

			snprintf(path, sizeof(path), "%s/%s", root, rows[i].folder);
			assert_int_equal(stat(path, &status), 0);
			snprintf(wanted, sizeof(wanted), "in-%llu", (unsigned long long)status.st_ino);
		}
		if (i == 4) { /* an empty path is the root itself */
			assert_int_equal(stat(root, &status), 0);
			snprintf(wanted, sizeof(wanted), "in-%llu", (unsigned long long)status.st_ino);
		}
		assert_string_equal(got, is_host ? "" : wanted);
	}
	cgroup_inode_text(path_in("missing"), root, got, sizeof(got));
	assert_string_equal(got, "");
}

/* ---- the agent ---- */

static bool
raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	OWNED_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static int
listen_at(int family, bool listens)
{
	struct sockaddr_in ipv4 = {
		.sin_family = AF_INET, .sin_port = htons(8126), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 ipv6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(8126), .sin6_addr = in6addr_loopback};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_ipv4 = family == AF_INET;

	if (bind(fd, is_ipv4 ? (void *)&ipv4 : (void *)&ipv6, is_ipv4 ? sizeof(ipv4) : sizeof(ipv6)) < 0 ||
	    (listens && listen(fd, 1) < 0))
		return -1;
	return fd;
}

/* In a network of its own, for others must not take us for an agent. */
static int
knock_in_own_network(void)
{
	const char *socket = "unchanged";

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return 77;
	if (!raise_loopback())
		return 77;
	if (agent_answers(&socket))
		return socket ? 77 : 1; /* a real one, at its socket */
	int fd = listen_at(AF_INET, false);
	if (fd < 0 || agent_answers(&socket))
		return 2; /* bound is not listening */
	if (listen(fd, 1) < 0 || !agent_answers(&socket) || socket)
		return 3;
	close(fd);
	if (agent_answers(&socket))
		return 4;
	fd = listen_at(AF_INET6, true);
	if (fd >= 0 && (!agent_answers(&socket) || socket))
		return 5;
	return 0;
}

static void
test_agent_answers(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(knock_in_own_network());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77 && !getenv("DDPROF_MUST_WORK"))
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_default_is_said(void **state)
{
	static const char *const lines[] = {"ddprof-launch: profiles go to files in the current folder "
					    "(--do_export is false; --output chooses)\n",
					    "ddprof-launch: profiles go to files in the current folder (no "
					    "Datadog agent answers at localhost:8126; "
					    "--output or --url chooses)\n",
					    "ddprof-launch: profiles go to the Datadog agent at "
					    "localhost:8126 (nothing else was chosen; --output or "
					    "--url chooses)\n"};
	char said[512] = "";
	OWNED_FD file = file_with("");
	struct log log = {.fd = file, .threshold = LOG_LEVEL_NOTICE};

	(void)state;
	assert_int_equal(choose(WORDS("--do_export", "no"), NOTHING), 0);
	delivery_decide(&choice, &log);
	assert_true(pread(file, said, sizeof(said) - 1, 0) > 0);
	assert_string_equal(said, lines[0]);
	assert_string_equal(choice.output, ".");
	assert_int_equal(choice.config.destination[0].kind, DESTINATION_FOLDER);

	/* With an agent or without: it is said. */
	assert_int_equal(choose(NOTHING, NOTHING), 0);
	delivery_decide(&choice, &log);
	assert_true(pread(file, said, sizeof(said) - 1, (off_t)strlen(lines[0])) > 0);
	bool has_folder = choice.config.destination[0].kind == DESTINATION_FOLDER;
	assert_string_equal(choice.output, has_folder ? "." : "");
	if (has_folder)
		assert_int_equal(strncmp(said, lines[1], strlen(lines[1])), 0);
	else
		assert_int_equal(strncmp(said, "ddprof-launch: profiles go to the Datadog agent at ", 51), 0);

	/* And what was chosen needs no words. */
	off_t before = lseek(file, 0, SEEK_END);
	assert_int_equal(choose(WORDS("--output", "x"), NOTHING), 0);
	delivery_decide(&choice, &log);
	assert_int_equal(lseek(file, 0, SEEK_END), before);
	assert_int_equal(choice.config.count, 1);
}

#define OPEN_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_destination),
		cmocka_unit_test(test_nothing_chosen),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_the_rest_of_the_configuration),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_key_values),
		OPEN_TEST(test_what_is_sealed),
		OPEN_TEST(test_what_cannot_be_opened),
		OPEN_TEST(test_keys),
		OPEN_TEST(test_cgroup_inode),
		OPEN_TEST(test_agent_answers),
		OPEN_TEST(test_default_is_said),
	};

	return cmocka_run_group_tests_name("destinations", tests, NULL, NULL);
}
