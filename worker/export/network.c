/* libcurl's client, debug files and statsd as one thing, and HTTP translated into the queue's terms. */

#include "worker/export/network.h"

#include "worker/export/debuginfod.h"
#include "worker/export/format_request.h"
#include "worker/export/http.h"
#include "worker/export/statsd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct uplink {
	struct http_client *client;
	const char *statsd_socket; /* "": none */
	char debuginfod_urls[DESTINATION_URL_MAX];
	const char *debuginfod_servers[DEBUGINFOD_SERVERS_MAX + 1];
	struct debuginfod debuginfod;
};

/* ---- requests ---- */

static int
post(void *context, const struct delivery_destination *to, const struct format_output *formatted,
     void *transfer)
{
	struct uplink *uplink = context;
	const struct http_request request = {
		.url = formatted->url,
		.unix_socket = to->unix_socket,
		.headers = (const char *const *)formatted->headers,
		.body = formatted->body,
		.body_size = formatted->body_size,
		.timeout_ms = to->timeout_ms,
	};

	return http_client_start(uplink->client, &request, transfer);
}

static int
fetch(void *context, const char *build_id)
{
	struct uplink *uplink = context;

	return debuginfod_fetch(&uplink->debuginfod, build_id);
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

/* False: another server is being asked. */
static bool
take_debug_file(struct debuginfod *debuginfod, const struct http_answer *answer, struct network_answer *ret)
{
	*ret = (struct network_answer){.transfer = NULL};
	memcpy(ret->build_id, debuginfod->build_id, sizeof(ret->build_id));
	return debuginfod_take(debuginfod, answer, &ret->debug_file);
}

static bool
take(void *context, struct network_answer *ret)
{
	struct uplink *uplink = context;
	struct http_answer answer;

	while (http_client_take(uplink->client, &answer)) {
		if (answer.context != &uplink->debuginfod) {
			*ret = (struct network_answer){.transfer = answer.context};
			judge_http(&answer, &ret->delivery);
			return true;
		}
		if (take_debug_file(&uplink->debuginfod, &answer, ret))
			return true;
	}
	return false;
}

static bool
wait_for(void *context, int fd, int timeout_ms)
{
	struct uplink *uplink = context;

	return http_client_wait(uplink->client, fd, timeout_ms);
}

static bool
is_outdated(void *context)
{
	struct uplink *uplink = context;

	return http_client_is_outdated(uplink->client);
}

static size_t
report(void *context, const struct self_metrics *metrics)
{
	struct uplink *uplink = context;
	int error;

	return uplink->statsd_socket[0] ? statsd_send(uplink->statsd_socket, metrics, &error) : 0;
}

/* ---- before the sandbox ---- */

static int
make_client(struct uplink *uplink, const struct delivery_config *delivery,
	    char ret_problem[NETWORK_PROBLEM_MAX])
{
	const char *urls[DESTINATIONS_MAX + DEBUGINFOD_SERVERS_MAX + 1] = {NULL},
								     *sockets[DESTINATIONS_MAX + 2] = {NULL};
	const char *pem = (const char *)(delivery + 1);
	size_t url_count = 0, socket_count = 0;

	for (uint32_t i = 0; i < delivery->count; i++) {
		const struct delivery_destination *destination = &delivery->destination[i];

		if (destination->unix_socket[0])
			sockets[socket_count++] = destination->unix_socket;
		else if (destination->url[0])
			urls[url_count++] = destination->url;
	}
	for (size_t i = 0; uplink->debuginfod_servers[i]; i++)
		urls[url_count++] = uplink->debuginfod_servers[i];
	if (delivery->statsd_socket[0])
		sockets[socket_count++] = delivery->statsd_socket;
	if (url_count + socket_count == 0)
		return 0;
	const struct http_settings settings = {
		.proxy_http = delivery->proxy_http,
		.proxy_https = delivery->proxy_https,
		.no_proxy = delivery->no_proxy,
		.ca = pem,
		.ca_size = delivery->ca_size,
		.certificate = pem + delivery->ca_size,
		.certificate_size = delivery->certificate_size,
		.key = pem + delivery->ca_size + delivery->certificate_size,
		.key_size = delivery->key_size,
		.urls = urls,
		.unix_sockets = sockets,
	};
	int result = http_client_new(&settings, &uplink->client, ret_problem, NETWORK_PROBLEM_MAX);
	/* a bad certificate is no reason to write no files */
	return result == -EINVAL ? 0 : result;
}

int
network_open(const struct delivery_config *delivery, struct network *ret,
	     char ret_problem[NETWORK_PROBLEM_MAX])
{
	static struct uplink uplink;

	uplink.statsd_socket = delivery->statsd_socket;
	memcpy(uplink.debuginfod_urls, delivery->debuginfod_urls, sizeof(uplink.debuginfod_urls));
	debuginfod_servers(uplink.debuginfod_urls, uplink.debuginfod_servers);
	int result = make_client(&uplink, delivery, ret_problem);
	if (!uplink.client)
		return result;
	debuginfod_init(&uplink.debuginfod, uplink.client, uplink.debuginfod_servers);
	*ret = (struct network){
		.context = &uplink,
		.exceptions = http_client_exceptions(uplink.client),
		.format = format_request,
		.post = post,
		.fetch = fetch,
		.take = take,
		.wait = wait_for,
		.is_outdated = is_outdated,
		.report = report,
	};
	return 0;
}
