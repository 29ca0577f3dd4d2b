/* A reader takes only what nobody can change any more, and a writer's seal is that. */

#include "worker/base/seal.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
test_sealed(void **state)
{
	OWNED_FD fd = file_with("profile");

	(void)state;
	assert_int_equal(memfd_check_sealed(fd), -EBADMSG);
	assert_int_equal(memfd_seal(fd), 0);
	assert_int_equal(memfd_check_sealed(fd), 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
}

static void
test_each_seal_counts(void **state)
{
	static const int wanted[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};

	(void)state;
	for (size_t missing = 0; missing < 3; missing++) {
		OWNED_FD fd = file_with("profile");

		for (size_t i = 0; i < 3; i++)
			if (i != missing)
				assert_int_equal(fcntl(fd, F_ADD_SEALS, wanted[i]), 0);
		assert_int_equal(memfd_check_sealed(fd), -EBADMSG);
	}
}

static void
test_other_files(void **state)
{
	OWNED_FD file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(memfd_check_sealed(file), -EBADMSG);
	assert_int_equal(memfd_check_sealed(-1), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_each_seal_counts),
		cmocka_unit_test(test_other_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
