/* All that needs files, other libraries or a right the sandbox takes away. */

#include "worker/export/http.h"

#include "worker/export/authorities.h"
#include "worker/export/http_client.h"
#include "worker/export/http_words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 8 /* kept open between requests */

/* 0 also when there is nothing to copy. */
static int
copy_text(const char *text, char **ret)
{
	*ret = text && *text ? strdup(text) : NULL;
	return text && *text && !*ret ? -ENOMEM : 0;
}

static int
copy_blob(const char *text, size_t size, struct curl_blob *ret)
{
	if (!text || !size)
		return 0;
	ret->data = malloc(size);
	if (!ret->data)
		return -ENOMEM;
	memcpy(ret->data, text, size);
	ret->len = size;
	ret->flags = CURL_BLOB_NOCOPY;
	return 0;
}

static void
watch(struct http_client *client, const char *path, enum watched_for what)
{
	if (client->watched_count < WATCHED_MAX)
		client->watched[client->watched_count++] = watched_file_now(path, what);
}

static int
take_identity(struct http_client *client, const struct http_settings *settings)
{
	int result = copy_blob(settings->ca, settings->ca_size, &client->identity.ca);

	if (result == 0)
		result = copy_blob(settings->certificate, settings->certificate_size,
				   &client->identity.certificate);
	if (result == 0)
		result = copy_blob(settings->key, settings->key_size, &client->identity.key);
	return result;
}

static void
take_system_authorities(struct http_client *client)
{
	const char *path;
	size_t size;
	char *text = authorities_read(&size, &path);

	if (!text)
		return; /* then no server is trusted, and each request says so */
	client->identity.ca = (struct curl_blob){text, size, CURL_BLOB_NOCOPY};
	watch(client, path, WATCHED_FOR_CHANGE);
}

static int
take_proxies(struct http_client *client, const struct http_settings *settings)
{
	int result = copy_text(settings->proxy_http, &client->proxies.http);

	if (result == 0)
		result = copy_text(settings->proxy_https, &client->proxies.https);
	if (result == 0)
		result = copy_text(settings->no_proxy, &client->proxies.no_proxy);
	return result;
}

static void
add_port(struct http_client *client, uint16_t port)
{
	for (size_t i = 0; i < client->port_count; i++)
		if (client->ports[i] == port)
			return;
	if (client->port_count < PORTS_MAX)
		client->ports[client->port_count++] = port;
}

static int
take_urls(struct http_client *client, const char *const *urls, bool *ret_has_tls, const char **ret_problem)
{
	for (; urls && *urls; urls++) {
		struct http_route route;
		int result = http_route_find(*urls, &client->proxies, &route, ret_problem);

		if (result < 0)
			return result;
		add_port(client, route.port);
		client->needs_names = client->needs_names || !resolver_knows(route.host);
		*ret_has_tls = *ret_has_tls || route.has_tls;
	}
	return 0;
}

static int
take_sockets(struct http_client *client, const char *const *paths)
{
	for (; paths && *paths && client->socket_count < SOCKETS_MAX; paths++) {
		size_t i = client->socket_count;
		int result = copy_text(*paths, &client->sockets[i]);

		if (result < 0)
			return result;
		if (!client->sockets[i])
			continue;
		client->watched_socket[i] = watched_file_now(*paths, WATCHED_FOR_REPLACEMENT);
		client->socket_count++;
	}
	return 0;
}

/* Only what the URLs need: a program that speaks to a Unix socket reads no list of authorities. */
static int
warm_up(struct http_client *client, bool has_tls, char *words)
{
	bool has_pem =
		client->identity.ca.len || client->identity.certificate.len || client->identity.key.len;

	tzset(); /* dates of certificates go through mktime(3), which looks for a time zone */
	if (client->needs_names) {
		resolver_prepare();
		for (size_t i = 0; resolver_files[i]; i++)
			watch(client, resolver_files[i], WATCHED_FOR_REPLACEMENT);
	}
	if (has_tls && !client->identity.ca.len)
		take_system_authorities(client);
	if (!has_tls && !has_pem)
		return 0;
	CURLcode code = http_handle_try_tls(&client->identity, words);
	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code != CURLE_OK && !words[0])
		snprintf(words, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
	return code == CURLE_OK ? 0 : -EINVAL;
}

static int
prepare(struct http_client *client, const struct http_settings *settings, char *words)
{
	const char *problem = "";
	bool has_tls = false;
	int result = take_identity(client, settings);

	if (result == 0)
		result = take_proxies(client, settings);
	if (result == 0)
		result = take_sockets(client, settings->unix_sockets);
	if (result == 0)
		result = take_urls(client, settings->urls, &has_tls, &problem);
	if (result == -EINVAL)
		snprintf(words, CURL_ERROR_SIZE, "%s", problem);
	return result < 0 ? result : warm_up(client, has_tls, words);
}

int
http_client_new(const struct http_settings *settings, struct http_client **ret, char *ret_problem,
		size_t problem_size)
{
	char words[CURL_ERROR_SIZE] = "";

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	(void)signal(SIGPIPE, SIG_IGN); /* a server that hangs up is an error of its request */
	struct http_client *client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	TAILQ_INIT(&client->transfers);
	client->multi = curl_multi_init();
	int result = client->multi ? prepare(client, settings, words) : -ENOMEM;
	if (result == 0)
		curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	if (result < 0) {
		http_client_free(client);
		http_words_from_text(words, strlen(words), NULL, ret_problem, problem_size);
		return result;
	}
	*ret = client;
	return 0;
}

struct landlock_exceptions
http_client_exceptions(const struct http_client *client)
{
	return (struct landlock_exceptions){
		.files = client->needs_names ? resolver_files : NULL,
		.unix_sockets = (const char *const *)client->sockets,
		.ports = client->ports,
		.port_count = client->port_count,
		.has_dns = client->needs_names,
	};
}

bool
http_client_is_outdated(const struct http_client *client)
{
	for (size_t i = 0; i < client->watched_count; i++)
		if (watched_file_is_outdated(&client->watched[i]))
			return true;
	for (size_t i = 0; client->was_refused && i < client->socket_count; i++)
		if (watched_file_is_outdated(&client->watched_socket[i]))
			return true;
	return false;
}

void
http_client_free(struct http_client *client)
{
	struct transfer *transfer;

	if (!client)
		return;
	while ((transfer = TAILQ_FIRST(&client->transfers)))
		http_transfer_free(client, transfer);
	curl_multi_cleanup(client->multi);
	for (size_t i = 0; i < client->socket_count; i++)
		free(client->sockets[i]);
	free(client->identity.ca.data);
	free(client->identity.certificate.data);
	free(client->identity.key.data);
	free(client->proxies.http);
	free(client->proxies.https);
	free(client->proxies.no_proxy);
	free(client);
}
