#pragma once
/* Names of hosts to addresses, as libcurl takes them. libcurl's own resolver starts a thread for each
 * look-up, which no role may; this one asks in the process itself, bounded by the options set below, from
 * /etc/hosts and DNS alone: glibc's other name services are libraries that would have to be loaded and do as
 * they like. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESOLVER_HOSTS 24              /* 8 destinations and their proxies, with room */
#define RESOLVER_HOST_MAX 256          /* RFC 1035: 255 bytes */
#define RESOLVER_ADDRESSES_MAX 512     /* "192.0.2.1,[2001:db8::1],..." */
#define RESOLVER_FRESH_MS 60000        /* then the name is looked up again */
#define RESOLVER_FAILED_AGAIN_MS 10000 /* a look-up blocks for up to 4 s per server: not for each request */

struct resolved_host {
	char name[RESOLVER_HOST_MAX];
	char addresses[RESOLVER_ADDRESSES_MAX]; /* "": never found */
	int64_t look_up_after_ms;               /* CLOCK_MONOTONIC */
	int error; /* of the last look-up: an EAI_ number of getaddrinfo(3), or 0 */
};

struct resolver {
	struct resolved_host host[RESOLVER_HOSTS];
	size_t count;
};

/* Before the sandbox, once: what later look-ups would load and read for the first time. */
void resolver_prepare(void);

/* Files that a look-up opens. NULL-terminated. */
extern const char *const resolver_files[];

/* Whether it is the text of an address: "192.0.2.1", "::1", without brackets. */
bool resolver_is_address(const char *host);

/* Whether it is that or localhost: nobody is asked. */
bool resolver_knows(const char *host);

/* The addresses of a host, comma-separated and borrowed until the next call; NULL when there are none, with
 * the reason in *ret_problem (borrowed, printable). What was found once outlives a server that fails. */
const char *resolver_find(struct resolver *resolver, const char *host, int64_t now_ms,
			  const char **ret_problem);

/* Nobody answered at this host's addresses: looked up again the next time. */
void resolver_doubt(struct resolver *resolver, const char *host);
