/* A cursor gives what is there and nothing else; once it failed, it stays failed. */

#include "worker/base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t bytes[16] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
				  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10};

static void
test_little_endian_and_unaligned(void **state)
{
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(cursor_left(&c), 16);
	assert_int_equal(cursor_u8(&c), 0x01);
	assert_int_equal(cursor_u16(&c), 0x0302);
	assert_int_equal(cursor_u32(&c), 0x07060504);
	assert_int_equal(cursor_u64(&c), 0x0f0e0d0c0b0a0908);
	assert_int_equal(cursor_left(&c), 1);
	assert_false(cursor_finished(&c));
	assert_ptr_equal(cursor_bytes(&c, 1), bytes + 15);
	assert_true(cursor_finished(&c));
	assert_ptr_equal(cursor_bytes(&c, 0), bytes + 16); /* nothing is there, too */
	assert_true(cursor_finished(&c));
}

/* Memory of exactly the size: a sanitizer sees a read beyond it. */
static void
test_reads_past_the_end(void **state)
{
	static const size_t sizes[] = {1, 2, 4, 8};

	(void)state;
	for (size_t s = 0; s < 4; s++) {
		for (size_t have = 0; have < sizes[s]; have++) {
			uint8_t *exact = malloc(have ? have : 1);
			assert_non_null(exact);
			memset(exact, 0xff, have);
			struct cursor c = cursor_over(exact, have);
			uint64_t value = sizes[s] == 1   ? cursor_u8(&c)
					 : sizes[s] == 2 ? cursor_u16(&c)
					 : sizes[s] == 4 ? cursor_u32(&c)
							 : cursor_u64(&c);

			assert_int_equal(value, 0);
			assert_true(c.failed);
			assert_int_equal(cursor_left(&c), 0);
			assert_int_equal(cursor_u8(&c), 0); /* nor what had been left before */
			assert_false(cursor_finished(&c));
			free(exact);
		}
	}
}

static void
test_bytes(void **state)
{
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	(void)state;
	assert_ptr_equal(cursor_bytes(&c, 16), bytes);
	assert_true(cursor_finished(&c));
	c = cursor_over(bytes, sizeof(bytes));
	assert_null(cursor_bytes(&c, 17));
	assert_true(c.failed);
	c = cursor_over(bytes, sizeof(bytes));
	cursor_u8(&c);
	assert_null(cursor_bytes(&c, SIZE_MAX)); /* no wrap-around */
	assert_true(c.failed);
	assert_null(cursor_bytes(&c, 1));
}

static void
test_fail(void **state)
{
	struct cursor c = cursor_over(bytes, sizeof(bytes)), empty = cursor_over(bytes, 0);

	(void)state;
	cursor_fail(&c);
	assert_true(c.failed);
	assert_int_equal(cursor_left(&c), 0);
	assert_false(cursor_finished(&c));
	assert_true(cursor_finished(&empty));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little_endian_and_unaligned),
		cmocka_unit_test(test_reads_past_the_end),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
