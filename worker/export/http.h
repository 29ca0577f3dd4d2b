#pragma once
/* HTTP requests through libcurl, several at a time, without blocking: the only user of libcurl. (Except for
 * the look-up of a host's name, which blocks: worker/export/resolve.h.)
 *
 * http and https only, TLS 1.2 and newer, certificates always verified, no redirects, no proxy but the
 * settings', no file of the user's (netrc, cookies, curlrc) and no thread. */

#include "worker/base/landlock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;

/* All borrowed until http_client_new() returns. "" or NULL: none. */
struct http_settings {
	const char *proxy_http, *proxy_https, *no_proxy; /* http:// or https:// or host:port */
	const char *ca, *certificate, *key;              /* PEM; without `ca`, the system's authorities */
	size_t ca_size, certificate_size, key_size;
	/* NULL-terminated, or NULL: all that will ever be asked for (warm-up, what the sandbox leaves open)
	 */
	const char *const *urls; /* those with a Unix socket are not among them, unless also without */
	const char *const *unix_sockets; /* paths; also of sockets used without this client */
};

/* Before the sandbox: reads certificate authorities and resolver configuration, loads what libcurl, the TLS
 * library and the resolver would load later. SIGPIPE is ignored from here on, and RES_OPTIONS set. 0,
 * -ENOMEM, -EINVAL (a PEM, proxy or URL that libcurl refuses; the reason is in ret_problem, one printable
 * line). */
int http_client_new(const struct http_settings *settings, struct http_client **ret, char *ret_problem,
		    size_t problem_size);
void http_client_free(struct http_client *client); /* NULL is fine; requests that run are given up */

/* What the process's sandbox must leave open for the client: borrowed from it; `folders` is empty. */
struct landlock_exceptions http_client_exceptions(const struct http_client *client);

/* Where the text of a 200 is written to, from the descriptor's position on. */
struct http_sink {
	int fd;         /* borrowed */
	uint64_t limit; /* bytes; a longer text ends the request with status 0 */
	uint64_t bytes; /* written so far: begins with 0 */
};

/* A POST, or with `sink` a GET. All borrowed until its answer was taken or the client is freed. */
struct http_request {
	const char *url;
	const char *unix_socket;    /* NULL or "": connect to the URL's host */
	const char *const *headers; /* "Name: value", Content-Type among them; NULL-terminated */
	const void *body;
	size_t body_size;
	struct http_sink *sink; /* NULL: this is a POST */
	unsigned timeout_ms;    /* for everything but the name's look-up, to the answer's last byte */
};

#define HTTP_WORDS_MAX 256
struct http_answer {
	void *context;              /* of http_client_start() */
	int status;                 /* 0: there was none, and `words` says why */
	int64_t retry_after_ms;     /* -1: the server said nothing of it; a date is converted */
	uint64_t sent_bytes;        /* of the body */
	char words[HTTP_WORDS_MAX]; /* the start of the server's text, or libcurl's error; printable, one
				       line, never a header or a key of ours */
};

/* Starts a request. 0 or -ENOMEM. Redirects are not followed: a key must not go where nobody sent it. */
int http_client_start(struct http_client *client, const struct http_request *request, void *context);

/* Waits for `fd` (-1: none) to be readable, for network traffic, or for timeout_ms (-1: for ever); not at all
 * when an answer is complete. It may return early. Whether fd is readable (or closed). */
bool http_client_wait(struct http_client *client, int fd, int timeout_ms);

/* An answer that is complete; false: none is. */
bool http_client_take(struct http_client *client, struct http_answer *ret);

/* Whether files of the resolver or of certificates, or a socket that refused us, were replaced since the
 * warm-up, so that a process with a sandbox made anew would see them and this one cannot: time to end and be
 * started again. (What is changed in place, the resolver sees by itself.) */
bool http_client_is_outdated(const struct http_client *client);
