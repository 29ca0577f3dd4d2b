/* libcurl's own parser takes the URL apart: two parsers would not agree on every URL. */

#include "worker/export/http_route.h"

#include "worker/export/no_proxy.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
	char host[HTTP_HOST_MAX];
	uint16_t port;
	bool is_tls;
};

/* The name goes to the resolver as it is: international ones have an ASCII form, which is what to write. A
 * zone by name would be looked up among the interfaces, which the sandbox forbids. */
static const char *
take_host(const char *text, char *ret)
{
	size_t length = strlen(text);

	if (length >= 2 && text[0] == '[') {
		text++;
		length -= 2;
	}
	if (length == 0 || length >= HTTP_HOST_MAX)
		return "no host, or too long a one";
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return "a host must be ASCII (xn--...)";
	memcpy(ret, text, length);
	ret[length] = '\0';
	return NULL;
}

static bool
has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

static const char *
take_apart(CURLU *url, const char *text, struct place *ret)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	const char *problem = NULL;

	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		problem = "not a URL";
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		problem = "only http:// and https:// are spoken";
	else if (has_part(url, CURLUPART_ZONEID))
		problem = "an address must not name a network interface";
	else
		problem = take_host(host, ret->host);
	if (!problem) {
		ret->is_tls = strcmp(scheme, "https") == 0;
		ret->port = (uint16_t)strtoul(port, NULL, 10); /* checked by curl_url_set */
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	return problem;
}

/* "host:port" is an http proxy. */
static const char *
take_proxy_apart(CURLU *url, const char *text, struct place *ret)
{
	char with_scheme[HTTP_HOST_MAX + 512];

	if (strstr(text, "://"))
		return take_apart(url, text, ret);
	if ((size_t)snprintf(with_scheme, sizeof(with_scheme), "http://%s", text) >= sizeof(with_scheme))
		return "too long a proxy";
	return take_apart(url, with_scheme, ret);
}

static const char *
find(CURLU *url, const char *text, const struct http_proxies *proxies, struct http_route *ret)
{
	struct place place = {0};
	const char *problem = take_apart(url, text, &place);

	if (problem)
		return problem;
	const char *proxy = place.is_tls ? proxies->https : proxies->http;
	*ret = (struct http_route){.has_tls = place.is_tls};
	if (proxy && *proxy &&
	    !(proxies->no_proxy && no_proxy_has(proxies->no_proxy, place.host, place.port))) {
		ret->proxy = proxy;
		problem = take_proxy_apart(url, proxy, &place);
		ret->has_tls = ret->has_tls || place.is_tls;
	}
	memcpy(ret->host, place.host, sizeof(ret->host));
	ret->port = place.port;
	return problem;
}

int
http_route_find(const char *url, const struct http_proxies *proxies, struct http_route *ret,
		const char **ret_problem)
{
	CURLU *parsed = curl_url();
	struct http_route route;

	if (!parsed)
		return -ENOMEM;
	const char *problem = find(parsed, url, proxies, &route);
	curl_url_cleanup(parsed);
	if (problem) {
		*ret_problem = problem;
		return -EINVAL;
	}
	*ret = route;
	return 0;
}
