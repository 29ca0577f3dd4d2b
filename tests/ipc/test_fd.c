/* An owned descriptor is closed once, by its owner; a placed one survives exec. */

#include "ipc/fd.h"

#include "tests/support/descriptors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define NUMBER 77

static void
test_owned(void **state)
{
	size_t before = count_descriptors();
	int outlives = -1;

	(void)state;
	{
		OWNED_FD closed = file_with("a");
		OWNED_FD taken = file_with("b");
		OWNED_FD never = -1;

		outlives = take_fd(&taken);
		assert_int_equal(taken, -1);
		assert_true(closed >= 0);
		assert_int_equal(never, -1);
	}
	assert_int_equal(count_descriptors(), before + 1);
	close_fd(&outlives);
	assert_int_equal(outlives, -1);
	close_fd(&outlives);
	assert_int_equal(count_descriptors(), before);
}

static void
test_place(void **state)
{
	int file = file_with("a"), other = file_with("b");

	(void)state;
	assert_int_equal(fcntl(file, F_GETFD), FD_CLOEXEC);
	assert_int_equal(place_fd(file, NUMBER), 0);
	assert_int_equal(fcntl(NUMBER, F_GETFD), 0); /* not close-on-exec */
	assert_true(is_same_file(file, NUMBER));
	assert_int_equal(fcntl(file, F_GETFD), FD_CLOEXEC); /* the original is as it was */
	assert_int_equal(place_fd(other, NUMBER), 0);       /* replaces what is there */
	assert_true(is_same_file(other, NUMBER));
	close(NUMBER);
	close(other);

	assert_int_equal(place_fd(file, file), 0); /* already at its number */
	assert_int_equal(fcntl(file, F_GETFD), 0);
	close(file);
	errno = 0;
	assert_int_equal(place_fd(file, NUMBER), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(place_fd(file, file), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_owned), cmocka_unit_test(test_place)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
