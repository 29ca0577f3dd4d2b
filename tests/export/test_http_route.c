/* Whom a request connects to, and what is refused before anything is. */

#include "worker/export/http_route.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char plain[] = "proxy.test:3128", safe[] = "https://user:secret@proxy.test",
	    exempt[] = "exempt.test,10.0.0.0/8";
static const struct http_proxies none, both = {plain, safe, exempt};

static void
test_routes(void **state)
{
	static const struct {
		const char *url;
		const struct http_proxies *proxies;
		const char *host;
		uint16_t port;
		const char *proxy;
		bool has_tls;
	} cases[] = {
		{"http://localhost/x", &none, "localhost", 80, NULL, false},
		{"https://intake.test/x?y=z", &none, "intake.test", 443, NULL, true},
		{"HTTP://127.0.0.1:8126", &none, "127.0.0.1", 8126, NULL, false},
		{"https://[::1]:8126/", &none, "::1", 8126, NULL, true},
		{"http://user:secret@host.test:1/", &none, "host.test", 1, NULL, false},
		{"http://a.test/", &both, "proxy.test", 3128, plain, false},
		{"https://a.test/", &both, "proxy.test", 443, safe, true},
		{"http://exempt.test:99/", &both, "exempt.test", 99, NULL, false},
		{"https://10.1.2.3/", &both, "10.1.2.3", 443, NULL, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_route route;
		const char *problem = NULL;

		if (http_route_find(cases[i].url, cases[i].proxies, &route, &problem) != 0)
			fail_msg("%s: %s", cases[i].url, problem);
		assert_string_equal(route.host, cases[i].host);
		assert_int_equal(route.port, cases[i].port);
		assert_ptr_equal(route.proxy, cases[i].proxy);
		assert_int_equal(route.has_tls, cases[i].has_tls);
	}
}

static void
test_refused(void **state)
{
	static char socks[] = "socks5://localhost:1080", empty[] = "http://";
	static const struct http_proxies with_socks = {.http = socks}, without_host = {.http = empty};
	static const struct {
		const char *url;
		const struct http_proxies *proxies;
	} cases[] = {
		{"", &none},
		{"localhost:8126", &none},
		{"/run/apm.socket", &none},
		{"unix:///run/apm.socket", &none},
		{"ftp://localhost/", &none},
		{"file:///etc/passwd", &none},
		{"https://", &none},
		{"https://a b/", &none},
		{"http://host:65536/", &none},
		{"http://host:port/", &none},
		{"http://b\xc3\xbc"
		 "cher.test/",
		 &none},
		{"http://[fe80::1%25eth0]/", &none},
		{"http://[fe80::1%25lo]/", &none},
		{"http://a.test/", &with_socks},
		{"http://a.test/", &without_host},
	};
	static char long_url[400] = "http://";

	(void)state;
	memset(long_url + 7, 'a', sizeof(long_url) - 8);
	for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_last = i == sizeof(cases) / sizeof(cases[0]);
		const char *url = is_last ? long_url : cases[i].url, *problem = NULL;
		struct http_route route = {.host = "as before"};

		if (http_route_find(url, is_last ? &none : cases[i].proxies, &route, &problem) != -EINVAL)
			fail_msg("%s was taken", url);
		assert_non_null(problem);
		assert_string_equal(route.host, "as before");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
