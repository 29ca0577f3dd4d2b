/* One entry after the other, as spans of the list: nothing is copied but addresses. */

#include "worker/export/no_proxy.h"

#include "policy/span.h"

#include <arpa/inet.h>
#include <strings.h>

static bool
is_separator(char c)
{
	return c == ',' || is_blank(c);
}

static struct span
take_entry(const char **list)
{
	while (is_separator(**list))
		++*list;
	struct span entry = {.at = *list};
	while (**list && !is_separator(**list)) {
		++*list;
		entry.length++;
	}
	return entry;
}

/* Family and bytes of an address; 0 when it is none. */
static int
parse_address(struct span text, uint8_t ret[static 16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.length >= 2 && text.at[0] == '[' && text.at[text.length - 1] == ']')
		text = (struct span){text.at + 1, text.length - 2};
	if (text.length >= sizeof(copy))
		return 0;
	memcpy(copy, text.at, text.length);
	copy[text.length] = '\0';
	return inet_pton(AF_INET, copy, ret) == 1    ? AF_INET
	       : inet_pton(AF_INET6, copy, ret) == 1 ? AF_INET6
						     : 0;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* An address, or a range with "/bits". */
static bool
is_in_range(struct span entry, const char *host)
{
	uint8_t base[16], address[16];
	struct span rest = entry, prefix = span_take(&rest, '/');
	int family = parse_address(prefix, base);
	uint32_t bits = family == AF_INET ? 32 : 128;

	if (!family || family != parse_address((struct span){host, strlen(host)}, address))
		return false;
	uint32_t most = bits;
	if (rest.at && (span_number(rest, &bits) < 0 || bits > most))
		return false;
	return same_bits(base, address, bits);
}

/* Names only: the end of an address is no domain. */
static bool
is_below(struct span domain, const char *host)
{
	size_t length = strlen(host);
	uint8_t address[16];

	if (parse_address((struct span){host, length}, address))
		return false;

	if (length && host[length - 1] == '.')
		length--; /* of a name that is complete (RFC 1034, 3.1) */
	if (domain.length && domain.at[0] == '.')
		domain = (struct span){domain.at + 1, domain.length - 1};
	if (domain.length == 0 || domain.length > length)
		return false;
	const char *end = host + length - domain.length;
	return strncasecmp(end, domain.at, domain.length) == 0 && (end == host || end[-1] == '.');
}

/* Cuts ":port" off, of anything but a bare IPv6 address. 0: it names none; -1: not a port at all. */
static int
take_port(struct span *entry)
{
	size_t colons = 0, last = 0;
	uint32_t port;

	for (size_t i = 0; i < entry->length; i++)
		if (entry->at[i] == ':') {
			colons++;
			last = i;
		}
	bool has_brackets = entry->length && entry->at[0] == '[';
	if (colons == 0 || (has_brackets ? entry->at[last - 1] != ']' : colons > 1))
		return 0;
	if (span_number((struct span){entry->at + last + 1, entry->length - last - 1}, &port) < 0 ||
	    port > UINT16_MAX)
		return -1;
	entry->length = last;
	return (int)port;
}

bool
no_proxy_has(const char *list, const char *host, uint16_t port)
{
	for (;;) {
		struct span entry = take_entry(&list);

		if (entry.length == 0)
			return false;
		int its_port = take_port(&entry);
		if (its_port != 0 && its_port != port)
			continue;
		if (span_is(entry, "*") || is_in_range(entry, host) || is_below(entry, host))
			return true;
	}
}
