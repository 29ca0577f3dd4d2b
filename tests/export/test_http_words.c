/* What may be said of a server's text, and what not. */

#include "worker/export/http_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const headers[] = {
	"Content-Type: multipart/form-data",
	"DD-API-KEY: 0123456789abcdef",
	"Authorization: Basic dXNlcjpwYXNz",
	"X-Several: first-word,second-word;third",
	"No value here",
	"Empty:",
	NULL,
};

static const char *
words(const char *text, size_t size, size_t capacity)
{
	static char said[400];
	char *copy = malloc(size); /* to the byte: a sanitizer sees what is read beyond it */

	memcpy(copy, text, size);
	memset(said, 'x', sizeof(said));
	http_words_from_text(copy, size, headers, said, capacity);
	free(copy);
	return said;
}

static void
test_secrets(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"no secret", "no secret"},
		{"key 0123456789abcdef!", "key ****************!"},
		{"0123456789abcdef0123456789abcdef", "********************************"},
		{"cut at the end: 0123456789abc", "cut at the end: *************"},
		{"too short to tell: 0123456", "too short to tell: 0123456"},
		{"Basic dXNlcjpwYXNz", "Basic ************"},
		{"first-word third", "********** third"}, /* of 5 bytes: a word like others */
		{"second-word", "***********"},
		{"want multipart/form-data", "want multipart/form-data"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(words(cases[i][0], strlen(cases[i][0]), 256), cases[i][1]);
}

static void
test_one_line(void **state)
{
	(void)state;
	assert_string_equal(words("\r\n a\t\tb \n\nc\n", 12, 256), "a b c");
	assert_string_equal(words(" \n", 2, 256), "");
	assert_string_equal(words("a\0b\x1b[0m", 7, 256), "a\\x00b\\x1b[0m");
	assert_string_equal(words("abcdefghij", 10, 8), "abcd\xe2\x80\xa6");
}

static void
test_without_headers(void **state)
{
	char text[] = "0123456789abcdef", said[32];

	(void)state;
	http_words_from_text(text, sizeof(text) - 1, NULL, said, sizeof(said));
	assert_string_equal(said, "0123456789abcdef");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_without_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
