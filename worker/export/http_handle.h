#pragma once
/* What every request of ours is, whatever it asks for: the rules of worker/export/http.h as options of
 * libcurl. */

#include <curl/curl.h>

/* Kept as long as a handle made with it. */
struct http_identity {
	struct curl_blob ca, certificate, key; /* PEM; size 0: none */
};

/* A POST that verifies whom it speaks to, and whose words go to `error` (CURL_ERROR_SIZE bytes). NULL: out of
 * memory, or a libcurl that lacks what we rely on. */
CURL *http_handle_new(const struct http_identity *identity, char *error);

/* Does once what connections do first with the TLS library, reading the PEM texts included; nothing leaves
 * the host. CURLE_OK, or what is wrong with the PEM texts, with the words in `error`. */
CURLcode http_handle_try_tls(const struct http_identity *identity, char *error);
