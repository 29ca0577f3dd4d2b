/* One libcurl "multi" handle, one transfer per request. A transfer is in the list from its start until its
 * answer is taken; what cannot even start is complete at once. */

#include "worker/export/http.h"

#include "worker/base/memory_file.h"
#include "worker/export/http_client.h"
#include "worker/export/http_words.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MAX (64u << 10)   /* of a server's text that is read at all */
#define HEADERS_MAX (256u << 10) /* libcurl keeps them in memory */
#define WAIT_MAX_MS 3600000      /* curl_multi_poll() takes no "for ever" */

struct transfer {
	TAILQ_ENTRY(transfer) link;
	CURL *easy;
	struct curl_slist *headers, *addresses;
	struct http_sink *sink;
	bool has_overflown;         /* the sink's limit, or its disk */
	const char *const *secrets; /* the request's headers */
	struct http_route route;
	bool has_unix_socket, is_complete;
	bool has_head;                  /* the answer's headers are there, to the empty line */
	size_t head_received, received; /* bytes of the answer's headers, and of its text */
	char text[HTTP_TEXT_MAX], error[CURL_ERROR_SIZE];
	struct http_answer answer;
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

void
http_transfer_free(struct http_client *client, struct transfer *transfer)
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

/* What goes with another status than 200 is the server's explanation. */
static size_t
sink_text(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	struct http_sink *sink = transfer->sink;
	size_t length = size * count;
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return keep_text(bytes, size, count, data);
	if (length > sink->limit - sink->bytes ||
	    memory_file_write(sink->fd, (const uint8_t *)bytes, length) < 0) {
		transfer->has_overflown = true;
		return 0; /* ends the transfer */
	}
	sink->bytes += length;
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

static CURLcode
set_method(const struct transfer *transfer, const struct http_request *request)
{
	if (request->sink)
		return curl_easy_setopt(transfer->easy, CURLOPT_HTTPGET, 1L);
	CURLcode code =
		curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
	if (code == CURLE_OK)
		code = curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
					request->body_size ? request->body : "");
	return code;
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
		{CURLOPT_PRIVATE, transfer},        {CURLOPT_URL, request->url},
		{CURLOPT_UNIX_SOCKET_PATH, socket}, {CURLOPT_WRITEDATA, transfer},
		{CURLOPT_HEADERDATA, transfer},
	};
	CURLcode code = set_method(transfer, request);

	for (size_t i = 0; code == CURLE_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		code = curl_easy_setopt(transfer->easy, numbers[i].option, numbers[i].value);
	for (size_t i = 0; code == CURLE_OK && i < sizeof(pointers) / sizeof(pointers[0]); i++)
		code = curl_easy_setopt(transfer->easy, pointers[i].option, pointers[i].value);
	if (code == CURLE_OK)
		code = curl_easy_setopt(transfer->easy, CURLOPT_HEADERFUNCTION, note_header);
	if (code == CURLE_OK)
		code = curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION,
					request->sink ? sink_text : keep_text);
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
	transfer->sink = request->sink;
	transfer->has_unix_socket = request->unix_socket && *request->unix_socket;
	transfer->is_complete = true; /* so far libcurl knows nothing of it */
	TAILQ_INSERT_TAIL(&client->transfers, transfer, link);
	transfer->easy = http_handle_new(&client->identity, transfer->error);
	if (!transfer->easy || !set_request(transfer, request)) {
		http_transfer_free(client, transfer);
		return -ENOMEM;
	}
	const char *problem = set_route(client, transfer, request->url);
	if (problem) {
		say(transfer, transfer->route.host, problem);
		return 0;
	}
	if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
		http_transfer_free(client, transfer);
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

/* libcurl says of a refused connection how many milliseconds it took, and not that it was refused. */
static void
say_failure(struct transfer *transfer, CURLcode code)
{
	char text[HTTP_WORDS_MAX];
	long error = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
	if (code == CURLE_COULDNT_CONNECT && error > 0) {
		snprintf(text, sizeof(text), "cannot connect: %s", strerror((int)error));
		say(transfer, "", text);
		return;
	}
	say(transfer, "", transfer->error[0] ? transfer->error : curl_easy_strerror(code));
}

static void
complete(struct http_client *client, CURL *easy, CURLcode code)
{
	struct transfer *transfer;
	size_t kept;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	take_status(transfer);
	if (transfer->sink && transfer->answer.status == 200 && code != CURLE_OK)
		transfer->answer.status = 0; /* half a file is none */
	if (transfer->has_overflown) {
		say(transfer, "the file is too large", "");
	} else if (transfer->answer.status) {
		kept = transfer->received < sizeof(transfer->text) ? transfer->received
								   : sizeof(transfer->text);
		http_words_from_text(transfer->text, kept, transfer->secrets, transfer->answer.words,
				     sizeof(transfer->answer.words));
	} else {
		note_failure(client, transfer, code);
		say_failure(transfer, code);
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
		http_transfer_free(client, transfer);
		return true;
	}
	return false;
}
