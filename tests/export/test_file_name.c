/* Names say service, process and time as strftime(3) would, and are names of one file in one folder. */

#include "worker/export/file_name.h"

#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SECOND 1000000000ll
#define NAME_MAX_BYTES 255 /* of Linux file systems */

static void
expect_date(time_t seconds)
{
	char name[256], date[64], expected[256] = "svc-42-";
	struct tm utc;

	assert_non_null(gmtime_r(&seconds, &utc));
	assert_true(strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &utc) > 0);
	strcat(strcat(expected, date), "-7.pprof");
	export_file_name("svc", 42, seconds * SECOND + 999999999, 7, name, sizeof(name));
	assert_string_equal(name, expected);
}

static void
test_dates(void **state)
{
	static const time_t special[] = {
		0,          86399,      86400,      951782399,  951782400, /* 2000-02-29: a leap year after
									      all */
		951868799,  951868800,  1078012799, 1078012800, 1078099200, 4107542399, /* 2100-02-28 */
		4107542400, 1709164800, 1709251200, 1735689599, 1735689600, 2147483647,
		2147483648, 9223372035, /* the last whole second that fits in nanoseconds, 2262-04-11 */
	};
	uint64_t seed = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		expect_date(special[i]);
	for (time_t day = 0; day < 106751; day++) /* the last second of each day until 2262 */
		expect_date(day * 86400 + 86399);
	for (int i = 0; i < 50000; i++)
		expect_date((time_t)random_below(&seed, 9223372035));
}

static void
test_services(void **state)
{
	static const struct {
		const char *service, *shown;
	} cases[] = {
		{"web", "web"},
		{"my service (v2)", "my service (v2)"},
		{"../../etc/passwd", "_._.._etc_passwd"},
		{"..", "_."},
		{".hidden", "_hidden"},
		{"a.b.c", "a.b.c"},
		{"a/b", "a_b"},
		{"a\nb\x7f\x01", "a_b__"},
		{"M\xc3\xbcnchen", "M\xc3\xbcnchen"},
		{"%s%n", "%s%n"},
		{"", ""},
	};
	char name[256], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcat(strcpy(expected, cases[i].shown), "-1-19700101T000000Z-0.pprof");
		export_file_name(cases[i].service, 1, 0, 0, name, sizeof(name));
		assert_string_equal(name, expected);
	}
}

/* Every service makes one path element of bounded length. */
static void
test_any_service(void **state)
{
	char service[300], name[300];
	uint64_t seed = 6;

	(void)state;
	for (int run = 0; run < 20000; run++) {
		size_t length = random_below(&seed, sizeof(service));

		for (size_t i = 0; i < length; i++)
			service[i] = (char)(1 + random_below(&seed, 255));
		service[length] = 0;
		export_file_name(service, UINT32_MAX, INT64_MAX, UINT64_MAX, name, sizeof(name));
		assert_true(strlen(name) <= NAME_MAX_BYTES - 5); /* room for the temporary's ".", ".tmp" */
		assert_null(strchr(name, '/'));
		assert_int_not_equal(name[0], '.');
		for (const char *c = name; *c; c++)
			assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
		assert_non_null(strstr(name, "-4294967295-22620411T234716Z-18446744073709551615.pprof"));
	}
}

static void
test_capacity(void **state)
{
	char name[32];

	(void)state;
	for (size_t capacity = 1; capacity < 20; capacity++) {
		memset(name, 'x', sizeof(name));
		export_file_name("service-of-some-length", 1, 0, 0, name, capacity);
		assert_int_equal(strlen(name), capacity - 1);
		assert_int_equal(name[capacity], 'x');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_any_service),
		cmocka_unit_test(test_capacity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
