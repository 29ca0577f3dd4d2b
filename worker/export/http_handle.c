/* Two tables. What is libcurl's default as well stands here all the same: it is what we rely on. */

#include "worker/export/http_handle.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
	CURLoption option;
	long value;
} numbers[] = {
	{CURLOPT_NOSIGNAL, 1}, /* no handler for a time-out, nor SIGPIPE's; the client ignores that one */
	{CURLOPT_POST, 1},
	{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS}, /* h2 where TLS agrees on it */
	{CURLOPT_HTTP09_ALLOWED, 0},                    /* bytes without a status line are no answer */
	/* a key goes to whom it was meant for */
	{CURLOPT_FOLLOWLOCATION, 0},
	{CURLOPT_SSL_VERIFYPEER, 1},
	{CURLOPT_SSL_VERIFYHOST, 2},
	{CURLOPT_PROXY_SSL_VERIFYPEER, 1},
	{CURLOPT_PROXY_SSL_VERIFYHOST, 2},
	{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	{CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	{CURLOPT_PROXYAUTH, CURLAUTH_BASIC},
	/* no file of the user's */
	{CURLOPT_NETRC, CURL_NETRC_IGNORED},
	/* addresses are given with each request; an older one must not make libcurl look for itself */
	{CURLOPT_DNS_CACHE_TIMEOUT, -1},
	{CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
};

static const struct {
	CURLoption option;
	const char *value;
} strings[] = {
	{CURLOPT_PROTOCOLS_STR, "http,https"},
	{CURLOPT_PROXY, ""}, /* not the environment's */
	{CURLOPT_NOPROXY, ""},
	/* not the folder either, which would be read while verifying */
	{CURLOPT_CAINFO, NULL},
	{CURLOPT_CAPATH, NULL},
	{CURLOPT_PROXY_CAINFO, NULL},
	{CURLOPT_PROXY_CAPATH, NULL},
	{CURLOPT_KEYPASSWD, ""}, /* an encrypted key is an error, not a question to the terminal */
};

static bool
set_identity(CURL *easy, const struct http_identity *identity)
{
	CURLcode code = CURLE_OK;

	if (identity->ca.len)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &identity->ca);
	if (code == CURLE_OK && identity->ca.len)
		code = curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO_BLOB, &identity->ca);
	if (code == CURLE_OK && identity->certificate.len)
		code = curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &identity->certificate);
	if (code == CURLE_OK && identity->key.len)
		code = curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &identity->key);
	return code == CURLE_OK;
}

static bool
set_all(CURL *easy, const struct http_identity *identity, char *error)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value) != CURLE_OK)
			return false;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (curl_easy_setopt(easy, strings[i].option, strings[i].value) != CURLE_OK)
			return false;
	error[0] = '\0';
	return curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) == CURLE_OK && set_identity(easy, identity);
}

CURL *
http_handle_new(const struct http_identity *identity, char *error)
{
	CURL *easy = curl_easy_init();

	if (easy && !set_all(easy, identity, error)) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

/* A datagram socket is connected without anybody being asked. */
static curl_socket_t
open_datagram_socket(void *nothing, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)nothing;
	(void)purpose;
	return socket(address->family, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* -1 is CURL_SOCKET_BAD */
}

/* Libcurl reads the authorities when it waits for a server's answer to its greeting, so it is let go that
 * far: the greeting is one datagram to the discard port (RFC 863) of our own host. */
CURLcode
http_handle_try_tls(const struct http_identity *identity, char *error)
{
	CURL *easy = http_handle_new(identity, error);

	if (!easy)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(easy, CURLOPT_URL, "https://127.0.0.1:9/");
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_datagram_socket);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 500L);
	CURLcode code = curl_easy_perform(easy);
	curl_easy_cleanup(easy);
	switch (code) {
	case CURLE_SSL_CACERT_BADFILE: /* libcurl's words are of the answer that did not come */
		snprintf(error, CURL_ERROR_SIZE, "no certificate authority in the PEM text");
		return code;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_SSL_CERTPROBLEM:
		return code;
	default:
		return CURLE_OK; /* nobody answers */
	}
}
