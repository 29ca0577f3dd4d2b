#pragma once
/* NO_PROXY, as curl and Go's net/http read it: whom we speak to without a proxy. */

#include <stdbool.h>
#include <stdint.h>

/* `list` is comma- or space-separated: "*" (everybody), a domain ("example.com" or ".example.com": that host
 * and all below), an address, or a range of addresses ("10.0.0.0/8", "fd00::/8"). Each may end in ":port".
 * `host` has no brackets. */
bool no_proxy_has(const char *list, const char *host, uint16_t port);
