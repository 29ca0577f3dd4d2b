#pragma once
/* The URLs of destinations: http and https only. Everything borrows from the text. */

#include <stdbool.h>
#include <stddef.h>

struct url_part {
	const char *at;
	size_t length;
};

struct url {
	bool is_https;
	struct url_part userinfo;  /* "user:password", percent-encoded; secret */
	struct url_part authority; /* "host[:port]", brackets around an IPv6 address */
	struct url_part path;      /* "" or "/..." without trailing slashes */
	struct url_part query;     /* "" or "?..."; may be secret */
};

/* NULL, or what is wrong with it ("names no host"): the text itself is not to be repeated, it may hold a
 * password. */
const char *url_parse(const char *text, struct url *ret);

/* "host:port" or "[::1]:port" alone, port included: NULL or what is wrong. */
const char *url_check_authority(const char *text, size_t length, bool needs_port);

/* As it may be shown: what is before an '@' and behind a '?' replaced. Whatever the text is. */
void url_print_without_secrets(const char *text, int fd);
