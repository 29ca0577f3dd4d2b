/* A strict reading of RFC 3986, less what no destination needs. */

#include "launcher/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_host_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
	       c == '_';
}

static bool
is_address_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

static bool
is_port(const char *text, size_t length)
{
	unsigned int number = 0;

	for (size_t i = 0; i < length; i++) {
		if (!is_digit(text[i]) || number > 65535)
			return false;
		number = number * 10 + (unsigned int)(text[i] - '0');
	}
	return number >= 1 && number <= 65535;
}

const char *
url_check_authority(const char *text, size_t length, bool needs_port)
{
	bool is_address = length > 0 && text[0] == '[';
	size_t host = is_address ? 1 : 0;

	while (host < length &&
	       (is_address ? is_address_character(text[host]) : is_host_character(text[host])))
		host++;
	if (host == (is_address ? 1 : 0))
		return "names no host";
	if (is_address && (host == length || text[host++] != ']'))
		return "has an address that does not end in ']'";
	if (host == length)
		return needs_port ? "names no port" : NULL;
	if (text[host] != ':')
		return "has a character that no host name has";
	return is_port(text + host + 1, length - host - 1) ? NULL : "has a port that is not 1 to 65535";
}

static struct url_part
part_of(const char *at, size_t length)
{
	return (struct url_part){at, length};
}

const char *
url_parse(const char *text, struct url *ret)
{
	struct url url = {.is_https = strncasecmp(text, "https://", 8) == 0};
	const char *at = text + (url.is_https ? 8 : 7);

	if (!url.is_https && strncasecmp(text, "http://", 7) != 0)
		return "does not begin with http:// or https://";
	if (at[strcspn(at, " \"<>\\^`{|}")])
		return "has a character that no URL may hold";
	if (strchr(at, '#'))
		return "has a #fragment, which is never sent";

	url.authority = part_of(at, strcspn(at, "/?"));
	for (size_t i = url.authority.length; i > 0; i--) {
		if (at[i - 1] != '@')
			continue;
		url.userinfo = part_of(at, i - 1);
		url.authority = part_of(at + i, url.authority.length - i);
		break;
	}
	const char *problem = url_check_authority(url.authority.at, url.authority.length, false);
	if (problem)
		return problem;
	at = url.authority.at + url.authority.length;
	url.path = part_of(at, strcspn(at, "?"));
	url.query = part_of(at + url.path.length, strlen(at + url.path.length));
	while (url.path.length > 0 && at[url.path.length - 1] == '/')
		url.path.length--;
	*ret = url;
	return NULL;
}

void
url_print_without_secrets(const char *text, int fd)
{
	const char *at = strrchr(text, '@'), *scheme = strstr(text, "://");

	if (at) {
		if (scheme && scheme < at)
			dprintf(fd, "%.*s", (int)(scheme + 3 - text), text);
		dprintf(fd, "(not shown)@");
		text = at + 1;
	}
	dprintf(fd, "%.*s%s", (int)strcspn(text, "?"), text, strchr(text, '?') ? "?(not shown)" : "");
}
