/* getaddrinfo(3) of glibc with a short memory: fresh answers are not asked for again, old ones serve while
 * nobody answers. */

#include "worker/export/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* resolv.conf(5); read whenever glibc reads resolv.conf, so it stays in the environment. */
#define RESOLVER_OPTIONS "timeout:2 attempts:2"
/* RFC 1035, 2.3.4: a label has at most 63 bytes. This one is no question that could be sent to anybody. */
#define TOO_LONG_LABEL "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

const char *const resolver_files[] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", NULL,
};

static const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

void
resolver_prepare(void)
{
	struct addrinfo *none = NULL;

	(void)setenv("RES_OPTIONS", RESOLVER_OPTIONS, 1); /* out of memory: glibc's 5 s, no harm */
	(void)__nss_configure_lookup("hosts", "files dns");
	/* both are asked, neither needs the network to say no */
	if (getaddrinfo(TOO_LONG_LABEL, NULL, &wanted, &none) == 0)
		freeaddrinfo(none);
}

/* RFC 6761, 6.3: localhost and all names below are the loopback addresses, whatever DNS says. */
static bool
is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host), name_length = sizeof(name) - 1;

	if (length < name_length || strcasecmp(host + length - name_length, name) != 0)
		return false;
	return length == name_length || host[length - name_length - 1] == '.';
}

bool
resolver_is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

bool
resolver_knows(const char *host)
{
	return resolver_is_address(host) || is_localhost(host);
}

/* IPv6 addresses in brackets: their colons would end a field of libcurl's. */
static bool
add_address(struct resolved_host *host, const struct addrinfo *info)
{
	bool is_6 = info->ai_family == AF_INET6;
	const void *address =
		is_6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)info->ai_addr)->sin6_addr
		     : (const void *)&((const struct sockaddr_in *)(const void *)info->ai_addr)->sin_addr;
	char text[INET6_ADDRSTRLEN];
	size_t length = strlen(host->addresses), room = sizeof(host->addresses) - length;

	if (!inet_ntop(info->ai_family, address, text, sizeof(text)))
		return false;
	int written = snprintf(host->addresses + length, room, "%s%s%s%s", length ? "," : "", is_6 ? "[" : "",
			       text, is_6 ? "]" : "");
	if ((size_t)written < room)
		return true;
	host->addresses[length] = '\0'; /* the first ones are enough */
	return false;
}

static void
look_up(struct resolved_host *host, int64_t now_ms)
{
	struct addrinfo *found = NULL;

	host->error = getaddrinfo(host->name, NULL, &wanted, &found);
	host->look_up_after_ms = now_ms + (host->error ? RESOLVER_FAILED_AGAIN_MS : RESOLVER_FRESH_MS);
	if (host->error)
		return;
	host->addresses[0] = '\0';
	for (const struct addrinfo *info = found; info; info = info->ai_next)
		if ((info->ai_family == AF_INET || info->ai_family == AF_INET6) && !add_address(host, info))
			break;
	freeaddrinfo(found);
}

static struct resolved_host *
known(struct resolver *resolver, const char *name)
{
	for (size_t i = 0; i < resolver->count; i++)
		if (strcasecmp(resolver->host[i].name, name) == 0)
			return &resolver->host[i];
	return NULL;
}

static struct resolved_host *
add(struct resolver *resolver, const char *name)
{
	if (resolver->count == RESOLVER_HOSTS || strlen(name) >= RESOLVER_HOST_MAX)
		return NULL;
	struct resolved_host *host = &resolver->host[resolver->count++];
	*host = (struct resolved_host){.look_up_after_ms = INT64_MIN};
	strcpy(host->name, name);
	return host;
}

const char *
resolver_find(struct resolver *resolver, const char *name, int64_t now_ms, const char **ret_problem)
{
	if (is_localhost(name))
		return "127.0.0.1,[::1]";
	struct resolved_host *host = known(resolver, name);
	if (!host)
		host = add(resolver, name);
	if (!host) {
		*ret_problem = "too many hosts, or too long a name";
		return NULL;
	}
	if (now_ms >= host->look_up_after_ms)
		look_up(host, now_ms);
	if (host->addresses[0])
		return host->addresses;
	*ret_problem = gai_strerror(host->error);
	return NULL;
}

void
resolver_doubt(struct resolver *resolver, const char *name)
{
	struct resolved_host *host = known(resolver, name);

	if (host && host->error == 0)
		host->look_up_after_ms = INT64_MIN;
}
