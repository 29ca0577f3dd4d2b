/* One libcurl "multi" handle, one transfer per request. A transfer is in the list from its start until its
 * answer is taken; what cannot even start is complete at once. */

#include "worker/export/http.h"

#include "worker/export/authorities.h"
#include "worker/export/http_handle.h"
#include "worker/export/http_route.h"
#include "worker/export/http_words.h"
#include "worker/export/resolve.h"
#include "worker/export/watched_files.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define ANSWER_MAX (64u << 10)   /* of a server's text that is read at all */
#define HEADERS_MAX (256u << 10) /* libcurl keeps them in memory */
#define CONNECTIONS_MAX 8        /* kept open between requests */
#define PORTS_MAX (RESOLVER_HOSTS + 1)
#define SOCKETS_MAX 16
#define WATCHED_MAX 8
#define WAIT_MAX_MS 3600000 /* curl_multi_poll() takes no "for ever" */
#define DNS_PORT 53

struct transfer {
	TAILQ_ENTRY(transfer) link;
	CURL *easy;
	struct curl_slist *headers, *addresses;
	const char *const *secrets; /* the request's headers */
	struct http_route route;
	bool has_unix_socket, is_complete;
	bool has_head;                  /* the answer's headers are there, to the empty line */
	size_t head_received, received; /* bytes of the answer's headers, and of its text */
	char text[HTTP_TEXT_MAX], error[CURL_ERROR_SIZE];
	struct http_answer answer;
};

struct http_client {
	CURLM *multi;
	TAILQ_HEAD(, transfer) transfers;
	struct http_identity identity;
	struct http_proxies proxies;
	struct resolver resolver;
	bool needs_names; /* some host is not known without asking */
	uint16_t ports[PORTS_MAX];
	size_t port_count;
	char *sockets[SOCKETS_MAX + 1];
	size_t socket_count;
	struct watched_file watched[WATCHED_MAX], watched_socket[SOCKETS_MAX];
	size_t watched_count;
	bool was_refused; /* a socket said EACCES: perhaps it is another one than the sandbox knows */
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* ---- before the sandbox ---- */

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

/* ---- requests ---- */

static void
transfer_free(struct http_client *client, struct transfer *transfer)
{
	TAILQ_REMOVE(&client->transfers, transfer, link);
	if (!transfer->is_complete)
		curl_multi_remove_handle(client->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy); /* before the lists that it refers to */
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->addresses);
	free(transfer);
}

/* Each line of an answer's head; several heads when the first ones are provisional. */
static size_t
note_header(char *line, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	size_t length = size * count;

	transfer->head_received += length;
	transfer->has_head = length <= 2 && (line[0] == '\r' || line[0] == '\n');
	return transfer->head_received > HEADERS_MAX ? 0 : length;
}

static size_t
keep_text(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	size_t length = size * count, at = transfer->received;

	if (length > ANSWER_MAX - at)
		return 0; /* ends the transfer; its status is an answer all the same */
	if (at < sizeof(transfer->text)) {
		size_t room = sizeof(transfer->text) - at;

		memcpy(transfer->text + at, bytes, length < room ? length : room);
	}
	transfer->received += length;
	return length;
}

/* Takes the list over, or frees it. */
static bool
append(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (longer)
		*list = longer;
	return longer;
}

/* "Expect: 100-continue" would cost a round trip, or a second with a server that does not know it. */
static bool
set_headers(struct transfer *transfer, const struct http_request *request)
{
	for (const char *const *header = request->headers; header && *header; header++)
		if (!append(&transfer->headers, *header))
			return false;
	return append(&transfer->headers, "Expect:") &&
	       curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

static bool
set_request(struct transfer *transfer, const struct http_request *request)
{
	const char *const socket =
		request->unix_socket && *request->unix_socket ? request->unix_socket : NULL;
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_TIMEOUT_MS, (long)request->timeout_ms},
		/* one address of several may be dead: leave time for another */
		{CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms / 2},
	};
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {
		{CURLOPT_PRIVATE, transfer},
		{CURLOPT_URL, request->url},
		{CURLOPT_UNIX_SOCKET_PATH, socket},
		{CURLOPT_POSTFIELDS, request->body_size ? request->body : ""},
		{CURLOPT_WRITEDATA, transfer},
		{CURLOPT_HEADERDATA, transfer},
	};
	CURLcode code =
		curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);

	for (size_t i = 0; code == CURLE_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		code = curl_easy_setopt(transfer->easy, numbers[i].option, numbers[i].value);
	for (size_t i = 0; code == CURLE_OK && i < sizeof(pointers) / sizeof(pointers[0]); i++)
		code = curl_easy_setopt(transfer->easy, pointers[i].option, pointers[i].value);
	if (code == CURLE_OK)
		code = curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, note_header);
	if (code == CURLE_OK)
		code = curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, keep_text);
	return code == CURLE_OK && set_headers(transfer, request);
}

/* libcurl gets the addresses with the request. NULL, or what is wrong. */
static const char *
set_addresses(struct http_client *client, struct transfer *transfer)
{
	char entry[HTTP_HOST_MAX + 8 + RESOLVER_ADDRESSES_MAX];
	const char *problem = NULL;
	const struct http_route *route = &transfer->route;

	if (resolver_is_address(route->host))
		return NULL;
	const char *addresses = resolver_find(&client->resolver, route->host, now_ms(), &problem);
	if (!addresses)
		return problem;
	snprintf(entry, sizeof(entry), "%s:%u:%s", route->host, route->port, addresses);
	if (!append(&transfer->addresses, entry) ||
	    curl_easy_setopt(transfer->easy, CURLOPT_RESOLVE, transfer->addresses) != CURLE_OK)
		return "out of memory";
	return NULL;
}

static const char *
set_route(struct http_client *client, struct transfer *transfer, const char *url)
{
	const char *problem = "out of memory";

	if (http_route_find(url, &client->proxies, &transfer->route, &problem) < 0)
		return problem;
	if (transfer->has_unix_socket)
		return NULL;
	const char *proxy = transfer->route.proxy;
	/* libcurl's default for a proxy is port 1080, everybody else's that of its scheme */
	if (proxy &&
	    (curl_easy_setopt(transfer->easy, CURLOPT_PROXY, proxy) != CURLE_OK ||
	     curl_easy_setopt(transfer->easy, CURLOPT_PROXYPORT, (long)transfer->route.port) != CURLE_OK))
		return problem;
	return set_addresses(client, transfer);
}

/* `host`: whose address is missing, or "". */
static void
say(struct transfer *transfer, const char *host, const char *why)
{
	char text[HTTP_TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s%s", *host ? "no address of " : "", host, *host ? ": " : "", why);
	http_words_from_text(text, strlen(text), transfer->secrets, transfer->answer.words,
			     sizeof(transfer->answer.words));
}

int
http_client_start(struct http_client *client, const struct http_request *request, void *context)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	if (!transfer)
		return -ENOMEM;
	transfer->answer = (struct http_answer){.context = context, .retry_after_ms = -1};
	transfer->secrets = request->headers;
	transfer->has_unix_socket = request->unix_socket && *request->unix_socket;
	transfer->is_complete = true; /* so far libcurl knows nothing of it */
	TAILQ_INSERT_TAIL(&client->transfers, transfer, link);
	transfer->easy = http_handle_new(&client->identity, transfer->error);
	if (!transfer->easy || !set_request(transfer, request)) {
		transfer_free(client, transfer);
		return -ENOMEM;
	}
	const char *problem = set_route(client, transfer, request->url);
	if (problem) {
		say(transfer, transfer->route.host, problem);
		return 0;
	}
	if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
		transfer_free(client, transfer);
		return -ENOMEM;
	}
	transfer->is_complete = false;
	return 0;
}

/* Headers that came are an answer, whatever became of the text behind them: the server has decided. */
static void
take_status(struct transfer *transfer)
{
	struct http_answer *answer = &transfer->answer;
	long status = 0;
	curl_off_t retry_after_s = 0, sent = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	answer->status = transfer->has_head && status >= 200 ? (int)status : 0;
	answer->sent_bytes = (uint64_t)sent;
	if (retry_after_s > 0 && retry_after_s < INT_MAX)
		answer->retry_after_ms = retry_after_s * 1000;
}

static void
note_failure(struct http_client *client, struct transfer *transfer, CURLcode code)
{
	long error = 0;

	if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT)
		resolver_doubt(&client->resolver, transfer->route.host);
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && transfer->has_unix_socket && error == EACCES)
		client->was_refused = true;
}

static void
complete(struct http_client *client, CURL *easy, CURLcode code)
{
	struct transfer *transfer;
	size_t kept;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	take_status(transfer);
	if (transfer->answer.status) {
		kept = transfer->received < sizeof(transfer->text) ? transfer->received
								   : sizeof(transfer->text);
		http_words_from_text(transfer->text, kept, transfer->secrets, transfer->answer.words,
				     sizeof(transfer->answer.words));
	} else {
		note_failure(client, transfer, code);
		say(transfer, "", transfer->error[0] ? transfer->error : curl_easy_strerror(code));
	}
	curl_multi_remove_handle(client->multi, easy);
	transfer->is_complete = true;
}

static void
perform(struct http_client *client)
{
	int running, left;
	CURLMsg *message;

	(void)curl_multi_perform(client->multi, &running); /* its errors are of memory: requests time out */
	while ((message = curl_multi_info_read(client->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			complete(client, message->easy_handle, message->data.result);
}

static bool
has_complete(const struct http_client *client)
{
	const struct transfer *transfer;

	TAILQ_FOREACH(transfer, &client->transfers, link)
	if (transfer->is_complete)
		return true;
	return false;
}

static bool
is_readable(int fd, int timeout_ms)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};

	return poll(&wanted, 1, timeout_ms) > 0;
}

bool
http_client_wait(struct http_client *client, int fd, int timeout_ms)
{
	struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};

	if (TAILQ_EMPTY(&client->transfers))
		return is_readable(fd, timeout_ms);
	perform(client); /* what was just started has something to wait for only then */
	if (has_complete(client))
		timeout_ms = 0;
	(void)curl_multi_poll(client->multi, &extra, fd >= 0 ? 1 : 0,
			      timeout_ms < 0 ? WAIT_MAX_MS : timeout_ms, NULL);
	perform(client);
	return is_readable(fd, 0); /* libcurl does not tell a hang-up */
}

bool
http_client_take(struct http_client *client, struct http_answer *ret)
{
	struct transfer *transfer;

	TAILQ_FOREACH(transfer, &client->transfers, link)
	if (transfer->is_complete) {
		*ret = transfer->answer;
		transfer_free(client, transfer);
		return true;
	}
	return false;
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
		transfer_free(client, transfer);
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
