/* Whom NO_PROXY exempts, as tables. */

#include "worker/export/no_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_entries(void **state)
{
	static const struct {
		const char *list, *host;
		uint16_t port;
		bool has;
	} cases[] = {
		{"", "example.com", 80, false},
		{" , ,", "example.com", 80, false},
		{"*", "example.com", 80, true},
		{"a.test,*", "::1", 80, true},
		/* names: themselves and what is below */
		{"example.com", "example.com", 80, true},
		{"example.com", "EXAMPLE.com.", 80, true},
		{"example.com", "www.example.com", 80, true},
		{".example.com", "www.example.com", 80, true},
		{".example.com", "example.com", 80, true},
		{"example.com", "notexample.com", 80, false},
		{"example.com", "example.com.evil.test", 80, false},
		{"www.example.com", "example.com", 80, false},
		{"a.test, b.test\tc.test", "c.test", 80, true},
		{".", "example.com", 80, false},
		{"com", "example.com", 80, true},
		/* ports */
		{"example.com:8126", "example.com", 8126, true},
		{"example.com:8126", "example.com", 80, false},
		{"example.com:0x50", "example.com", 80, false},
		{"example.com:", "example.com", 80, false},
		{"example.com:65536", "example.com", 0, false},
		{"10.0.0.1:80", "10.0.0.1", 80, true},
		{"[::1]:80", "::1", 80, true},
		{"[::1]:80", "::1", 81, false},
		{"*:443", "example.com", 443, true},
		{"*:443", "example.com", 80, false},
		/* addresses */
		{"127.0.0.1", "127.0.0.1", 80, true},
		{"127.0.0.1", "127.0.0.10", 80, false},
		{"0.0.1", "127.0.0.1", 80, false}, /* the end of an address is no domain */
		{"::1", "::1", 80, true},
		{"[::1]", "::1", 80, true},
		{"::1", "0:0:0:0:0:0:0:1", 80, true},
		{"::1", "::2", 80, false},
		/* ranges */
		{"10.0.0.0/8", "10.255.1.2", 80, true},
		{"10.0.0.0/8", "11.0.0.0", 80, false},
		{"10.1.2.128/25", "10.1.2.255", 80, true},
		{"10.1.2.128/25", "10.1.2.127", 80, false},
		{"0.0.0.0/0", "192.0.2.1", 80, true},
		{"0.0.0.0/0", "::1", 80, false},
		{"10.0.0.0/33", "10.0.0.0", 80, false},
		{"10.0.0.0/", "10.0.0.0", 80, false},
		{"fd00::/8", "fd12::1", 80, true},
		{"fd00::/8", "fe80::1", 80, false},
		{"fd00::/129", "fd00::", 80, false},
		{"10.0.0.0/8", "example.com", 80, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (no_proxy_has(cases[i].list, cases[i].host, cases[i].port) != cases[i].has)
			fail_msg("'%s' and %s port %u (row %zu)", cases[i].list, cases[i].host, cases[i].port,
				 i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
