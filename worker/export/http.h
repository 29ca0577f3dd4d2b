#pragma once
/* HTTP requests through libcurl, several at a time, without blocking: the only user of libcurl. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;

/* All borrowed until http_client_new() returns. "" or NULL: none. */
struct http_settings {
	const char *proxy_http, *proxy_https, *no_proxy;
	const char *ca, *certificate, *key; /* PEM; without `ca`, the system's authorities */
	size_t ca_size, certificate_size, key_size;
	const char *const
		*urls; /* NULL-terminated: all that will ever be asked for (warm-up, Landlock ports) */
};

/* Before the sandbox: reads certificate authorities and resolver configuration, loads what libcurl, the TLS
 * library and the resolver would load later. 0, -ENOMEM, -EINVAL (PEM or proxy that libcurl refuses; the
 * reason is in ret_problem, one printable line). */
int http_client_new(const struct http_settings *settings, struct http_client **ret, char *ret_problem,
		    size_t problem_size);
void http_client_free(struct http_client *client); /* NULL is fine; requests that run are given up */

/* A POST. All borrowed until its answer was taken or the client is freed. */
struct http_request {
	const char *url;
	const char *unix_socket;    /* NULL or "": connect to the URL's host */
	const char *const *headers; /* "Name: value"; NULL-terminated */
	const void *body;
	size_t body_size;
	unsigned timeout_ms; /* for everything, from name look-up to the answer's last byte */
};

#define HTTP_WORDS_MAX 256
struct http_answer {
	void *context;          /* of http_client_start() */
	int status;             /* 0: there was none, and `words` says why */
	int64_t retry_after_ms; /* -1: the server said nothing of it; a date is converted */
	uint64_t sent_bytes;
	char words[HTTP_WORDS_MAX]; /* the start of the server's text, or libcurl's error; printable, one
				       line, never a header or a key of ours */
};

/* Starts a request. 0 or -ENOMEM. Redirects are not followed: a key must not go where nobody sent it. */
int http_client_start(struct http_client *client, const struct http_request *request, void *context);

/* Waits for `fd` (-1: none) to be readable, for network traffic, or for timeout_ms (-1: for ever). Whether fd
 * is readable (or closed). */
bool http_client_wait(struct http_client *client, int fd, int timeout_ms);

/* An answer that is complete; false: none is. */
bool http_client_take(struct http_client *client, struct http_answer *ret);

/* Whether the resolver's, name service's or certificate files were replaced since the warm-up, so that a
 * process with a sandbox made anew would see them and this one cannot: time to end and be started again. */
bool http_client_is_outdated(const struct http_client *client);
