#pragma once
/* Inside of worker/export/http.h: what worker/export/http_setup.c makes before the sandbox, and
 * worker/export/http.c uses within. */

#include "worker/export/http_handle.h"
#include "worker/export/http_route.h"
#include "worker/export/resolve.h"
#include "worker/export/watched_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define PORTS_MAX (RESOLVER_HOSTS + 1)
#define SOCKETS_MAX 16
#define WATCHED_MAX 8

struct transfer;

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

/* Gives a request up, whatever state it is in. */
void http_transfer_free(struct http_client *client, struct transfer *transfer);
