/* Every destination a caller can choose, one function each; and which of them was chosen. */

#include "launcher/destinations.h"

#include "ipc/key_values.h"
#include "ipc/text.h"
#include "launcher/option_table.h"
#include "launcher/quote.h"
#include "launcher/url.h"
#include "launcher/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SITE_DEFAULT "datadoghq.com"
#define OTLP_ENDPOINT_DEFAULT "http://localhost:4318"
#define OTLP_PATH \
	"/v1development/profiles" /* "Profiles Service", opentelemetry-proto docs/specification.md */
#define AGENT_PATH "/profiling/v1/input"
#define INTAKE_PATH "/api/v2/profile"
#define PYROSCOPE_PATH "/ingest"
#define TIMEOUT_MS 10000 /* what ddprof and the OTLP specification say */
#define TIMEOUT_MAX_MS 3600000
#define API_KEY_MIN 32 /* ddprof's rule */
#define API_KEY_MAX 200
#define PREFIX_NAME_MAX 200 /* NAME_MAX less the time, the extension and a temporary's name around it */

/* Text that is put together in fixed room; what does not fit is remembered, not cut. */
struct text {
	char *at;
	size_t capacity, used;
	bool is_full;
};

static void
text_add(struct text *text, const char *bytes, size_t length)
{
	if (length >= text->capacity - text->used) {
		text->is_full = true;
		return;
	}
	memcpy(text->at + text->used, bytes, length);
	text->used += length;
	text->at[text->used] = '\0';
}

#define TEXT_IN(array) ((struct text){.at = (array), .capacity = sizeof(array), .used = strlen(array)})

static bool
put(struct text text, const char *const parts[])
{
	for (; *parts; parts++)
		text_add(&text, *parts, strlen(*parts));
	return !text.is_full;
}
#define PUT(array, ...) put(TEXT_IN(array), (const char *const[]){__VA_ARGS__, NULL})

struct choosing {
	const struct launch_options *options;
	const struct delivery_options *wanted;
	struct delivery_choice *choice;
	struct option_error *error;
};

/* Whoever set the option is told, by the name it was set by. */
static int
fail(const struct choosing *c, enum option_id id, const char *problem)
{
	const char *variable = c->options->variables[id];

	c->error->origin = c->options->origins[id];
	if (c->error->origin == OPTION_FROM_DEFAULT)
		c->error->origin = OPTION_FROM_COMMAND_LINE;
	snprintf(c->error->text, sizeof(c->error->text), "%s%s: %s", variable ? "" : "--",
		 variable ? variable : option_table[id].name, problem);
	return -EINVAL;
}

static int
fail_url(const struct choosing *c, enum option_id id, const char *problem, const char *example)
{
	char text[OPTION_PROBLEM_MAX];

	snprintf(text, sizeof(text), "the value %s; it is to look like %s", problem, example);
	return fail(c, id, text);
}

/* Whoever uses these says so first. Ends with OPTION_COUNT. */
static int
check_readable(const struct choosing *c, const enum option_id used[])
{
	char problem[OPTION_PROBLEM_MAX];

	for (; *used != OPTION_COUNT; used++) {
		if (!c->options->is_unreadable[*used])
			continue;
		snprintf(problem, sizeof(problem), "the value is not %s", option_table[*used].accepts);
		return fail(c, *used, problem);
	}
	return 0;
}
#define CHECK_READABLE(c, ...) check_readable(c, (const enum option_id[]){__VA_ARGS__, OPTION_COUNT})

static bool
is_given(const struct choosing *c, enum option_id id)
{
	return c->options->origins[id] != OPTION_FROM_DEFAULT;
}

static struct delivery_destination *
add_destination(struct delivery_choice *choice, enum destination_kind kind)
{
	struct delivery_destination *added = &choice->config.destination[choice->config.count++];

	added->kind = kind;
	added->timeout_ms = TIMEOUT_MS;
	return added;
}

static bool
add_header(struct delivery_destination *to, const char *name, const char *value)
{
	return PUT(to->headers, name, ": ", value, "\n");
}

/* ---- URLs ---- */

static void
encode_base64(const char *text, size_t length, char *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		unsigned int bits = (unsigned int)(unsigned char)text[i] << 16;

		bits |= left > 1 ? (unsigned int)(unsigned char)text[i + 1] << 8 : 0;
		bits |= left > 2 ? (unsigned char)text[i + 2] : 0;
		*ret++ = digits[bits >> 18];
		*ret++ = digits[bits >> 12 & 63];
		*ret++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*ret++ = left > 2 ? digits[bits & 63] : '=';
	}
	*ret = '\0';
}

#define CREDENTIALS_MAX 512
static bool
add_basic_authorization(struct delivery_destination *to, const char *credentials)
{
	char encoded[CREDENTIALS_MAX / 3 * 4 + 8];
	size_t length = strlen(credentials);

	if (length > CREDENTIALS_MAX)
		return false;
	encode_base64(credentials, length, encoded);
	return PUT(to->headers, "Authorization: Basic ", encoded, "\n");
}

/* Takes the URL apart: what is secret in it becomes a header, and its host the destination's name. `path` is
 * appended to the URL's own. */
static int
set_url(const struct choosing *c, enum option_id id, const char *text, const char *path, const char *what,
	struct delivery_destination *to)
{
	struct url url;
	char credentials[CREDENTIALS_MAX + 1];
	const char *problem = url_parse(text, &url);

	if (problem)
		return fail_url(c, id, problem, "http://host:port or https://host");
	if (url.userinfo.at && c->options->origins[id] == OPTION_FROM_COMMAND_LINE)
		return fail(c, id,
			    "a password on a command line is refused, for everybody on this machine can read "
			    "it; put "
			    "the URL into its environment variable (see --help)");
	if (url.userinfo.at &&
	    (percent_decode(url.userinfo.at, url.userinfo.length, credentials, sizeof(credentials)) < 0 ||
	     !text_is_printable(credentials, strlen(credentials)) ||
	     !add_basic_authorization(to, credentials)))
		return fail(c, id, "the user and password in it are too long or badly percent-encoded");

	struct text made = TEXT_IN(to->url), name = TEXT_IN(to->name);
	text_add(&made, url.is_https ? "https://" : "http://", url.is_https ? 8 : 7);
	text_add(&made, url.authority.at, url.authority.length);
	text_add(&made, url.path.at, url.path.length);
	text_add(&made, path, strlen(path));
	text_add(&made, url.query.at, url.query.length);
	text_add(&name, what, strlen(what));
	text_add(&name, " at ", 4);
	text_add(&name, url.authority.at, url.authority.length);
	return made.is_full || name.is_full ? fail(c, id, "too long") : 0;
}

/* ---- Datadog ---- */

static int
set_agent_socket(const struct choosing *c, enum option_id id, const char *path,
		 struct delivery_destination *to)
{
	if (path[0] != '/' || !PUT(to->unix_socket, path))
		return fail(c, id, "the socket's path is not absolute, or longer than 107 bytes");
	(void)PUT(to->url, "http://localhost" AGENT_PATH);
	(void)PUT(to->name, "Datadog agent at ", path);
	return 0;
}

static int
set_agent_authority(const struct choosing *c, enum option_id id, const char *authority,
		    struct delivery_destination *to)
{
	const char *problem = url_check_authority(authority, strlen(authority), true);

	if (problem)
		return fail_url(c, id, problem,
				"host:port, http://host:port, https://host, unix:///path or /path");
	(void)PUT(to->url, "http://", authority, AGENT_PATH);
	(void)PUT(to->name, "Datadog agent at ", authority);
	return 0;
}

static int
choose_agent_url(const struct choosing *c, struct delivery_destination *to)
{
	const char *url = c->wanted->url;

	if (strncmp(url, "unix://", 7) == 0)
		return set_agent_socket(c, OPTION_URL, url + 7, to);
	if (url[0] == '/')
		return set_agent_socket(c, OPTION_URL, url, to);
	if (strstr(url, "://"))
		return set_url(c, OPTION_URL, url, AGENT_PATH, "Datadog agent", to);
	return set_agent_authority(c, OPTION_URL, url, to);
}

/* An IPv6 address may be given as --host without brackets; nobody else has two colons. */
static int
choose_agent_host(const struct choosing *c, struct delivery_destination *to)
{
	const char *host = c->wanted->host[0] ? c->wanted->host : "localhost";
	const char *colon = strchr(host, ':');
	bool is_bare_address = host[0] != '[' && colon && strchr(colon + 1, ':');
	enum option_id id = is_given(c, OPTION_HOST) ? OPTION_HOST : OPTION_PORT;
	char authority[OPTION_HOST_MAX + 16];

	if (colon && !is_bare_address && host[0] != '[')
		return fail(c, id, "a host is wanted, without a port (--port); --url takes both");
	snprintf(authority, sizeof(authority), "%s%s%s:%u", is_bare_address ? "[" : "", host,
		 is_bare_address ? "]" : "", c->wanted->port);
	return set_agent_authority(c, id, authority, to);
}

static int
check_no_agent_on_command_line(const struct choosing *c)
{
	static const enum option_id agent[] = {OPTION_URL, OPTION_HOST, OPTION_PORT};

	for (size_t i = 0; i < sizeof(agent) / sizeof(agent[0]); i++)
		if (c->options->origins[agent[i]] == OPTION_FROM_COMMAND_LINE)
			return fail(c, agent[i],
				    "names an agent, and --agentless goes without; choose one of them "
				    "(--site names "
				    "the site)");
	return 0;
}

static bool
is_api_key(const char *key)
{
	size_t length = strlen(key);

	for (const char *at = key; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return length >= API_KEY_MIN && length <= API_KEY_MAX;
}

bool
destinations_add_api_key(struct delivery_destination *intake, const char *key)
{
	return is_api_key(key) && add_header(intake, "DD-API-KEY", key);
}

static int
choose_intake(const struct choosing *c, struct delivery_destination *to)
{
	const char *site = c->wanted->site[0] ? c->wanted->site : SITE_DEFAULT;
	int result = check_no_agent_on_command_line(c);

	if (result == 0)
		result = CHECK_READABLE(c, OPTION_SITE, OPTION_INTAKE_URL, OPTION_API_KEY);
	to->is_agentless = 1;
	if (result == 0 && c->wanted->intake_url[0]) {
		result = set_url(c, OPTION_INTAKE_URL, c->wanted->intake_url, "", "Datadog's intake", to);
	} else if (result == 0) {
		if (url_check_authority(site, strlen(site), false) || strchr(site, ':'))
			return fail(c, OPTION_SITE, "is a domain, such as datadoghq.com or datadoghq.eu");
		(void)PUT(to->url, "https://intake.profile.", site, INTAKE_PATH);
		(void)PUT(to->name, "Datadog's intake at intake.profile.", site);
	}
	if (result < 0)
		return result;
	c->choice->api_key_file = c->wanted->api_key_file;
	if (c->wanted->api_key_file[0])
		return 0;
	if (!c->wanted->api_key[0])
		return fail(c, OPTION_AGENTLESS,
			    "needs an API key; set DD_API_KEY, or name a file that holds it with "
			    "--api_key_file");
	if (!destinations_add_api_key(to, c->wanted->api_key))
		return fail(
			c, OPTION_API_KEY,
			"the value (not shown) is no API key: one has at least 32 characters and no spaces");
	return 0;
}

static int
choose_datadog(const struct choosing *c)
{
	static const enum option_id agent[] = {OPTION_URL, OPTION_HOST, OPTION_PORT};
	bool is_wanted = c->wanted->agentless;

	/* Kubernetes puts "tcp://..." into this port's variable for a service of that name: nobody's wish. */
	for (size_t i = 0; i < sizeof(agent) / sizeof(agent[0]); i++)
		is_wanted = is_wanted || (is_given(c, agent[i]) && !(agent[i] == OPTION_PORT &&
								     c->options->is_unreadable[OPTION_PORT]));
	if (!is_wanted)
		return 0;
	struct delivery_destination *to = add_destination(c->choice, DESTINATION_DATADOG);
	int result = CHECK_READABLE(c, OPTION_HOSTNAME, OPTION_EXTERNAL_ENV);
	if (result < 0)
		return result;
	if (c->wanted->agentless)
		return choose_intake(c, to);
	result = c->wanted->url[0] ? 0 : CHECK_READABLE(c, OPTION_URL, OPTION_HOST, OPTION_PORT);
	if (result < 0)
		return result;
	return c->wanted->url[0] ? choose_agent_url(c, to) : choose_agent_host(c, to);
}

/* What requests say of where the profile was made. */
static int
describe_host(const struct choosing *c)
{
	for (const char *at = c->wanted->external_env; *at; at++)
		if ((unsigned char)*at > '~')
			return fail(c, OPTION_EXTERNAL_ENV, "is sent in a header, which takes ASCII only");
	struct utsname kernel;
	bool has_own_name = c->wanted->hostname[0] || uname(&kernel) < 0;

	(void)PUT(c->choice->config.hostname, has_own_name ? c->wanted->hostname : kernel.nodename);
	(void)PUT(c->choice->config.external_env, c->wanted->external_env);
	return 0;
}

/* ---- OTLP ---- */

static bool
is_header_name(const char *name)
{
	for (; *name; name++) {
		bool is_alphanumeric = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
				       (*name >= 'A' && *name <= 'Z');

		if (!is_alphanumeric && !strchr("!#$%&'*+-.^_`|~", *name)) /* RFC 9110, token */
			return false;
	}
	return true;
}

/* What only the request itself can know; setting it again is common and harmless. */
static bool
is_set_by_request(const char *name)
{
	static const char *const names[] = {"content-type",     "content-length",
					    "content-encoding", "transfer-encoding",
					    "connection",       "otlp-profiles-development-version"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static int
add_otlp_headers(const struct choosing *c, struct delivery_destination *to)
{
	static struct key_value header;
	const char *at = c->wanted->otlp_headers;
	int result;

	while ((result = key_values_next(&at, &header)) > 0) {
		if (!is_header_name(header.key)) {
			result = -EBADMSG;
			break;
		}
		if (!is_set_by_request(header.key) && !add_header(to, header.key, header.value))
			return fail(c, OPTION_OTLP_HEADERS, "too long");
	}
	return result == 0 ? 0
			   : fail(c, OPTION_OTLP_HEADERS,
				  "the value (not shown) is not name=value,name=value with values "
				  "percent-encoded");
}

static int
read_timeout(const struct choosing *c, struct delivery_destination *to)
{
	unsigned int number = 0;
	const char *at = c->wanted->otlp_timeout;

	if (!*at)
		return 0;
	for (; *at >= '0' && *at <= '9' && number <= TIMEOUT_MAX_MS; at++)
		number = number * 10 + (unsigned int)(*at - '0');
	if (*at || number < 1 || number > TIMEOUT_MAX_MS)
		return fail(c, OPTION_OTLP_TIMEOUT, "is not a number of milliseconds from 1 to 3600000");
	to->timeout_ms = number;
	return 0;
}

static int
read_otlp_words(const struct choosing *c, struct delivery_destination *to)
{
	const char *protocol = c->wanted->otlp_protocol, *compression = c->wanted->otlp_compression;
	char problem[OPTION_PROBLEM_MAX];

	if (protocol[0] && strcmp(protocol, "http/protobuf") != 0) {
		snprintf(problem, sizeof(problem),
			 "'%s' is not spoken here; set OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL to "
			 "http/protobuf, and the "
			 "endpoint to the receiver's HTTP port (4318)",
			 quoted(protocol, strlen(protocol)).text);
		return fail(c, OPTION_OTLP_PROTOCOL, problem);
	}
	to->has_gzip = strcmp(compression, "gzip") == 0;
	if (compression[0] && !to->has_gzip && strcmp(compression, "none") != 0)
		return fail(c, OPTION_OTLP_COMPRESSION, "is gzip or none");
	return 0;
}

static int
check_attributes(const struct choosing *c)
{
	static struct key_value attribute;
	const char *at = c->wanted->resource_attributes;
	int result;

	while ((result = key_values_next(&at, &attribute)) > 0)
		continue;
	if (result < 0)
		return fail(c, OPTION_RESOURCE_ATTRIBUTES,
			    "is not key=value,key=value with values percent-encoded");
	(void)PUT(c->choice->config.resource_attributes, c->wanted->resource_attributes);
	return 0;
}

static int
choose_otlp(const struct choosing *c)
{
	const char *endpoint = c->wanted->otlp_endpoint[0] ? c->wanted->otlp_endpoint : OTLP_ENDPOINT_DEFAULT;
	bool has_own_url = c->wanted->otlp_url[0];

	if (!has_own_url && !c->wanted->otlp && !c->options->is_unreadable[OPTION_OTLP_URL])
		return 0;
	struct delivery_destination *to = add_destination(c->choice, DESTINATION_OTLP);
	int result = CHECK_READABLE(c, OPTION_OTLP_URL, OPTION_OTLP_HEADERS, OPTION_OTLP_TIMEOUT,
				    OPTION_OTLP_COMPRESSION, OPTION_OTLP_PROTOCOL, OPTION_OTLP_CERTIFICATE,
				    OPTION_OTLP_CLIENT_CERTIFICATE, OPTION_OTLP_CLIENT_KEY,
				    OPTION_RESOURCE_ATTRIBUTES, OPTION_HOSTNAME);
	if (result == 0 && !has_own_url)
		result = CHECK_READABLE(c, OPTION_OTLP_ENDPOINT);
	if (result < 0)
		return result;
	result = has_own_url ? set_url(c, OPTION_OTLP_URL, c->wanted->otlp_url, "", "OTLP receiver", to)
			     : set_url(c, OPTION_OTLP_ENDPOINT, endpoint, OTLP_PATH, "OTLP receiver", to);
	if (result == 0)
		result = read_otlp_words(c, to);
	if (result == 0)
		result = read_timeout(c, to);
	if (result == 0)
		result = add_otlp_headers(c, to);
	return result == 0 ? check_attributes(c) : result;
}

/* ---- Pyroscope ---- */

static int
choose_pyroscope(const struct choosing *c)
{
	const struct delivery_options *wanted = c->wanted;
	char credentials[CREDENTIALS_MAX + 1] = "";

	if (!wanted->pyroscope_url[0] && !c->options->is_unreadable[OPTION_PYROSCOPE_URL])
		return 0;
	struct delivery_destination *to = add_destination(c->choice, DESTINATION_PYROSCOPE);
	int result = CHECK_READABLE(c, OPTION_PYROSCOPE_URL, OPTION_PYROSCOPE_USER, OPTION_PYROSCOPE_PASSWORD,
				    OPTION_PYROSCOPE_TENANT);
	if (result < 0)
		return result;
	result = set_url(c, OPTION_PYROSCOPE_URL, wanted->pyroscope_url, PYROSCOPE_PATH, "Pyroscope", to);
	if (result < 0)
		return result;
	if (wanted->pyroscope_user[0] && to->headers[0])
		return fail(c, OPTION_PYROSCOPE_USER, "the URL names a user too; keep one of them");
	if (wanted->pyroscope_password[0] && !wanted->pyroscope_user[0] && !to->headers[0])
		return fail(c, OPTION_PYROSCOPE_PASSWORD, "there is no user; set PYROSCOPE_BASIC_AUTH_USER");
	if (wanted->pyroscope_user[0] &&
	    (!PUT(credentials, wanted->pyroscope_user, ":", wanted->pyroscope_password) ||
	     !add_basic_authorization(to, credentials)))
		return fail(c, OPTION_PYROSCOPE_USER, "too long, with its password");
	if (wanted->pyroscope_tenant[0] && !add_header(to, "X-Scope-OrgID", wanted->pyroscope_tenant))
		return fail(c, OPTION_PYROSCOPE_TENANT, "too long");
	return 0;
}

/* ---- files ---- */

void
destinations_add_folder(struct delivery_choice *choice, const char *path)
{
	struct delivery_destination *to = add_destination(choice, DESTINATION_FOLDER);

	choice->output = path;
	text_escape(to->name, sizeof(to->name), path, strlen(path));
}

static int
choose_prefix(const struct choosing *c)
{
	const char *prefix = c->wanted->pprof_prefix;
	const char *slash = strrchr(prefix, '/');
	const char *name = slash ? slash + 1 : prefix;
	size_t folder = slash ? (size_t)(slash - prefix) : 0;

	if (!prefix[0])
		return 0;
	if (strlen(name) > PREFIX_NAME_MAX)
		return fail(c, OPTION_PPROF_PREFIX, "what follows the last '/' is longer than 200 bytes");
	struct delivery_destination *to = add_destination(c->choice, DESTINATION_PREFIX);
	(void)PUT(to->file_prefix, name);
	text_escape(to->name, sizeof(to->name), prefix, strlen(prefix));
	(void)put(TEXT_IN(c->choice->prefix_folder), (const char *const[]){!slash ? "." : "/", NULL});
	if (folder > 0) {
		memcpy(c->choice->prefix_folder, prefix, folder);
		c->choice->prefix_folder[folder] = '\0';
	}
	return 0;
}

/* ---- what they share ---- */

static bool
has_scheme(const struct delivery_config *config, const char *scheme)
{
	for (uint32_t i = 0; i < config->count; i++)
		if (strncmp(config->destination[i].url, scheme, strlen(scheme)) == 0)
			return true;
	return false;
}

static bool
has_other_https(const struct delivery_config *config)
{
	for (uint32_t i = 0; i < config->count; i++)
		if (strncmp(config->destination[i].url, "https:", 6) == 0 &&
		    config->destination[i].kind != DESTINATION_OTLP)
			return true;
	return false;
}

/* One set for all: a certificate meant for OTLP would reach, and authorities for OTLP would judge, the
 * others.
 */
static int
choose_certificates(const struct choosing *c)
{
	const struct {
		const char *of_all, *of_otlp;
		enum option_id otlp_id, id;
		const char **ret;
		enum option_id *ret_option;
	} rows[] = {
		{c->wanted->ca_file, c->wanted->otlp_certificate, OPTION_OTLP_CERTIFICATE, OPTION_CA_FILE,
		 &c->choice->ca_file, &c->choice->ca_option},
		{c->wanted->client_certificate, c->wanted->otlp_client_certificate,
		 OPTION_OTLP_CLIENT_CERTIFICATE, OPTION_CLIENT_CERTIFICATE, &c->choice->client_certificate,
		 &c->choice->certificate_option},
		{c->wanted->client_key, c->wanted->otlp_client_key, OPTION_OTLP_CLIENT_KEY, OPTION_CLIENT_KEY,
		 &c->choice->client_key, &c->choice->key_option},
	};
	bool has_otlp = false;

	for (uint32_t i = 0; i < c->choice->config.count; i++)
		has_otlp = has_otlp || c->choice->config.destination[i].kind == DESTINATION_OTLP;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is_for_otlp = has_otlp && !rows[i].of_all[0] && rows[i].of_otlp[0];
		char problem[OPTION_PROBLEM_MAX];

		*rows[i].ret = is_for_otlp ? rows[i].of_otlp : rows[i].of_all;
		*rows[i].ret_option = is_for_otlp ? rows[i].otlp_id : rows[i].id;
		if (!is_for_otlp || !has_other_https(&c->choice->config))
			continue;
		snprintf(problem, sizeof(problem),
			 "would be used for the other https:// destinations too; give --%s what is right for "
			 "all of "
			 "them",
			 option_table[rows[i].id].name);
		return fail(c, rows[i].otlp_id, problem);
	}
	if (!c->choice->client_certificate[0] != !c->choice->client_key[0])
		return fail(c, c->choice->client_key[0] ? OPTION_CLIENT_KEY : OPTION_CLIENT_CERTIFICATE,
			    "a client certificate and its key go together: --client_certificate and "
			    "--client_key");
	return 0;
}

static int
choose_statsd(const struct choosing *c)
{
	const char *path = c->wanted->internal_stats;

	if (strncmp(path, "unix://", 7) == 0)
		path += 7;
	if (path[0] && (path[0] != '/' || !PUT(c->choice->config.statsd_socket, path)))
		return fail(c, OPTION_INTERNAL_STATS,
			    "the socket's path is not absolute, or longer than 107 bytes");
	return 0;
}

/* A server's URL appears in no header, so nothing secret may be in it. */
static const char *
check_server(const char *text, size_t length)
{
	char url_text[OPTION_URL_MAX + 1];
	struct url url;

	memcpy(url_text, text, length);
	url_text[length] = '\0';
	const char *problem = url_parse(url_text, &url);
	if (problem)
		return problem;
	return url.userinfo.at ? "has a password in it" : url.query.length ? "has a '?' in it" : NULL;
}

static int
choose_debuginfod(const struct choosing *c)
{
	const char *urls = c->wanted->debuginfod_urls;
	size_t count = 0;

	if (!c->wanted->debuginfod)
		return 0;
	for (const char *at = urls; *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");
		bool is_url = strncmp(at, "http://", 7) == 0 || strncmp(at, "https://", 8) == 0;
		const char *problem = is_url ? check_server(at, length) : NULL;

		if (problem)
			return fail_url(c, OPTION_DEBUGINFOD_URLS, problem,
					"https://debuginfod.example.org/");
		count += is_url; /* elfutils has other words there, such as ima:enforcing */
		at += length;
	}
	if (count == 0)
		return fail(c, OPTION_DEBUGINFOD,
			    "needs a server; set DEBUGINFOD_URLS, for example to "
			    "https://debuginfod.debian.net");
	(void)PUT(c->choice->config.debuginfod_urls, urls);
	return 0;
}

static int
choose_runtime_id(const struct choosing *c)
{
	char *id = c->choice->config.runtime_id;

	if (!is_given(c, OPTION_RUNTIME_ID))
		uuid_make(id);
	else if (uuid_copy(c->wanted->runtime_id, id) < 0)
		return fail(c, OPTION_RUNTIME_ID,
			    "is not a UUID, such as 8a5c1d0e-7f43-4b6d-9c2a-0123456789ab");
	return 0;
}

static int
choose_remote(const struct choosing *c)
{
	int result = choose_datadog(c);

	if (result == 0)
		result = describe_host(c);
	if (result == 0)
		result = choose_otlp(c);
	if (result == 0)
		result = choose_pyroscope(c);
	if (result == 0 && has_scheme(&c->choice->config, "http:"))
		result = CHECK_READABLE(c, OPTION_HTTP_PROXY, OPTION_NO_PROXY);
	if (result == 0 && has_scheme(&c->choice->config, "https:"))
		result = CHECK_READABLE(c, OPTION_HTTPS_PROXY, OPTION_NO_PROXY);
	return result;
}

/* What only OTEL_RESOURCE_ATTRIBUTES names, if it would be accepted as the option's value. */
static void
borrow_name(struct launch_options *options, enum option_id id, const char *value, char *room, size_t capacity)
{
	struct option_values values = {.options = *options};
	char ignored[OPTION_PROBLEM_MAX];

	if (options->origins[id] != OPTION_FROM_DEFAULT || !value[0] ||
	    !put((struct text){room, capacity, 0, false}, (const char *const[]){value, NULL}) ||
	    option_read_value(&option_table[id], room, &values, ignored) < 0)
		return;
	*options = values.options;
	options->origins[id] = OPTION_FROM_ENVIRONMENT;
	options->variables[id] = "OTEL_RESOURCE_ATTRIBUTES";
}

static void
borrow_names(struct launch_options *options, struct delivery_choice *choice)
{
	const struct {
		const char *key;
		enum option_id id;
		char *room;
		size_t capacity;
	} rows[] = {
		{"service.name", OPTION_SERVICE, choice->service, sizeof(choice->service)},
		{"deployment.environment.name", OPTION_ENVIRONMENT, choice->environment,
		 sizeof(choice->environment)},
		{"deployment.environment", OPTION_ENVIRONMENT, choice->environment, /* its older name */
		 sizeof(choice->environment)},
		{"service.version", OPTION_SERVICE_VERSION, choice->version, sizeof(choice->version)},
	};
	static struct key_value attribute;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = options->delivery.resource_attributes;

		while (key_values_next(&at, &attribute) > 0)
			if (strcmp(attribute.key, rows[i].key) == 0)
				borrow_name(options, rows[i].id, attribute.value, rows[i].room,
					    rows[i].capacity);
	}
}

static void
copy_shared(const struct choosing *c)
{
	struct delivery_config *config = &c->choice->config;

	c->choice->spool = c->wanted->spool;
	config->spool_max_bytes = (uint64_t)c->wanted->spool_size_mib << 20;
	config->spool_max_age_s = (uint64_t)c->wanted->spool_age_h * 3600;
	config->cpus_configured = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	config->cpus_online = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	(void)PUT(config->proxy_http, c->wanted->http_proxy);
	(void)PUT(config->proxy_https, c->wanted->https_proxy);
	(void)PUT(config->no_proxy, c->wanted->no_proxy);
}

int
destinations_choose(struct launch_options *options, struct delivery_choice *ret,
		    struct option_error *ret_error)
{
	const struct choosing c = {options, &options->delivery, ret, ret_error};

	memset(ret, 0, sizeof(*ret));
	ret->output = ret->spool = ret->api_key_file = "";
	ret->ca_file = ret->client_certificate = ret->client_key = "";
	ret->options = options;
	borrow_names(options, ret);
	if (c.wanted->output[0])
		destinations_add_folder(ret, c.wanted->output);
	int result = choose_prefix(&c);
	if (result == 0 && c.wanted->do_export)
		result = choose_remote(&c);
	if (result == 0)
		result = choose_certificates(&c);
	if (result == 0)
		result = choose_statsd(&c);
	if (result == 0)
		result = choose_debuginfod(&c);
	if (result == 0)
		result = choose_runtime_id(&c);
	if (result < 0)
		return result;
	copy_shared(&c);
	ret->is_default = ret->config.count == 0;
	ret->may_export = c.wanted->do_export;
	return 0;
}

void
destinations_add_agent(struct delivery_choice *choice, const char *socket)
{
	struct delivery_destination *to = add_destination(choice, DESTINATION_DATADOG);

	if (socket) {
		(void)PUT(to->unix_socket, socket);
		(void)PUT(to->url, "http://localhost" AGENT_PATH);
		(void)PUT(to->name, "Datadog agent at ", socket);
	} else {
		(void)PUT(to->url, "http://localhost:8126" AGENT_PATH);
		(void)PUT(to->name, "Datadog agent at localhost:8126");
	}
}

void
destinations_print(const struct delivery_choice *choice, int fd)
{
	static const char *const kinds[DESTINATION_KINDS] = {
		[DESTINATION_FOLDER] = "files in ",
		[DESTINATION_PREFIX] = "files named ",
	};

	if (choice->is_default)
		dprintf(fd, "profiles go to %sfiles in the current folder\n",
			choice->may_export ? "the Datadog agent here, if one answers, else to " : "");
	for (uint32_t i = 0; i < choice->config.count; i++) {
		const struct delivery_destination *to = &choice->config.destination[i];

		dprintf(fd, "profiles go to %s%s\n", kinds[to->kind] ? kinds[to->kind] : "", to->name);
	}
}
