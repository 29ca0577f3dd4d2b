#pragma once
/* Whom a request connects to: the host of its URL, or a proxy. */

#include <stdbool.h>
#include <stdint.h>

struct http_proxies {
	char *http, *https, *no_proxy; /* as in struct http_settings; NULL: none */
};

#define HTTP_HOST_MAX 256

struct http_route {
	char host[HTTP_HOST_MAX]; /* no brackets around an address */
	uint16_t port;
	const char *proxy; /* borrowed; NULL: there is none, and `host` is the URL's own */
	bool has_tls;      /* with either */
};

/* 0, -ENOMEM, or -EINVAL with the reason in *ret_problem (static). */
int http_route_find(const char *url, const struct http_proxies *proxies, struct http_route *ret,
		    const char **ret_problem);
