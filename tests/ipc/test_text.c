/* Only printable UTF-8 leaves, cuts fall between characters, and nothing is written beyond capacity. */
#include "ipc/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *bytes;
	size_t length; /* of the first character; 0: not UTF-8 */
} characters[] = {
	{"a", 1},
	{"\x7f", 1},
	{"\xc3\xa9", 2},
	{"\xe2\x82\xac", 3},
	{"\xf0\x9f\x92\xa9", 4},
	{"\xf4\x8f\xbf\xbf", 4},
	{"", 0},
	{"\x80", 0},             /* continuation first */
	{"\xc3", 0},             /* cut */
	{"\xe2\x82", 0},         /* cut */
	{"\xc3z", 0},            /* no continuation */
	{"\xc0\xaf", 0},         /* overlong */
	{"\xe0\x80\xaf", 0},     /* overlong */
	{"\xf0\x80\x80\xaf", 0}, /* overlong */
	{"\xed\xa0\x80", 0},     /* surrogate */
	{"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
	{"\xff", 0},
};

static void
test_characters(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(characters) / sizeof(characters[0]); i++)
		assert_int_equal(text_character(characters[i].bytes, strlen(characters[i].bytes)),
				 characters[i].length);
}

static const struct {
	const char *in, *out;
} escapes[] = {
	{"", ""},
	{"plain", "plain"},
	{"main.(*T)\xc2\xb7"
	 "f",
	 "main.(*T)\xc2\xb7"
	 "f"},
	{"a\nb\t\x1b[31m", "a\\x0ab\\x09\\x1b[31m"},
	{"\x7f", "\\x7f"},
	{"\xff\xfe", "\\xff\\xfe"},
	{"\xc2\x9b"
	 "31m",
	 "\\u009b31m"},                            /* C1 CSI */
	{"\xe2\x80\xaegnp.exe", "\\u202egnp.exe"}, /* right-to-left override */
	{"\xc3", "\\xc3"},
};

static void
test_escapes(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		size_t size = strlen(escapes[i].in);

		assert_int_equal(text_escape(out, sizeof(out), escapes[i].in, size), strlen(escapes[i].out));
		assert_string_equal(out, escapes[i].out);
		assert_int_equal(text_is_printable(escapes[i].in, size),
				 strcmp(escapes[i].in, escapes[i].out) == 0);
	}
}

static void
test_cut(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(text_escape(out, sizeof(out), "1234567", 7), 7);
	assert_string_equal(out, "1234567");
	text_escape(out, sizeof(out), "12345678", 8);
	assert_string_equal(out, "1234\xe2\x80\xa6");
	text_escape(out, sizeof(out), "123\xe2\x82\xac\xe2\x82\xac", 9); /* no half euro sign */
	assert_string_equal(out, "123\xe2\x80\xa6");
	text_escape(out, 4, "\n\n", 2);
	assert_string_equal(out, "\xe2\x80\xa6");
}

/* Any bytes, any capacity: the result is terminated, printable and fits. */
static void
test_random(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char in[32];
		size_t capacity = 4 + round % 60;
		char *out = malloc(capacity); /* exactly: the sanitizer watches its end */

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
		assert_true(text_escape(out, capacity, in, sizeof(in)) < capacity);
		assert_true(text_is_printable(out, strlen(out)));
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
