/* One message is one line, whoever chose its words, and never longer than it may be. */

#include "ipc/log.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define PREFIX "ddprof-launch: "
#define CUT_AT 1000 /* bytes of a line, as ipc/log.h says */

static char written[4096];

/* What one call puts into a file. */
static const char *
line_of(enum log_level threshold, enum log_level level, const char *text)
{
	OWNED_FD fd = file_with("");
	struct log log = {.fd = fd, .threshold = threshold};

	log_line(&log, level, "%s", text);
	ssize_t got = pread(fd, written, sizeof(written) - 1, 0);
	assert_true(got >= 0);
	written[got] = 0;
	return written;
}

static void
test_plain_line(void **state)
{
	OWNED_FD fd = file_with("");
	struct log log = {.fd = fd, .threshold = LOG_LEVEL_DEBUG};

	(void)state;
	log_line(&log, LOG_LEVEL_WARN, "the %s ended (%d)", "unwinder", 7);
	log_line(&log, LOG_LEVEL_WARN, "%s", "");
	assert_int_equal(pread(fd, written, sizeof(written), 0), 54);
	assert_memory_equal(written, PREFIX "the unwinder ended (7)\n" PREFIX "\n", 54);
}

static void
test_escapes(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{"a\nddprof-launch: forged", "a\\x0addprof-launch: forged"},
		{"\x1b[2J", "\\x1b[2J"},
		{"\r\t\b\a\f\v", "\\x0d\\x09\\x08\\x07\\x0c\\x0b"},
		{"\x01\x1f\x20\x7e\x7f", "\\x01\\x1f ~\\x7f"},
		{"M\xc3\xbcnchen \xe2\x82\xac \xf0\x9f\x98\x80",
		 "M\xc3\xbcnchen \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"%s%n", "%s%n"},
		{"back\\slash", "back\\slash"},
	};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcat(strcat(strcpy(expected, PREFIX), cases[i].line), "\n");
		assert_string_equal(line_of(LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR, cases[i].text), expected);
	}
}

/* Terminals obey C1 control characters too, as one byte (0x9b is CSI) or as UTF-8 (c2 9b); and bytes that are
 * not UTF-8 at all are no text. */
static void
test_escapes_above_ascii(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{"\x9b"
		 "2J",
		 "\\x9b2J"},
		{"\xc2\x9b"
		 "2J",
		 "\\u009b2J"},
		{"\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0"},
		{"\xff\xfe", "\\xff\\xfe"},
		{"\xc3", "\\xc3"},
		{"\xc3(", "\\xc3("},
		{"\xe2\x82", "\\xe2\\x82"},
		{"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong '/' */
		{"\xe0\x82\x9b", "\\xe0\\x82\\x9b"},          /* overlong U+009B */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
	};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcat(strcat(strcpy(expected, PREFIX), cases[i].line), "\n");
		assert_string_equal(line_of(LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR, cases[i].text), expected);
	}
}

static void
test_threshold(void **state)
{
	(void)state;
	for (int threshold = LOG_LEVEL_DEBUG; threshold <= LOG_LEVEL_ERROR; threshold++)
		for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++)
			assert_int_equal(line_of(threshold, level, "x")[0] != 0, level >= threshold);
}

static void
test_long_lines_are_cut(void **state)
{
	static const struct {
		char fill;
		size_t length;
	} cases[] = {
		{'a', 900}, {'a', 999}, {'a', 1000}, {'a', 1001}, {'a', 3000},
		{1, 200},   {1, 300},   {1, 1000},   {1, 3000}, /* grows fourfold when escaped */
	};
	char text[3001];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(text, cases[i].fill, cases[i].length);
		text[cases[i].length] = 0;
		const char *line = line_of(LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR, text);
		size_t length = strlen(line), shown = cases[i].fill == 1 ? 4 : 1;

		assert_true(length <= CUT_AT);
		assert_int_equal(line[length - 1], '\n');
		assert_ptr_equal(strchr(line, '\n'), line + length - 1);
		if (strlen(PREFIX) + cases[i].length * shown + 1 <= CUT_AT)
			assert_int_equal(length, strlen(PREFIX) + cases[i].length * shown + 1);
		else
			assert_true(length > CUT_AT - 32); /* cut, but not more than needed */
	}
}

static void
test_syslog(void **state)
{
	static const struct {
		enum log_level level;
		const char *datagram;
	} cases[] = {
		/* <facility user = 1, times 8, plus severity> (RFC 3164) */
		{LOG_LEVEL_DEBUG, "<15>" PREFIX "a\\x0ab"},
		{LOG_LEVEL_INFORMATIONAL, "<14>" PREFIX "a\\x0ab"},
		{LOG_LEVEL_NOTICE, "<13>" PREFIX "a\\x0ab"},
		{LOG_LEVEL_WARN, "<12>" PREFIX "a\\x0ab"},
		{LOG_LEVEL_ERROR, "<11>" PREFIX "a\\x0ab"},
	};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	struct log log = {.fd = pair[0], .is_syslog = true, .threshold = LOG_LEVEL_DEBUG};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		log_line(&log, cases[i].level, "a\nb");
		ssize_t got = recv(pair[1], written, sizeof(written) - 1, MSG_DONTWAIT);
		assert_int_equal(got, strlen(cases[i].datagram));
		assert_memory_equal(written, cases[i].datagram, (size_t)got);
	}
	for (int i = 0; i < 10000; i++) /* a syslog that does not read must not stop us */
		log_line(&log, LOG_LEVEL_ERROR, "flood");
	close(pair[1]);
	log_line(&log, LOG_LEVEL_ERROR, "nobody there"); /* nor kill us */
	close(pair[0]);
}

static void
test_silent_and_failing(void **state)
{
	static const struct log silent = {.fd = -1}, closed = {.fd = 999999};

	(void)state;
	log_line(&silent, LOG_LEVEL_ERROR, "x");
	log_line(&closed, LOG_LEVEL_ERROR, "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_line),          cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_escapes_above_ascii), cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_long_lines_are_cut),  cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_silent_and_failing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
